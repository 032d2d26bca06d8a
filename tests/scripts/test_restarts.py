"""When a process is started again."""

from scripts.restarts import LIVED_LONG_S, LONGEST_DELAY_S, Restarts


def test_a_process_that_lived_long_is_replaced_at_once() -> None:
    """Every end after a healthy life is answered without waiting."""
    restarts = Restarts()
    assert [restarts.died(lived_s=LIVED_LONG_S, was_ready=True) for _ in range(20)] == [0.0] * 20
    assert not restarts.loops


def test_quick_deaths_wait_longer_each_time() -> None:
    """At once, then 50 ms doubling up to 5 s; the fifth in a row is a crash loop."""
    restarts = Restarts()
    delays = []
    loops = []
    for _ in range(10):
        delays.append(restarts.died(lived_s=0.01, was_ready=False))
        loops.append(restarts.loops)
    assert delays == [0.0, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_DELAY_S, LONGEST_DELAY_S]
    assert loops == [False] * 4 + [True] * 6


def test_a_healthy_life_ends_a_crash_loop() -> None:
    """One long life, and the next end counts as a first one; without having been ready it does not."""
    restarts = Restarts(quick_deaths=9)
    assert restarts.died(lived_s=60, was_ready=False) == LONGEST_DELAY_S
    assert restarts.died(lived_s=60, was_ready=True) == 0.0
    assert not restarts.loops

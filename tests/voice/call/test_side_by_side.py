"""Frames of the caller beside ours, as the wire had them. Each frame is the number of the tick it was said in."""

from hypothesis import given
from hypothesis import strategies as st

from voice.call.side_by_side import LASTING_TICKS, LONGEST_REST_TICKS, SideBySide

SILENCE = bytes(320)


def frame(number: int) -> bytes:
    """A frame that can be told from all others."""
    return number.to_bytes(4, "big") * 80


def sides(ticks: list[tuple[bytes, int]]) -> list[tuple[bytes, int]]:
    """What comes out for the caller's frames and their rests; ours are the numbers of the ticks."""
    out: list[tuple[bytes, int]] = []
    both = SideBySide(lambda caller, ours: out.append((caller, int.from_bytes(ours[:4], "big"))))
    for number, (caller, rest) in enumerate(ticks):
        both.tick(caller, frame(number), rest * 20)
    both.finish()
    assert [ours for _, ours in out] == list(range(len(ticks))), "our side is as it was, tick by tick"
    return out


@given(st.integers(0, LONGEST_REST_TICKS), st.integers(LASTING_TICKS, 80))
def test_a_steady_rest_is_taken_back(rest: int, ticks: int) -> None:
    """What was said in a tick lies beside what was heard in it; what was never handed to us is silence."""
    out = sides([(frame(number - rest) if number >= rest else SILENCE, rest) for number in range(ticks)])
    said = max(0, ticks - rest)
    assert [caller for caller, _ in out[:said]] == [frame(number) for number in range(said)]
    assert {caller for caller, _ in out[said:]} <= {SILENCE}


def test_a_rest_that_grows_drops_the_concealment() -> None:
    """A loss makes the buffer swell: the frame it made up gives way to the one that was said then."""
    made_up = b"\x01" * 320
    heard = [(frame(number), 0) for number in range(20)] + [(made_up, 0)]
    heard += [(frame(number), 1) for number in range(20, 40)]
    assert [caller for caller, _ in sides(heard)][:40] == [frame(number) for number in range(40)]


def test_a_rest_that_shrinks_leaves_the_rest_in_place() -> None:
    """The buffer left a frame out: everything behind it still lies where it was said."""
    heard = [(frame(number), 2) for number in range(20)] + [(frame(number), 1) for number in range(21, 41)]
    out = [caller for caller, _ in sides([(SILENCE, 2), (SILENCE, 2), *heard])]
    assert out[:20] == [frame(number) for number in range(20)]
    assert out[20] == frame(19), "nobody heard what was left out; it is concealed as a telephone would"
    assert out[21:41] == [frame(number) for number in range(21, 41)]


@given(st.lists(st.integers(0, 1), min_size=60, max_size=60))
def test_packets_that_come_around_the_tick_move_nothing(rests: list[int]) -> None:
    """A packet seen just before the tick or just after it makes the rest flicker; no frame is lost or doubled by it."""
    for at in range(0, 60, LASTING_TICKS - 1):
        rests[at] = 0
    out = [caller for caller, _ in sides([(frame(number), rest) for number, rest in enumerate(rests)])]
    assert out == [frame(number) for number in range(60)]

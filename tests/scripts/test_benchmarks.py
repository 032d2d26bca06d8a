"""What the benchmarks make of what they measured."""

from typing import Any

import pytest

from scripts.benchmarks.alignment import too_far
from scripts.benchmarks.peer import _delays, _since_last, _until_next


def aligned(p95: float, drift: float) -> dict[str, Any]:
    return {"error_ms": {"p50": 4.0, "p95": p95, "p99": 60.0, "max": 80.0}, "drift_ms": drift}


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        (aligned(20.0, -20.0), ""),
        (aligned(20.1, 0.0), "p95 20.1 ms"),
        (aligned(12.0, -31.0), "drift 31.0 ms"),
        (aligned(25.0, 25.0), "p95 25.0 ms, drift 25.0 ms"),
    ],
)
def test_sides_that_lie_too_far_apart(row: dict[str, Any], wrong: str) -> None:
    """More than 20 ms for one click in twenty, or drift either way by as much, is named."""
    assert too_far(row) == wrong


def test_the_peers_delays_are_matched_with_the_right_caller() -> None:
    """Sessions and callers are not in the same order; the nearest fit, before or after, decides."""
    ms = 1_000_000
    first, second = [1_000 * ms, 9_000 * ms], [1_400 * ms, 9_500 * ms]
    heard = {"0": [1_430 * ms, 9_530 * ms], "1": [1_020 * ms, 9_025 * ms]}
    assert _delays(heard, [first, second], _since_last) == [30.0, 30.0, 20.0, 25.0]
    said = {"0": [1_390 * ms, 9_480 * ms], "1": [995 * ms, 8_990 * ms]}
    assert _delays(said, [first, second], _until_next) == [10.0, 20.0, 5.0, 10.0]

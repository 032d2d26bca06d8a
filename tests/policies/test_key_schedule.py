"""Keys are renewed in time, and old ones are destroyed only when backups need them no more either."""

from datetime import UTC, datetime, timedelta

import pytest

from policies.key_schedule import (
    MOST_SEALS,
    is_due,
    is_overdue,
    is_root_due,
    is_root_overdue,
    may_be_destroyed,
)

MADE = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "seals", "due", "overdue"),
    [
        (0, 0, False, False),
        (89.9, MOST_SEALS - 1, False, False),
        (90, 0, True, False),
        (96.9, 0, True, False),
        (97, 0, True, True),
        (0, MOST_SEALS, True, False),
        (0, 2 * MOST_SEALS, True, True),
    ],
)
def test_a_key_is_due_by_age_or_by_use(days: float, seals: int, *, due: bool, overdue: bool) -> None:
    """After 90 days or 2^30 seals, and an operator hears of it a week or as many seals later."""
    now = MADE + timedelta(days=days)
    assert (is_due(MADE, seals, now), is_overdue(MADE, seals, now)) == (due, overdue)


@pytest.mark.parametrize(
    ("days", "due", "overdue"),
    [(0, False, False), (364.9, False, False), (365, True, False), (394.9, True, False), (395, True, True)],
)
def test_a_root_key_is_due_after_a_year(days: float, *, due: bool, overdue: bool) -> None:
    """And overdue a month later: an operator has to do it."""
    now = MADE + timedelta(days=days)
    assert (is_root_due(MADE, now), is_root_overdue(MADE, now)) == (due, overdue)


def test_random_nonces_stay_far_from_their_bound() -> None:
    """NIST SP 800-38D section 8.3: at most 2^32 values under one key with random 96-bit nonces."""
    assert MOST_SEALS * 4 <= 1 << 32


@pytest.mark.parametrize(("days", "may"), [(None, False), (0, False), (29.9, False), (30, True)])
def test_a_key_is_destroyed_when_backups_are_gone(days: float | None, *, may: bool) -> None:
    """While a value lies under it never; then as long as a backup lives in which one did."""
    empty_since = None if days is None else MADE
    assert may_be_destroyed(empty_since, MADE + timedelta(days=1_000 if days is None else days)) is may

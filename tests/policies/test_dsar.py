"""Deadlines of requests, and the limits of codes."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import dsar
from policies.dsar import Step, due_at, may_be_rung, may_send_code, steps
from policies.numbers import parse_number


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-03-01", "2026-03-31"),  # 30 days come before the month is over
        ("2026-04-15", "2026-05-15"),  # both on the same day
        ("2026-12-05", "2027-01-04"),  # over the end of a year
        ("2026-12-31", "2027-01-30"),
        ("2026-01-31", "2026-02-28"),  # there is no 31 February: its last day
        ("2026-01-30", "2026-02-28"),
        ("2026-01-29", "2026-02-28"),
        ("2026-01-28", "2026-02-27"),  # 30 days would end on the 27th, the month on the 28th
        ("2028-01-31", "2028-02-29"),  # a leap year
        ("2028-01-30", "2028-02-29"),
        ("2028-02-29", "2028-03-29"),  # the month, not 30 March
        ("2027-02-28", "2027-03-28"),
        ("2100-01-31", "2100-02-28"),  # no leap year, though it divides by four
    ],
)
def test_the_earlier_of_30_days_and_one_month(received: str, due: str) -> None:
    """Each end of a month, in ordinary and leap years."""
    moment = datetime.fromisoformat(f"{received}T23:30:00+00:00")
    assert due_at(moment) == datetime.fromisoformat(f"{due}T23:30:00+00:00")


@given(
    st.integers(0, 36_525 * 24 * 60).map(lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
)
def test_escalation_comes_before_the_deadline(received: datetime) -> None:
    """Whatever the month: reminders, escalation at day 20, and the deadline 28 to 30 days after the request."""
    found = steps(received)
    assert [timed.step for timed in found] == [Step.REMIND, Step.REMIND, Step.ESCALATE, Step.OVERDUE]
    assert [timed.at for timed in found] == sorted(timed.at for timed in found)
    assert found[2].at == received + timedelta(days=20)
    assert timedelta(days=28) <= found[3].at - received <= timedelta(days=30)


@pytest.mark.parametrize(
    ("typed", "rung"),
    [
        ("+493023125000", True),  # landline
        ("+4915112345678", True),  # mobile
        ("+12125550123", True),  # either, as its plan does not tell
        ("+499001234567", False),  # premium
        ("+498001234567", False),  # toll-free
        ("+491801234567", False),  # shared cost
        ("+447012345678", False),  # a "personal number" of Britain costs what a premium one does
        ("+882161234567", False),  # satellite: of no country
        ("+448712345678", False),
    ],
)
def test_which_numbers_are_rung(typed: str, *, rung: bool) -> None:
    """Only ordinary lines are, so that nobody earns by asking us to call."""
    number = parse_number(typed)
    assert number is not None, typed
    assert bool(may_be_rung(number)) is rung


NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours_ago", "by_desk", "allowed"),
    [
        ((), 0, True),
        ((1, 2), 2, True),
        ((1, 2, 3), 3, False),
        ((1, 2, 25), 2, True),
        ((), dsar.CODES_PER_DAY - 1, True),
        ((), dsar.CODES_PER_DAY, False),
    ],
)
def test_how_many_codes_are_sent(hours_ago: tuple[int, ...], by_desk: int, *, allowed: bool) -> None:
    """Three to one number within 24 hours, and a hundred of the whole desk."""
    sent = [NOW - timedelta(hours=hours) for hours in hours_ago]
    assert bool(may_send_code(NOW, to_number=sent, by_desk=by_desk)) is allowed

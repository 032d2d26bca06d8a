"""How long what is kept, as one table with its boring rows."""

from datetime import UTC, date, datetime, timedelta

import pytest

from policies.jurisdictions import Confidence, LegalRow, Rule
from policies.legal_table import LEGAL_TABLE
from policies.retention import Wishes, limits, may_set, proof_kept_until, usage_limit
from policies.verdict import Deny

TODAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 25, 4, 30, tzinfo=UTC)
LAW = "MiFID II Art. 16(7)"


@pytest.mark.parametrize(
    ("jurisdiction", "recording", "transcript", "basis", "allowed"),
    [
        ("DE", 90, 365, None, True),
        ("DE", 0, 0, None, True),
        ("DE", 365, 365, None, True),
        ("DE", 366, 365, None, False),
        ("DE", 366, 365, "   ", False),
        ("DE", 366, 365, LAW, True),
        ("DE", 90, 366, None, False),
        ("DE", 90, 1825, LAW, True),
        ("DE", 365, 0, None, True),
        ("DE", -1, 365, None, False),
        ("DE", 90, -1, LAW, False),
        ("FR", 183, 365, None, True),
        ("FR", 184, 365, None, False),
        ("FR", 184, 365, LAW, False),
        ("FR", 183, 400, LAW, True),
        ("US-CA", 365, 365, None, True),
        ("US-CA", 400, 365, None, False),
        ("unknown", 365, 365, None, True),
        ("unknown", 400, 365, None, False),
    ],
)
def test_what_a_project_may_set(
    jurisdiction: str, recording: int, transcript: int, basis: str | None, *, allowed: bool
) -> None:
    """Up to a year anywhere, six months in France, more only for a law that the owner names and France never."""
    wishes = Wishes(jurisdiction=jurisdiction, recording_days=recording, transcript_days=transcript, legal_basis=basis)
    verdict = may_set(wishes, TODAY)
    assert bool(verdict) is allowed
    assert not isinstance(verdict, Deny) or verdict.reason.endswith(".")


def test_law_counts_also_where_it_came_later() -> None:
    """What was set before a law came is cut to what the law allows now."""
    new = LegalRow(
        jurisdiction="DE",
        rule=Rule.RECORDING_MAX_DAYS,
        value=30,
        statute="a law to come",
        source="this test",
        confidence=Confidence.HIGH,
        checked_on=TODAY,
        effective_from=date(2027, 1, 1),
    )
    wishes = Wishes(jurisdiction="DE", recording_days=90)
    for now, days in ((NOW, 90), (NOW.replace(year=2027), 30)):
        assert limits(wishes, now, (*LEGAL_TABLE, new)).recordings == now - timedelta(days=days)


def test_limits_are_moments() -> None:
    """Recordings and session data go so many days later to the minute; nothing kept means nothing older than now."""
    found = limits(Wishes(jurisdiction="DE", recording_days=90, transcript_days=0), NOW)
    assert found.recordings == NOW - timedelta(days=90)
    assert found.sessions == NOW
    assert limits(Wishes(jurisdiction="DE", recording_days=999), NOW).recordings == NOW - timedelta(days=365)
    assert limits(Wishes(jurisdiction="DE", recording_days=999, legal_basis=LAW), NOW).recordings == NOW - timedelta(
        days=999
    )
    assert limits(Wishes(jurisdiction="FR", recording_days=999, legal_basis=LAW), NOW).recordings == NOW - timedelta(
        days=183
    )


@pytest.mark.parametrize(("seller", "first_kept"), [("DE", 2018), ("FR", 2019), ("US", 2019), ("unknown", 2019)])
def test_usage_is_kept_for_whole_years(seller: str, first_kept: int) -> None:
    """Seven years, eight in Germany, counted from the end of the year."""
    assert usage_limit(seller, NOW) == datetime(first_kept, 1, 1, tzinfo=UTC)


def test_proof_outlives_the_recording() -> None:
    """Consent stays provable for five years, and a leap day does not lose one."""
    assert proof_kept_until(NOW) == NOW.replace(year=2031)
    assert proof_kept_until(datetime(2028, 2, 29, tzinfo=UTC)) == datetime(2033, 3, 1, tzinfo=UTC)

"""security.txt: valid by an independent parser, in force, and the same as SECURITY.md."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sectxt import Parser

from policies import security_txt
from policies.security_txt import (
    ACKNOWLEDGE_BUSINESS_DAYS,
    CONTACT,
    REMEDIATE_CRITICAL_DAYS,
    REMIND_DAYS,
    expires,
    policy,
    thanks,
)

HAND_WRITTEN = (Path(__file__).resolve().parents[2] / "SECURITY.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("base_url", [None, "https://calls.example", "https://calls.example:8443"])
def test_an_independent_parser_finds_nothing_wrong(base_url: str | None) -> None:
    """No error, and no recommendation but those that a server without a public address, key or signature must leave."""
    parsed = Parser(security_txt.security_txt(base_url).encode(), is_local=True)
    assert parsed.errors == []
    allowed = {"not_signed", "no_encryption"} | ({"no_canonical"} if base_url is None else set())
    assert {found["code"] for found in parsed.recommendations} <= allowed
    assert parsed.is_valid()


def test_the_parser_would_find_something() -> None:
    """The same file a year later is refused: the test above can fail."""
    stale = re.sub(r"Expires: \d{4}", "Expires: 2020", security_txt.security_txt(None))
    assert [found["code"] for found in Parser(stale.encode(), is_local=True).errors] == ["expired"]


def test_somebody_looked_at_it_lately() -> None:
    """It is in force for another month. When this fails: read policies/security_txt.py over, then set REVIEWED."""
    now = datetime.now(UTC)
    assert expires() - now > timedelta(days=REMIND_DAYS)
    assert expires() - datetime.combine(security_txt.REVIEWED, datetime.min.time(), UTC) < timedelta(days=365)


def test_the_words_are_those_of_the_project() -> None:
    """SECURITY.md and the page promise the same."""
    assert CONTACT in HAND_WRITTEN
    assert CONTACT in policy()
    assert {2: "two business days"}[ACKNOWLEDGE_BUSINESS_DAYS] in HAND_WRITTEN
    assert f"{REMEDIATE_CRITICAL_DAYS} days" in HAND_WRITTEN
    for text in (HAND_WRITTEN, policy()):
        assert "PGP key is available on request" in text
        assert "hall of fame" in text


def test_the_hall_of_fame_shows_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in the order of the day on which their report was settled."""
    assert "Nobody yet" in thanks()
    days = (datetime(2026, 1, 2, tzinfo=UTC).date(), "Ana"), (datetime(2026, 3, 4, tzinfo=UTC).date(), "Bo")
    monkeypatch.setattr(security_txt, "THANKED", days)
    assert thanks() == "2026-03-04  Bo\n2026-01-02  Ana\n"

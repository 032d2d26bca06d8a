"""The register: where each host stands, and from when it may get data."""

from dataclasses import replace
from datetime import date

import pytest

from policies.subprocessors import EU, REGISTER, Data, Register, Subprocessor, is_here
from policies.verdict import Deny

TODAY = date(2026, 11, 25)
NEW = Subprocessor(
    id="voices",
    name="Voices GmbH",
    purpose="the voice of recorded sentences",
    data=(Data.SCENARIO,),
    countries=("DE",),
    transfer="",
    hosts=("api.voices.example",),
    since=date(2026, 11, 1),
    told=date(2026, 11, 1),
)


def test_the_beginning_is_what_the_promise_says() -> None:
    """OpenAI and Anthropic in the USA, Stripe also in Ireland, all under Standard Contractual Clauses."""
    assert {row.id: row.countries for row in REGISTER} == {
        "openai": ("US",),
        "anthropic": ("US",),
        "stripe": ("IE", "US"),
    }
    assert all("Standard Contractual Clauses" in row.transfer for row in REGISTER)
    hosts = [host for row in REGISTER for host in row.hosts]
    assert sorted(hosts) == ["api.anthropic.com", "api.openai.com", "api.stripe.com"]
    assert len(EU) == 27


@pytest.mark.parametrize(
    ("host", "own", "kind", "in_eu"),
    [
        ("api.openai.com", {}, "subprocessor", False),
        ("API.OpenAI.com", {}, "subprocessor", False),
        ("api.stripe.com", {}, "subprocessor", False),
        ("127.0.0.1", {}, "here", True),
        ("::1", {}, "here", True),
        ("localhost", {}, "here", True),
        ("llm.lan", {"llm.lan": "DE"}, "own", True),
        ("llm.lan", {"llm.lan": "CH"}, "own", False),
        ("llm.lan", {}, None, None),
        ("eu.api.openai.com", {}, None, None),
        ("api.openai.com.evil.example", {}, None, None),
        ("10.0.0.7", {}, None, None),
        ("localhost.evil.example", {}, None, None),
        ("", {}, None, None),
    ],
)
def test_where_a_host_stands(host: str, own: dict[str, str], kind: str | None, *, in_eu: bool | None) -> None:
    """What nobody has named is nowhere, however much its name looks like one that is known."""
    place = Register(own_hosts=own).place_of(host, TODAY)
    if kind is None:
        assert isinstance(place, Deny)
        assert "not in the register" in place.reason
    else:
        assert not isinstance(place, Deny)
        assert (place.kind, place.in_eu) == (kind, in_eu)


@pytest.mark.parametrize(
    ("row", "day", "allowed"),
    [
        (NEW, date(2026, 11, 30), False),
        (NEW, date(2026, 12, 1), True),
        (replace(NEW, told=date(2026, 11, 10)), date(2026, 12, 1), False),
        (replace(NEW, told=None), date(2036, 1, 1), False),
        (replace(NEW, told=None, accepted=True), date(2036, 1, 1), False),
        (replace(NEW, accepted=True), date(2026, 11, 1), True),
    ],
)
def test_thirty_days_since_the_last_customer_was_told(row: Subprocessor, day: date, *, allowed: bool) -> None:
    """Or none, once every customer has agreed; but never before all have been told."""
    register = Register((*REGISTER, row))
    place = register.place_of("api.voices.example", day)
    assert isinstance(place, Deny) is not allowed
    assert ("api.voices.example" in {found.host for found in register.places(day)}) is allowed


def test_here_is_only_what_cannot_leave() -> None:
    """Names that merely begin like this machine's are other machines."""
    assert [host for host in ("localhost", "127.9.9.9", "::1", "0.0.0.0", "10.0.0.1", "here", "") if is_here(host)] == [
        "localhost",
        "127.9.9.9",
        "::1",
    ]

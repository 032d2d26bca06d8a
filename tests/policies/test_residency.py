"""Where a project's data may go: residency, and what health data force, as tables and as a lattice."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.audit_tags import Tag
from policies.hipaa import FORCED, Handling, handling, stricter
from policies.outgoing import may_connect
from policies.residency import Bounds, Residency, may_receive
from policies.retention import AUDIT_YEARS
from policies.subprocessors import EU, REGISTER, Place, Register, with_baa
from policies.verdict import Deny

TODAY = date(2026, 11, 25)
OPENAI = Register().place_of("api.openai.com", TODAY)
assert isinstance(OPENAI, Place)
SIGNED = Register([with_baa(row, TODAY) for row in REGISTER]).place_of("api.openai.com", TODAY)
assert isinstance(SIGNED, Place)


@pytest.mark.parametrize(
    ("place", "residency", "hipaa", "allowed"),
    [
        (OPENAI, "anywhere", False, True),
        (OPENAI, "eu_only", False, False),
        (OPENAI, "anywhere", True, False),
        (SIGNED, "anywhere", True, True),
        (SIGNED, "eu_only", True, False),
        (Place("127.0.0.1", "here"), "eu_only", True, True),
        (Place("llm.lan", "own", ("DE",)), "eu_only", True, True),
        (Place("llm.lan", "own", ("NO",)), "eu_only", False, False),
        (Place("llm.lan", "own", ("US",)), "anywhere", True, True),
        (Place("llm.lan", "own", ()), "eu_only", False, False),
        (Place("llm.lan", "own", ()), "anywhere", True, False),
        (Place("llm.lan", "own", ()), "anywhere", False, True),
    ],
)
def test_what_a_place_may_get(place: Place, residency: Residency, *, hipaa: bool, allowed: bool) -> None:
    """The EU's member states only, this machine wherever it is; for health data, partners under contract only."""
    verdict = may_receive(place, Bounds(residency, hipaa))
    assert bool(verdict) is allowed
    assert not isinstance(verdict, Deny) or place.host in verdict.reason or place.whose in verdict.reason


_PLACES = st.builds(
    Place,
    st.sampled_from(["api.openai.com", "llm.lan", "other.example"]),
    st.sampled_from(["own", "subprocessor"]),
    st.lists(st.sampled_from(["DE", "FI", "US", "CH", "GB"]), max_size=3).map(tuple),
    st.none() | st.sampled_from([*REGISTER, *(with_baa(row, TODAY) for row in REGISTER)]),
)


@given(_PLACES, st.booleans())
def test_no_combination_lets_eu_data_out(place: Place, hipaa: bool) -> None:  # noqa: FBT001 - hypothesis fills it in
    """Whatever else is set: a place gets data of an EU-only project exactly if all its countries are in the EU."""
    allowed = bool(may_receive(place, Bounds("eu_only", hipaa)))
    assert not allowed or (place.countries and set(place.countries) <= EU)
    assert allowed or not (place.countries and set(place.countries) <= EU) or hipaa


_HANDLINGS = st.builds(
    Handling,
    baa_only=st.booleans(),
    mfa_for_all=st.booleans(),
    idle_minutes=st.none() | st.integers(1, 600),
    reads_audited=st.booleans(),
    documentation_years=st.integers(0, 20),
)


@given(_HANDLINGS)
def test_health_data_force_each_setting(wished: Handling) -> None:
    """No wish gets below what is forced, stricter wishes stay, and without the switch nothing is forced."""
    got = handling(hipaa=True, wished=wished)
    assert (got.baa_only, got.mfa_for_all, got.reads_audited) == (True, True, True)
    assert got.idle_minutes is not None
    assert got.idle_minutes == min(15, wished.idle_minutes or 15)
    assert got.documentation_years == max(6, wished.documentation_years)
    assert handling(hipaa=False, wished=wished) == wished


@given(_HANDLINGS, _HANDLINGS, _HANDLINGS)
def test_strictness_is_a_lattice(one: Handling, two: Handling, three: Handling) -> None:
    """In whichever order rules are put together, and however often, the same comes of it, and never less."""
    assert stricter(one, one) == one
    assert stricter(one, two) == stricter(two, one)
    assert stricter(stricter(one, two), three) == stricter(one, stricter(two, three))
    assert stricter(stricter(one, two), two) == stricter(one, two)
    assert stricter(FORCED, handling(hipaa=True, wished=one)) == handling(hipaa=True, wished=one)


def test_every_setting_is_forced() -> None:
    """A setting that is added without a forced value fails here, and so does a log kept for too short."""
    loosest = Handling()
    assert all(getattr(FORCED, name) != getattr(loosest, name) for name in Handling.__dataclass_fields__)
    assert FORCED.documentation_years <= AUDIT_YEARS
    assert Tag.PHI_READ


@pytest.mark.parametrize(
    ("address", "reaches"),
    [
        ("127.0.0.1", "here own"),
        ("::1", "here own"),
        ("::ffff:127.0.0.1", "own"),
        ("10.0.0.1", "own"),
        ("192.168.1.1", "own"),
        ("172.31.0.1", "own"),
        ("100.64.0.1", "own"),
        ("fd00::1", "own"),
        ("2002:7f00:1::", "own"),
        ("64:ff9b::7f00:1", "own"),
        ("64:ff9b::808:808", "own public"),
        ("8.8.8.8", "own public"),
        ("2606:4700::1111", "own public"),
        ("::ffff:8.8.8.8", "own public"),
        ("169.254.169.254", ""),
        ("::ffff:169.254.169.254", ""),
        ("64:ff9b::a9fe:a9fe", ""),
        ("fe80::1%eth0", ""),
        ("0.0.0.0", ""),
        ("::", ""),
        ("224.0.0.1", ""),
        ("ff02::1", ""),
    ],
)
def test_which_addresses_are_connected_to(address: str, reaches: str) -> None:
    """The address itself is judged, also where it is another one in disguise."""
    assert " ".join(reach for reach in ("here", "own", "public") if may_connect(address, reach)) == reaches


def test_a_row_may_be_replaced_but_not_doubled() -> None:
    """What an operator enters about a known sub-processor takes its row's place."""
    signed = with_baa(REGISTER[0], TODAY)
    rows = Register((*REGISTER, signed)).rows
    assert len(rows) == len(REGISTER)
    assert next(row for row in rows if row.id == "openai").baa_since == TODAY

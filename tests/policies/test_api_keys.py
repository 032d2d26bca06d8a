"""How a key looks, what may be in it, and from where it may be used."""

import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.access import NEEDS_SECOND_FACTOR, OF_THE_TENANT, SCOPES_OF, Grant, Principal, Scope
from policies.api_keys import (
    ALPHABET,
    LONGEST_POWERFUL,
    ONLY_BY_OWNERS,
    PATTERN,
    KeyWish,
    complete,
    flaw_in,
    is_from,
    is_well_formed,
    may_make,
)
from policies.audit_tags import Actor

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
SOON = NOW + timedelta(days=30)
TENANT, PROJECT, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
READS = frozenset({Scope.SESSIONS_READ})
README = Path(__file__).parents[2] / "README.md"
bodies = st.text(ALPHABET, min_size=30, max_size=30)


@given(bodies)
def test_a_key_is_found_and_proven_without_the_server(body: str) -> None:
    """It matches the published pattern, and its last six characters are the CRC-32 of the thirty before, in base 62."""
    key = complete(body)
    assert re.search(PATTERN, f"token={key};")
    assert is_well_formed(key)
    value = 0
    for character in key[-6:]:
        value = value * 62 + ALPHABET.index(character)
    assert value == zlib.crc32(key[9:-6].encode())


def test_the_pattern_is_published() -> None:
    """Word for word as it stands here."""
    assert f"\n{PATTERN}\n" in README.read_text(encoding="utf-8")


@given(bodies, st.integers(0, 44), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_noticed(body: str, place: int, wrong: str) -> None:
    """Wherever it stands: a CRC finds every error of one byte."""
    key = complete(body)
    changed = key[:place] + wrong + key[place + 1 :]
    assert is_well_formed(changed) is (changed == key)


@pytest.mark.parametrize(
    "text", ["", "ait_live_", complete("0" * 30)[:-1], complete("0" * 30) + "\n", f" {complete('0' * 30)}", "é" * 45]
)
def test_what_is_no_key(text: str) -> None:
    """Too short, too long, or other signs."""
    assert not is_well_formed(text)


def maker(kind: str, *grants: Grant) -> Principal:
    return Principal(actor=Actor(kind, "m"), tenant_id=TENANT, grants=grants)  # type: ignore[arg-type]


OWNER = maker("user", Grant(SCOPES_OF["owner"], None, "owner"))
KEY_OF_ALL = maker("key", Grant(frozenset(Scope), None))
MAKING = [
    (OWNER, frozenset(Scope), None, True),
    (OWNER, READS, PROJECT, True),
    (KEY_OF_ALL, READS, None, True),
    (KEY_OF_ALL, frozenset(Scope) - ONLY_BY_OWNERS, None, True),
    *((KEY_OF_ALL, frozenset({scope}), None, False) for scope in ONLY_BY_OWNERS),
    (maker("key", Grant(READS | {Scope.KEYS_WRITE}, None)), READS | {Scope.TRANSCRIPTS_READ}, None, False),
    (maker("key", Grant(READS, PROJECT)), READS, None, False),
    (maker("key", Grant(READS, PROJECT)), READS, OTHER, False),
    (maker("key", Grant(READS, PROJECT)), READS, PROJECT, True),
    (maker("user", Grant(SCOPES_OF["owner"], PROJECT, "owner")), frozenset({Scope.KEYS_WRITE}), None, False),
]


@pytest.mark.parametrize(("by", "scopes", "project_id", "may"), MAKING)
def test_who_may_make_what(by: Principal, scopes: frozenset[Scope], project_id: UUID | None, *, may: bool) -> None:
    """Nobody gives a key more than they have; what makes keys and members, and billing, only a person who owns all."""
    assert bool(may_make(by, KeyWish(name="k", scopes=scopes, project_id=project_id))) is may


FLAWS = [
    ({}, None),
    ({"name": ""}, "name"),
    ({"name": " k"}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "x" * 81}, "name"),
    ({"scopes": frozenset()}, "scopes"),
    *(({"scopes": frozenset({scope}), "project_id": PROJECT, "expires_at": SOON}, "scopes") for scope in OF_THE_TENANT),
    ({"expires_at": NOW}, "expires_at"),
    ({"expires_at": SOON}, None),
    *(({"scopes": frozenset({scope})}, "expires_at") for scope in NEEDS_SECOND_FACTOR),
    *(({"scopes": frozenset({scope}), "expires_at": SOON}, None) for scope in NEEDS_SECOND_FACTOR),
    ({"scopes": NEEDS_SECOND_FACTOR, "expires_at": NOW + LONGEST_POWERFUL + timedelta(seconds=1)}, "expires_at"),
    ({"networks": ("192.0.2.0/24", "2001:db8::/48", "198.51.100.7")}, None),
    ({"networks": ("192.0.2.1/24",)}, "networks"),
    ({"networks": ("office",)}, "networks"),
    ({"networks": ("192.0.2.0/24",) * 21}, "networks"),
]


@pytest.mark.parametrize(("changed", "field"), FLAWS)
def test_what_a_key_can_be(changed: dict[str, object], field: str | None) -> None:
    """The field that is wrong is named; what asks people for a second factor ends within ninety days."""
    wish = {"name": "Booking", "scopes": READS, **changed}
    flaw = flaw_in(KeyWish(**wish), NOW)  # type: ignore[arg-type]
    assert (None if flaw is None else flaw.field) == field


NETWORKS = [
    ((), "203.0.113.9", True),
    ((), None, True),
    (("192.0.2.0/24",), "192.0.2.77", True),
    (("192.0.2.0/24",), "192.0.3.1", False),
    (("192.0.2.0/24",), "::ffff:192.0.2.77", True),
    (("192.0.2.0/24", "2001:db8::/48"), "2001:db8::5", True),
    (("2001:db8::/48",), "192.0.2.77", False),
    (("192.0.2.0/24",), None, False),
    (("192.0.2.0/24",), "unix:", False),
]


@pytest.mark.parametrize(("networks", "address", "may"), NETWORKS)
def test_from_where_a_key_may_be_used(networks: tuple[str, ...], address: str | None, *, may: bool) -> None:
    """From inside its networks; where nobody can say from where, from nowhere."""
    assert is_from(networks, address) is may

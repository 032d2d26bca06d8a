"""Keys of the HTTP API: how one looks, and what may be in it.

`ait_live_`, thirty characters of base 62 by chance (178 bits), and the CRC-32 of those in six more: whoever scans files
for secrets can tell a key from what only looks like one without asking the server, and so can the server.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from uuid import UUID

from policies.access import NEEDS_SECOND_FACTOR, OF_THE_TENANT, Principal, Scope
from policies.verdict import Allow, Deny, Verdict

PREFIX: Final = "ait_live_"
ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
BODY_LENGTH: Final = 30
PATTERN: Final = r"\bait_live_[0-9A-Za-z]{36}\b"
"""For scanners of secrets."""
LONGEST_NAME: Final = 80
LONGEST_POWERFUL: Final = timedelta(days=90)
"""A program cannot show a second factor, so what asks people for one ends by itself in a key."""
ONLY_BY_OWNERS: Final = frozenset({Scope.BILLING_WRITE, Scope.KEYS_WRITE, Scope.MEMBERS_WRITE})
"""Only a person who owns the tenant gives these to a key: a key that makes keys makes none of its own kind."""
_CHECKSUM_LENGTH: Final = 6
_WHOLE: Final = re.compile(PREFIX + r"([0-9A-Za-z]{30})([0-9A-Za-z]{6})", re.ASCII)
_MOST_NETWORKS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyWish:
    """A key that somebody wants to have."""

    name: str
    scopes: frozenset[Scope]
    project_id: UUID | None = None
    """None: for all of the tenant's."""
    networks: Sequence[str] = ()
    """From where it may be used, as CIDR; empty: from anywhere."""
    expires_at: datetime | None = None


def complete(body: str) -> str:
    """The whole key of thirty random characters."""
    value = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        value, digit = divmod(value, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return f"{PREFIX}{body}{digits}"


def is_well_formed(text: str) -> bool:
    """Whether it can be a key at all."""
    found = _WHOLE.fullmatch(text)
    return found is not None and complete(found[1]) == text


def may_make(maker: Principal, wish: KeyWish, now: datetime) -> Verdict:
    """Whether this principal may have such a key made."""
    if not wish.scopes:
        return Deny("A key needs at least one scope.")
    if not maker.may_pass_on(wish.scopes, wish.project_id):
        return Deny("A key gets no scope that its maker does not have there.")
    if wish.project_id is not None and wish.scopes & OF_THE_TENANT:
        return Deny(f"A key of one project cannot carry {_listed(wish.scopes & OF_THE_TENANT)}.")
    if wish.scopes & ONLY_BY_OWNERS and not owns_tenant(maker):
        return Deny(f"Only an owner of the tenant gives a key {_listed(wish.scopes & ONLY_BY_OWNERS)}.")
    return may_be(wish, now)


def may_be(wish: KeyWish, now: datetime) -> Verdict:
    """Whether such a key may be at all, whoever makes it."""
    if not 1 <= len(wish.name.strip()) <= LONGEST_NAME or not wish.name.isprintable():
        return Deny(f"A key has a name of 1 to {LONGEST_NAME} characters, such as the program that uses it.")
    if wish.expires_at is not None and wish.expires_at <= now:
        return Deny("A key ends at a time to come.")
    powerful = wish.scopes & NEEDS_SECOND_FACTOR
    if powerful and (wish.expires_at is None or wish.expires_at > now + LONGEST_POWERFUL):
        return Deny(f"A key with {_listed(powerful)} ends within {LONGEST_POWERFUL.days} days.")
    if len(wish.networks) > _MOST_NETWORKS:
        return Deny(f"A key has at most {_MOST_NETWORKS} networks.")
    bad = next((one for one in wish.networks if not is_network(one)), None)
    return Allow() if bad is None else Deny("Networks are written as CIDR, such as 192.0.2.0/24 or 2001:db8::/48.")


def owns_tenant(principal: Principal) -> bool:
    """Whether it is a person who owns all of the tenant."""
    return principal.actor.kind == "user" and any(
        grant.role == "owner" and grant.project_id is None for grant in principal.grants
    )


def is_network(text: str) -> bool:
    """Whether it is CIDR without bits beyond its length."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def is_from(networks: Sequence[str], address: str | None) -> bool:
    """Whether a key that is limited to these networks may be used from this address."""
    if not networks:
        return True
    try:
        found = _plain(ip_address(address or ""))
    except ValueError:
        return False
    return any(found in ip_network(network) for network in networks)


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address as it is, also where the socket shows it inside IPv6 (RFC 4291 section 2.5.5.2)."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _listed(scopes: frozenset[Scope]) -> str:
    return ", ".join(sorted(scopes))

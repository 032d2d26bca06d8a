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
MOST_NETWORKS: Final = 20
LONGEST_POWERFUL: Final = timedelta(days=90)
"""A program cannot show a second factor, so what asks people for one ends by itself in a key."""
ONLY_BY_OWNERS: Final = frozenset({Scope.BILLING_WRITE, Scope.KEYS_WRITE, Scope.MEMBERS_WRITE})
"""Only a person who owns the tenant gives these to a key: a key that makes keys makes none of its own kind."""
_CHECKSUM_LENGTH: Final = 6
_WHOLE: Final = re.compile(PREFIX + r"([0-9A-Za-z]{30})([0-9A-Za-z]{6})", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a key cannot be as it was wished for."""

    field: str
    """Of `KeyWish`."""
    reason: str


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


def may_make(maker: Principal, wish: KeyWish) -> Verdict:
    """Whether this principal may have such a key made."""
    if not maker.may_pass_on(wish.scopes, wish.project_id):
        return Deny("A key gets no scope that its maker does not have there.")
    if wish.scopes & ONLY_BY_OWNERS and not owns_tenant(maker):
        return Deny(f"Only an owner of the tenant gives a key {_listed(wish.scopes & ONLY_BY_OWNERS)}.")
    return Allow()


def flaw_in(wish: KeyWish, now: datetime) -> Flaw | None:
    """Why such a key cannot be, whoever makes it; None where it can."""
    powerful = wish.scopes & NEEDS_SECOND_FACTOR
    ends = wish.expires_at
    name_is_good = 1 <= len(wish.name) <= LONGEST_NAME and wish.name.isprintable() and wish.name == wish.name.strip()
    found = (
        (not name_is_good, "name", f"A key has a name of 1 to {LONGEST_NAME} characters, such as what uses it."),
        (not wish.scopes, "scopes", "A key needs at least one scope."),
        (
            wish.project_id is not None and wish.scopes & OF_THE_TENANT,
            "scopes",
            f"A key of one project cannot carry {_listed(wish.scopes & OF_THE_TENANT)}.",
        ),
        (ends is not None and ends <= now, "expires_at", "A key ends at a time to come."),
        (
            powerful and (ends is None or ends > now + LONGEST_POWERFUL),
            "expires_at",
            f"A key with {_listed(powerful)} ends within {LONGEST_POWERFUL.days} days.",
        ),
        (len(wish.networks) > MOST_NETWORKS, "networks", f"A key has at most {MOST_NETWORKS} networks."),
        (
            not all(is_network(one) for one in wish.networks),
            "networks",
            "Networks are written as CIDR, such as 192.0.2.0/24 or 2001:db8::/48.",
        ),
    )
    return next((Flaw(field, reason) for is_wrong, field, reason in found if is_wrong), None)


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

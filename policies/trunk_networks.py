"""Which networks a carrier may be said to send from: its own, and neither half the internet nor this machine.

A server has many tenants, and their carriers have many customers: so several tenants may name the same network. Which
terms hold is decided by the longest prefix, before anybody knows whose number was dialled. So nobody may name a part of
what another tenant has named, nor the same on other terms: they would decide for the other one's callers.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from policies.verdict import Allow, Deny, Verdict

_SHORTEST_V4 = 16
_SHORTEST_V6 = 32
"""Prefixes: carriers publish their addresses in networks smaller than these."""


def may_be_trunk(text: str) -> Verdict:
    """Whether the text, an address or a network in CIDR notation, may stand in a trunk."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return Deny(f"{text} is no network: write one such as 192.0.2.0/28 or 192.0.2.1.")
    if network.is_loopback or network.is_unspecified or network.is_multicast or network.is_link_local:
        return Deny(f"{text} is no network that a carrier sends from.")
    if network.prefixlen < (_SHORTEST_V4 if network.version == 4 else _SHORTEST_V6):
        return Deny(f"{text} is too large: name the carrier's own addresses.")
    return Allow()


@dataclass(frozen=True, slots=True)
class Terms:
    """On which a trunk's calls are taken."""

    networks: tuple[str, ...]
    """CIDR."""
    transports: frozenset[str]
    srtp: str
    min_tls: str


def decides_for_others(wanted: Terms, others: Iterable[Terms]) -> str | None:
    """The first of the wanted networks by which somebody would decide for another tenant's callers, or be decided for.

    `others` are the trunks of other tenants.
    """
    for other in others:
        same = (wanted.transports, wanted.srtp, wanted.min_tls) == (other.transports, other.srtp, other.min_tls)
        for text in wanted.networks:
            if any(_meet(text, theirs, same=same) for theirs in other.networks):
                return text
    return None


def _meet(text: str, theirs: str, *, same: bool) -> bool:
    """Whether the two have addresses in common, and it matters."""
    wanted, other = ipaddress.ip_network(text), ipaddress.ip_network(theirs)
    if wanted.version != other.version or not wanted.overlaps(other):
        return False
    return not same or wanted.prefixlen > other.prefixlen

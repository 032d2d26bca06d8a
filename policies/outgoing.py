"""Which addresses a request may be connected to, once a name has become one: the last look before a byte leaves.

A name that is on the list can be made to point anywhere by whoever answers for it in the DNS, and a moment later
somewhere else. So it is the address of the connection itself that is judged, not what the name meant earlier.
"""

import ipaddress
from typing import Literal

from policies.verdict import Allow, Deny, Verdict

Reach = Literal["here", "own", "public"]
"""This machine; the operator's own network and the Internet; the Internet only."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def may_connect(address: str, reach: Reach) -> Verdict:
    """Whether a connection of this reach may go to this IP address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    meant = [ip, *_inner(ip)]
    if reach == "here":
        return Allow() if ip.is_loopback else Deny("it is not this machine")
    if any(one.is_multicast or one.is_unspecified or one.is_link_local for one in meant):
        return Deny("no server is at such an address")  # 169.254.169.254 gives cloud machines their secrets
    if reach == "own" or all(one.is_global for one in meant):
        return Allow()
    return Deny("it is not on the Internet")


def _inner(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 address that an IPv6 address stands for (RFC 4291 2.5.5.2, RFC 3056, RFC 4380, RFC 6052)."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ()
    translated = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
    tunnelled = ip.teredo[1] if ip.teredo is not None else None
    return tuple(found for found in (translated, tunnelled, ip.ipv4_mapped, ip.sixtofour) if found is not None)

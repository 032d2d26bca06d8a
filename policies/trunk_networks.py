"""Which networks a carrier may be said to send from: its own, and neither half the internet nor this machine."""

import ipaddress

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

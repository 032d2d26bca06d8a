"""Which networks may be said to be a carrier's."""

import pytest

from policies.trunk_networks import Terms, decides_for_others, may_be_trunk


@pytest.mark.parametrize("network", ["192.0.2.1", "192.0.2.0/28", "10.1.0.0/16", "2001:db8::/48", "2001:db8::1"])
def test_a_carriers_own_addresses_may_be_named(network: str) -> None:
    """Single ones, small networks, those within a company, both families."""
    assert may_be_trunk(network)


@pytest.mark.parametrize(
    "network",
    [
        "", "carrier.example", "192.0.2.1/24", "0.0.0.0/0", "0.0.0.0", "8.0.0.0/8", "::/0", "127.0.0.1", "::1",
        "224.0.0.1", "169.254.1.1", "fe80::1", "2001::/16", "1.2.3.4/33",
    ],
)  # fmt: skip  # one look
def test_nobody_is_let_in_by_the_million(network: str) -> None:
    """Names, nonsense, this machine, groups, and whole continents are refused with the reason."""
    verdict = may_be_trunk(network)
    assert not verdict
    assert network in verdict.reason  # type: ignore[union-attr]  # a denial has one


def terms(network: str, transport: str = "tls", srtp: str = "mandatory", min_tls: str = "1.3") -> Terms:
    """Of one trunk."""
    return Terms((network,), frozenset({transport}), srtp, min_tls)


@pytest.mark.parametrize(
    ("wanted", "other", "refused"),
    [
        (terms("192.0.2.0/28"), terms("192.0.2.0/28"), False),
        (terms("192.0.2.0/28"), terms("192.0.2.0/30"), False),
        (terms("192.0.2.0/30"), terms("192.0.2.0/28"), True),
        (terms("192.0.2.0/28", srtp="off"), terms("192.0.2.0/28"), True),
        (terms("192.0.2.0/28", "udp"), terms("192.0.2.0/30"), True),
        (terms("192.0.2.0/28", min_tls="1.2"), terms("192.0.2.0/28"), True),
        (terms("192.0.2.0/28", srtp="off"), terms("198.51.100.0/28"), False),
        (terms("2001:db8::/48"), terms("192.0.2.0/28"), False),
    ],
)
def test_nobody_decides_for_anothers_callers(wanted: Terms, other: Terms, refused: bool) -> None:  # noqa: FBT001  # from the table
    """A part of another tenant's network, or the same on other terms, is refused; the same on the same is shared."""
    assert (decides_for_others(wanted, [other]) is not None) == refused

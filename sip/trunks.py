"""Who may call: trunks, known by the networks they send from. The edge knows them by id only, never whose they are."""

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal

import msgspec

from sip.tokens import TRANSPORTS, Transport

TRUNKS_NAME = "trunks.json"
"""Name of the file in the run folder."""

_CACHED_SOURCES = 4_096


class Trunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's or a switchboard's way in."""

    id: str
    networks: tuple[str, ...]
    """CIDR, IPv4 or IPv6; the longest matching prefix of all trunks decides."""
    transports: tuple[Transport, ...] = TRANSPORTS
    srtp: Literal["off", "optional", "mandatory"] = "optional"
    min_tls: Literal["1.2", "1.3"] = "1.3"
    """1.2 is an audited exception for a peer that cannot do better."""


LOOPBACK = Trunk(id="loopback", networks=("127.0.0.0/8", "::1/128"))
"""The machine itself; always a trunk, unless another trunk names its addresses."""


BROWSER_ADDRESS = "127.0.0.66"
"""Where calls from the web admin come from (`sip.browser`): an address of this machine that nothing else uses."""
BROWSER = Trunk(id="browser", networks=(f"{BROWSER_ADDRESS}/32",), transports=("udp",), srtp="off")
"""Always a trunk; no other can take its address."""


class BadTrunksError(Exception):
    """The list of trunks is damaged or names an impossible network; says what is wrong."""


def write_trunks(path: Path, trunks: Iterable[Trunk]) -> None:
    """Replace the file that the edge reads, in one step. Raises `BadTrunksError` before anything is written."""
    listed = tuple(trunks)
    TrunkTable(listed)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.encode(listed))
    fresh.rename(path)


def read_trunks(path: Path) -> tuple[Trunk, ...]:
    """The trunks in the file; none when there is no file. Raises `BadTrunksError`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Trunk, ...])
    except FileNotFoundError:
        return ()
    except (msgspec.DecodeError, OSError) as error:
        raise BadTrunksError(f"{path.name}: {error}") from error


class TrunkTable:
    """Finds the trunk that an address belongs to."""

    def __init__(self, trunks: Iterable[Trunk] = ()) -> None:
        listed: list[tuple[IPv4Network | IPv6Network, Trunk]] = []
        for trunk in (BROWSER, *trunks, LOOPBACK):
            for network in trunk.networks:
                try:
                    listed.append((ip_network(network), trunk))
                except ValueError as error:
                    raise BadTrunksError(f"trunk {trunk.id}: {error}") from error
        listed.sort(key=lambda row: row[0].prefixlen, reverse=True)  # stable: of the same length the first wins
        self._networks = listed
        self._cache: dict[str, Trunk | None] = {}

    @property
    def lowest_tls(self) -> Literal["1.2", "1.3"]:
        """What the TLS door has to accept at least."""
        return "1.2" if any(trunk.min_tls == "1.2" for _, trunk in self._networks) else "1.3"

    def find(self, ip: str) -> Trunk | None:
        """The trunk of this source address; None for a stranger."""
        if ip in self._cache:
            return self._cache[ip]
        address = ip_address(ip.partition("%")[0])
        found = next((trunk for network, trunk in self._networks if address in network), None)
        if len(self._cache) >= _CACHED_SOURCES:
            self._cache.clear()
        self._cache[ip] = found
        return found

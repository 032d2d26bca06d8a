"""Who may call: trunks, known by the networks they send from. The edge knows them by id only, never whose they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Literal

import msgspec

from sip.tokens import TRANSPORTS, Transport

TRUNKS_NAME = "trunks.json"
"""Name of the file in the run folder."""

_CACHED_SOURCES = 4_096

Srtp = Literal["off", "optional", "mandatory"]
"""Whether a trunk's sound has to be encrypted."""


class Trunk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's or a switchboard's way in."""

    id: str
    networks: tuple[str, ...]
    """CIDR, IPv4 or IPv6; the longest matching prefix of all trunks decides."""
    transports: tuple[Transport, ...] = TRANSPORTS
    srtp: Srtp = "optional"
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


@dataclass(frozen=True, slots=True)
class TermBroken:
    """Why a call is not let in."""

    status: int
    """Of the answer in SIP; 0 where the connection is closed without one."""
    reason: str


STRANGER = TermBroken(403, "the source address belongs to no trunk")


def transport_refusal(trunk: Trunk, transport: str) -> TermBroken | None:
    """Why what comes from this trunk's address by this transport is turned away, if it is."""
    allowed = transport in trunk.transports
    return None if allowed else TermBroken(403, "the trunk does not use this transport")


def tls_refusal(floor: Literal["1.2", "1.3"], version: str) -> TermBroken | None:
    """Why a handshake with this version, such as "TLSv1.3", is not taken, if it is not."""
    accepted = version == "TLSv1.3" or (version == "TLSv1.2" and floor == "1.2")
    return None if accepted else TermBroken(0, f"{version} is below the trunk's floor")


def sound_refusal(srtp: Srtp, *, encrypted: bool) -> TermBroken | None:
    """Why sound that is offered encrypted only, or not encrypted only, is not taken, if it is not."""
    if encrypted and srtp == "off":
        return TermBroken(488, "SRTP offered, which this trunk has turned off")
    if not encrypted and srtp == "mandatory":
        return TermBroken(488, "this trunk allows SRTP only")
    return None


def call_refusal(table: TrunkTable, ip: str, *, transport: str, tls_version: str, encrypted: bool) -> TermBroken | None:
    """Why a call from there on these terms would not be let in, if it would not: what the edge asks, in its order."""
    trunk = table.find(ip)
    if transport == "tls" and (broken := tls_refusal("1.3" if trunk is None else trunk.min_tls, tls_version)):
        return broken
    if trunk is None:
        return STRANGER
    return transport_refusal(trunk, transport) or sound_refusal(trunk.srtp, encrypted=encrypted)

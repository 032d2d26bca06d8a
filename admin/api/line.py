"""The telephone line: how carriers reach this server, and what to set at each carrier that has a guide."""

import msgspec

from admin.ask import Ask
from admin.guides import GUIDES
from store.trunks import MinTls, Srtp


class LineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where calls are to be sent."""

    uri: str
    """SIP URI, over UDP or TCP."""
    tls_uri: str | None
    """The same over TLS; None where the server has no certificate."""
    host: str
    port: int
    """Of UDP and TCP."""
    tls_port: int | None
    rtp_ports: str
    """UDP, from where sound comes and goes, such as `20000-20999`."""
    is_public: bool
    """Whether calls from other machines are taken at all."""


class TrunkGuide(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier or telephone system, and the trunk that goes with it."""

    key: str
    name: str
    lead: str
    networks: tuple[str, ...]
    """As its maker publishes them, CIDR or addresses; empty where they are your own."""
    transports: tuple[str, ...]
    srtp: Srtp
    min_tls: MinTls
    sources: tuple[str, ...]
    """What its maker says."""


class TrunkGuideList(msgspec.Struct, frozen=True, kw_only=True):
    """All guides."""

    items: tuple[TrunkGuide, ...]


async def get_line(ask: Ask) -> LineFacts:
    """Show where carriers are to send calls."""
    line = ask.services.telephone.line
    return LineFacts(
        uri=line.uri(),
        tls_uri=None if line.tls_port is None else line.uri(transport="tls"),
        host=line.host,
        port=line.port,
        tls_port=line.tls_port,
        rtp_ports=line.rtp_ports,
        is_public=line.is_public,
    )


async def list_trunk_guides(_ask: Ask) -> TrunkGuideList:
    """List the carriers and telephone systems that there is a guide for, and the trunk that goes with each."""
    return TrunkGuideList(
        items=tuple(msgspec.convert(guide, TrunkGuide, from_attributes=True) for guide in GUIDES.values())
    )

"""Where the telephone network reaches this server, and whom it has not let in lately."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Never


class EdgeAwayError(Exception):
    """The part that faces the telephone network does not answer, or runs on another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedCall:
    """A request, or a handshake, that was not let in. Its address is shown, and kept nowhere."""

    at: datetime
    """The last time."""
    transport: str
    ip: str
    method: str
    """Of SIP; "TLS" for a handshake."""
    status: int
    """0 where there was no answer."""
    reason: str
    """In the words of the edge."""
    times: int
    """Since the server started."""
    called: Sequence[str]
    """What was dialled, the last few, newest last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriedCall:
    """A call as a carrier might send it."""

    ip: str
    transport: Literal["udp", "tcp", "tls"]
    tls: Literal["1.2", "1.3"]
    """The newest version that the carrier speaks; counts with TLS only."""
    srtp: bool
    """Whether its sound is encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How carriers reach this server."""

    host: str
    """A name or an address; of this machine only where it is not public."""
    port: int
    """Of UDP and TCP."""
    tls_port: int | None
    """None where there is no certificate."""
    rtp_ports: str
    """Such as "20000-20999", UDP."""
    is_public: bool
    """Whether calls from other machines are taken at all."""

    def uri(self, called: str = "", transport: str = "udp") -> str:
        """What to dial; without a number, where calls are to be sent."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port, usual = (self.tls_port or 5061, 5061) if transport == "tls" else (self.port, 5060)
        place = host if port == usual else f"{host}:{port}"
        return f"sip:{called}@{place}".replace(":@", ":") + ("" if transport == "udp" else f";transport={transport}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telephone:
    """What the admin knows of the telephone network."""

    line: Line
    refused: Callable[[], Awaitable[Sequence[RefusedCall]]]
    """Who was not let in lately, newest first. Raises `EdgeAwayError`."""
    judge: Callable[[TriedCall], Awaitable[tuple[int, str] | None]]
    """Why the edge would not let this call in now: status and reason; None: it would. Raises `EdgeAwayError`."""


async def _nowhere(_tried: object = None) -> Never:
    raise EdgeAwayError("this machine takes no calls")


NO_TELEPHONE = Telephone(
    line=Line(host="127.0.0.1", port=5060, tls_port=None, rtp_ports="", is_public=False),
    refused=_nowhere,
    judge=_nowhere,
)
"""Of an admin that runs apart from the calls."""

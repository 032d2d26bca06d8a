"""The one way out over HTTP: to places that the register knows, within what the project allows, and counted.

Every request says on whose behalf it is made (`on_behalf_of`); one that does not, or goes to a host that nobody has
named, is refused before a connection is opened. The connection itself is looked at again, by its address, so that a
name in the DNS cannot lead it elsewhere. Certificates are verified, redirects not followed, and nothing of the
environment, such as a proxy, changes the way. SDKs get it as their transport.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, datetime
from errno import EACCES
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
import httpx2

from policies.outgoing import Reach, may_connect
from policies.residency import Bounds, may_receive
from policies.subprocessors import Place, Register
from policies.verdict import Deny

ANSWER_BYTES: Final = 32 << 20
"""The longest answer that is read."""
_REACHES: Final[Mapping[str, Reach]] = {"here": "here", "own": "own", "subprocessor": "public"}


class EgressRefusedError(Exception):
    """A request that must not leave. `code` is one word for a journal."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class Traffic:
    """Bytes of HTTP, headers included; without what TLS and TCP add."""

    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    """As it came, perhaps compressed."""


_behalf: ContextVar[tuple[Bounds, Traffic] | None] = ContextVar("on whose behalf", default=None)


class Outgoing:
    """One process' way out. Close it at the end."""

    def __init__(
        self, register: Register | None = None, *, today: Callable[[], date] = lambda: datetime.now(UTC).date()
    ) -> None:
        """Without a register only what is part of every contract may be talked to."""
        self.register = Register() if register is None else register
        """May be replaced by a newer one at any time."""
        self._today = today
        self._tls: ssl.SSLContext | None = None
        self._sessions: dict[Reach, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def check(self, url: str, bounds: Bounds) -> Place:
        """Where a request would go.

        Raises:
            EgressRefusedError: It must not: "provider_unregistered", "provider_out_of_bounds" or "unencrypted".
        """
        parts = urlsplit(url)
        place = self.register.place_of(parts.hostname or "", self._today())
        if isinstance(place, Deny):
            raise EgressRefusedError("provider_unregistered", place.reason)
        verdict = may_receive(place, bounds)
        if isinstance(verdict, Deny):
            raise EgressRefusedError("provider_out_of_bounds", verdict.reason)
        if parts.scheme != "https" and place.kind != "here":
            raise EgressRefusedError("unencrypted", f"{place.host} would be talked to in the clear")
        return place

    @contextmanager
    def on_behalf_of(self, bounds: Bounds) -> Iterator[Traffic]:
        """Requests made within, by this task and those it starts, are for a project with these bounds; what they cost.

        `policies.residency.ANYWHERE` is for requests that carry nobody's content.
        """
        traffic = Traffic()
        token = _behalf.set((bounds, traffic))
        try:
            yield traffic
        finally:
            _behalf.reset(token)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"", seconds: float
    ) -> Answer:
        """Ask a server, within so many seconds.

        Raises:
            EgressRefusedError: The request must not leave, or nobody said on whose behalf it is made.
            aiohttp.ClientError: The server cannot be reached, or says what is no HTTP.
            TimeoutError: It takes too long.
        """
        behalf = _behalf.get()
        if behalf is None:
            raise EgressRefusedError("nobodys", "nobody said on whose behalf this request is made")
        bounds, traffic = behalf
        place = self.check(url, bounds)
        traffic.sent_bytes += len(body)  # also when nobody answers
        async with self._session(_REACHES[place.kind]).request(
            method,
            url,
            headers=headers,
            data=body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=seconds),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding"),
        ) as answer:
            traffic.sent_bytes += _length(answer.request_info.headers.items())
            content = bytearray()
            async for piece in answer.content.iter_any():
                content += piece
                traffic.received_bytes += len(piece)
                if len(content) > ANSWER_BYTES:
                    raise aiohttp.ClientPayloadError("the answer is too long")
            traffic.received_bytes += _length(answer.headers.items())
            return Answer(answer.status, answer.raw_headers, bytes(content))

    def transport(self) -> httpx2.AsyncBaseTransport:
        """The same for an SDK that is built on HTTPX."""
        return _Transport(self)

    def _session(self, reach: Reach) -> aiohttp.ClientSession:
        if reach not in self._sessions:
            if self._tls is None and reach != "here":
                self._tls = ssl.create_default_context()
            connector = aiohttp.TCPConnector(
                ssl=self._tls or True, socket_factory=_guard(reach), ttl_dns_cache=60, limit_per_host=32
            )
            self._sessions[reach] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, trust_env=False
            )
        return self._sessions[reach]


class _Transport(httpx2.AsyncBaseTransport):
    """HTTPX' end of it."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request of the SDK. Errors are HTTPX' own, which SDKs know."""
        seconds = request.extensions.get("timeout", {}).get("read") or 30.0
        try:
            answer = await self._outgoing.request(
                request.method,
                str(request.url),
                headers={name: value for name, value in request.headers.items() if name not in _OUR_OWN},
                body=await request.aread(),
                seconds=seconds,
            )
        except TimeoutError as error:
            raise httpx2.ReadTimeout("no answer in time", request=request) from error
        except (aiohttp.ClientError, OSError) as error:
            raise httpx2.ConnectError(type(error).__name__, request=request) from error
        headers = [(name, value) for name, value in answer.headers if name.lower() != b"transfer-encoding"]
        return httpx2.Response(answer.status, headers=headers, stream=httpx2.ByteStream(answer.body))


_OUR_OWN: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})
"""Headers that aiohttp writes itself."""


def _guard(reach: Reach) -> aiohttp.SocketFactoryType:
    """Makes the sockets of connections; looks at the address before anything is sent."""

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        verdict = may_connect(str(address[0]), reach)
        if isinstance(verdict, Deny):
            raise PermissionError(EACCES, f"the name leads to {address[0]}: {verdict.reason}")
        return socket.socket(family, kind, protocol)

    return make


def _length(headers: Iterable[tuple[str, str]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)

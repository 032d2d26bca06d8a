"""The sockets that face the world: UDP, TCP and TLS, IPv4 and IPv6, and what one source may do to them."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import ssl
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Literal

import structlog

from sip.connections import Connection
from sip.limits import SourceBuckets, source_of
from sip.tokens import TRANSPORTS, Flow, Transport
from sip.trunks import tls_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sip.counters import Counters
    from sip.settings import EdgeLimits, EdgeSettings

_log = structlog.get_logger()

_DATAGRAMS_A_TURN = 64
_RECEIVE_BUFFER_BYTES = 4 << 20
_SHORTEST_MESSAGE = 20
"""Bytes; shorter datagrams are keep-alives."""
_BACKLOG = 512
_ACCEPTS_A_TURN = 32
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_RECOVER_S = 1.0
_PORT_TRIES = 20
_ANY = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to recognise them
_TLS_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class NoDoorError(Exception):
    """An address or port cannot be listened at, or the certificate cannot be read; says which and why."""


class Doors:
    """All public sockets. Give `on_message` and the other callbacks before `open`."""

    def __init__(self, settings: EdgeSettings, counters: Counters) -> None:
        self._settings = settings
        self.limits: EdgeLimits = settings.limits
        self._counters = counters
        self._messages = SourceBuckets(self.limits.messages_per_s, self.limits.messages_burst)
        self._sockets: dict[int, socket.socket] = {}
        self._connections: dict[int, Connection] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._by_source: Counter[str] = Counter()
        self._tls: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._local_ips: dict[tuple[int, str], str] = {}
        self.on_message: Callable[[bytes, Flow], None]
        self.on_unframed: Callable[[bytes, str, Flow], None]
        self.on_turned_away: Callable[[Flow, str], None]
        """Told of peers whose TLS came to nothing, and why."""
        self.tls_floor: Callable[[str], Literal["1.2", "1.3"]]
        """The lowest TLS version that this address may use."""
        self.in_use: Callable[[int], bool]
        """Whether a call needs the connection of this number, however silent it is."""

    # --- opening and closing -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Listen. Raises `NoDoorError` when a socket cannot be had; a bind of an absent IP family is skipped."""
        settings = self._settings
        if settings.tls_certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
            self.reload_certificates()
        for number, bind in enumerate(settings.binds):
            try:
                self._open_plain(number, bind)
                if self._tls is not None:
                    listening = self._socket(bind, settings.sip_tls_port, socket.SOCK_STREAM)
                    self._listen(3 * number + TRANSPORTS.index("tls"), listening, "tls")
            except OSError as error:
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT} or len(settings.binds) == 1:
                    self.close()
                    raise NoDoorError(f"cannot listen at {bind}: {error}") from error
                _log.warning("sip_address_skipped", address=bind, reason=error.strerror)
        if not self._sockets:
            raise NoDoorError(f"this machine has none of the addresses {', '.join(settings.binds)}")
        self._sweep_later()

    def _open_plain(self, number: int, bind: str) -> None:
        """UDP and TCP at the same port, the same one for all binds."""
        wanted = self._settings.sip_port or self.port("udp")
        for attempt in range(_PORT_TRIES):
            datagrams = self._socket(bind, wanted, socket.SOCK_DGRAM)
            try:
                listening = self._socket(bind, datagrams.getsockname()[1], socket.SOCK_STREAM)
            except OSError:
                datagrams.close()
                if wanted or attempt == _PORT_TRIES - 1:
                    raise
                continue
            break
        door = 3 * number
        self._sockets[door] = datagrams
        asyncio.get_running_loop().add_reader(datagrams, partial(self._read_datagrams, datagrams, door))
        self._listen(door + TRANSPORTS.index("tcp"), listening, "tcp")

    @staticmethod
    def _socket(bind: str, port: int, kind: socket.SocketKind) -> socket.socket:
        family = socket.AF_INET6 if ":" in bind else socket.AF_INET
        made = socket.socket(family, kind)
        try:
            made.setblocking(False)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            made.bind((bind, port))
            if kind == socket.SOCK_STREAM:
                made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
        return made

    def _listen(self, door: int, listening: socket.socket, transport: Transport) -> None:
        self._sockets[door] = listening
        asyncio.get_running_loop().add_reader(listening, partial(self._accept, listening, door, transport))

    def close(self) -> None:
        """Stop listening and cut all connections off."""
        if self._sweep is not None:
            self._sweep.cancel()
        loop = asyncio.get_running_loop()
        for door in self._sockets.values():
            loop.remove_reader(door)
            door.close()
        self._sockets.clear()
        for task in self._opening:
            task.cancel()
        for connection in list(self._connections.values()):
            connection.abort()

    def reload_certificates(self) -> None:
        """Read chain and key again, for all handshakes from now on. Raises `NoDoorError`; the old ones stay then."""
        if self._tls is None or self._settings.tls_certificate is None:
            return
        try:
            self._tls.load_cert_chain(self._settings.tls_certificate, self._settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise NoDoorError(f"certificate {self._settings.tls_certificate}: {error}") from error

    def set_lowest_tls(self, floor: Literal["1.2", "1.3"]) -> None:
        """What handshakes accept at least; which peer may use less than 1.3 is asked of `tls_floor` afterwards."""
        if self._tls is not None:
            self._tls.minimum_version = _TLS_VERSIONS[floor]

    # --- where we are ------------------------------------------------------------------------------------------------

    def port(self, transport: Transport) -> int:
        """The port of the first door of this transport; 0 when there is none."""
        for door, opened in self._sockets.items():
            if door % 3 == TRANSPORTS.index(transport):
                return int(opened.getsockname()[1])
        return 0

    def addresses(self) -> tuple[str, ...]:
        """Where we listen, such as "udp 127.0.0.1:5060"."""
        listed = []
        for door, opened in self._sockets.items():
            ip, port = opened.getsockname()[:2]
            listed.append(str(Flow(TRANSPORTS[door % 3], door, ip, port, 0)))
        return tuple(listed)

    @property
    def connections(self) -> int:
        """Open connections, those in their handshake included."""
        return len(self._connections)

    def our_address(self, flow: Flow) -> str:
        """Host and port that this peer reaches us at, for Via and Contact."""
        opened = self._sockets.get(flow.door)
        port = int(opened.getsockname()[1]) if opened else self.port(flow.transport)
        host = self._settings.public_host
        if host is None or flow.ip.startswith("127.") or flow.ip == "::1":
            host = self._local_ip(flow, opened)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _local_ip(self, flow: Flow, opened: socket.socket | None) -> str:
        connection = self._connections.get(flow.connection)
        if connection is not None:
            return connection.local_ip
        bound = str(opened.getsockname()[0]) if opened else flow.ip
        if bound not in _ANY:
            return bound
        key = (flow.door, flow.ip)
        if key not in self._local_ips:
            if len(self._local_ips) > 1_000:
                self._local_ips.clear()
            family = socket.AF_INET6 if ":" in flow.ip else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as probe:  # asks the routing table; sends nothing
                probe.connect((flow.ip, flow.port or 5060))
                self._local_ips[key] = str(probe.getsockname()[0])
        return self._local_ips[key]

    # --- UDP ---------------------------------------------------------------------------------------------------------

    def _read_datagrams(self, door: socket.socket, number: int) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                data, address = door.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier datagram; the socket is fine
                continue
            flow = Flow("udp", number, address[0], address[1], 0)
            if len(data) < _SHORTEST_MESSAGE or flow.port == 0:
                continue
            if len(data) > self.limits.message_bytes:
                self.dropped("the message is too long")
            elif self.may_receive(flow):
                self.on_message(data, flow)
            else:
                self.dropped("more messages than one source may send")

    def send(self, flow: Flow, data: bytes) -> bool:
        """Send to a peer; False when its connection is gone or the network refuses."""
        if flow.transport != "udp":
            connection = self._connections.get(flow.connection)
            return connection is not None and connection.send(data)
        door = self._sockets.get(flow.door)
        if door is None:
            return False
        try:
            door.sendto(data, (flow.ip, flow.port))
        except OSError:
            self.dropped("the network took no datagram")
            return False
        return True

    # --- TCP and TLS -------------------------------------------------------------------------------------------------

    def _accept(self, listening: socket.socket, door: int, transport: Transport) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPTS_A_TURN):
            try:
                accepted, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self.dropped("out of descriptors or memory")
                    loop.remove_reader(listening)
                    loop.call_later(_RECOVER_S, self._listen_again, door, listening, transport)
                    return
                continue  # that peer has gone again
            source = source_of(address[0])
            if self.connections >= self.limits.connections:
                accepted.close()
                self.dropped("too many connections")
            elif self._by_source[source] >= self.limits.connections_per_source:
                accepted.close()
                self.dropped("too many connections of one source")
            else:
                accepted.setblocking(False)
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                self._by_source[source] += 1
                flow = Flow(transport, door, address[0], address[1], 0)
                self._own(self._welcome(accepted, flow))

    def _listen_again(self, door: int, listening: socket.socket, transport: Transport) -> None:
        if self._sockets.get(door) is listening:
            self._listen(door, listening, transport)

    async def _welcome(self, accepted: socket.socket, flow: Flow) -> None:
        connection = self._connection(source_of(flow.ip), flow.door, flow.transport)
        tls = self._tls if flow.transport == "tls" else None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=tls, ssl_handshake_timeout=self.limits.handshake_s if tls else None
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError) as error:
            accepted.close()
            self.dropped("a handshake failed")
            if isinstance(error, ssl.SSLError) and error.reason:
                self.on_turned_away(flow, f"the TLS handshake failed: {error.reason.replace('_', ' ').lower()}")
            connection.connection_lost(None)
            if isinstance(error, asyncio.CancelledError):
                raise

    def _connection(self, source: str, door: int, transport: Transport) -> Connection:
        """A connection that is about to open; it may be asked to answer as soon as it is made."""
        number = secrets.randbits(63) + 1

        def closed(connection: Connection) -> None:
            if self._connections.pop(connection.flow.connection, None) is not None:
                self._counters.connections.labels(transport).dec()
                self._leave(source)

        connection = self._connections[number] = Connection(transport, door, number, self, closed)
        self._counters.connections.labels(transport).inc()
        return connection

    def call_back(self, flow: Flow, port: int, data: bytes, failed: Callable[[], None]) -> Flow:
        """Connect by TCP to a peer whose own connection is gone, and send; returns the new flow."""
        source = source_of(flow.ip)
        self._by_source[source] += 1
        connection = self._connection(source, flow.door, "tcp")

        async def connect() -> None:
            try:
                async with asyncio.timeout(self.limits.handshake_s):
                    await asyncio.get_running_loop().create_connection(lambda: connection, flow.ip, port)
            except (OSError, TimeoutError):
                self.dropped("a peer could not be called back")
                connection.connection_lost(None)
            if not connection.send(data):
                failed()

        self._own(connect())
        return flow._replace(port=port, connection=connection.flow.connection)

    def _own(self, opening: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(opening, name="sip connection opens")
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def _leave(self, source: str) -> None:
        self._by_source[source] -= 1
        if self._by_source[source] <= 0:
            del self._by_source[source]

    def _sweep_later(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for number, connection in list(self._connections.items()):
            if connection.too_slow(now_s):
                self.dropped("a message took too long to come")
                connection.abort()
            elif connection.idle(now_s) and not self.in_use(number):
                connection.close()
        self._sweep = asyncio.get_running_loop().call_later(min(1.0, self.limits.partial_message_s), self._sweep_later)

    # --- what connections ask (see `sip.connections.Receiver`) -------------------------------------------------------

    def message(self, data: bytes, flow: Flow) -> None:
        """One whole message of a connection."""
        self.on_message(data, flow)

    def may_receive(self, flow: Flow) -> bool:
        """Whether the source is within its message rate; counts one."""
        return self._messages.take(source_of(flow.ip), asyncio.get_running_loop().time())

    def unframed(self, head: bytes, why: str, flow: Flow) -> None:
        """A connection's stream cannot be followed any further."""
        self.on_unframed(head, why, flow)

    def tls_accepted(self, flow: Flow, version: str) -> bool:
        """Whether this peer may use this version of TLS, such as "TLSv1.3"."""
        broken = tls_refusal(self.tls_floor(flow.ip), version)
        if broken is not None:
            self.on_turned_away(flow, broken.reason)
        return broken is None

    def dropped(self, why: str) -> None:
        """Count something that was dropped."""
        self._counters.dropped(why)

"""One TCP or TLS connection of a peer: framing, keep-alives, patience and back-pressure."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

from sip.framing import PONG, FramingError, StreamCutter
from sip.tokens import Flow, Transport

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from sip.settings import EdgeLimits

_UNSENT_BYTES = 262_144
"""A peer that reads so slowly that this much waits for it is cut off."""
_BREATH_S = 0.1
"""How long a peer above its message rate is not read from."""


class Receiver(Protocol):
    """Where a connection's messages go."""

    limits: EdgeLimits

    def message(self, data: bytes, flow: Flow) -> None:
        """One whole message."""

    def may_receive(self, flow: Flow) -> bool:
        """Whether the source is within its message rate; counts one."""

    def unframed(self, head: bytes, why: str, flow: Flow) -> None:
        """The stream was lost in this message; the connection closes after this call."""

    def tls_accepted(self, flow: Flow, version: str) -> bool:
        """Whether this peer may use this version of TLS."""

    def dropped(self, why: str) -> None:
        """Count something that was dropped."""


class Connection(asyncio.Protocol):
    """A stream with one peer."""

    def __init__(
        self, transport: Transport, door: int, number: int, receiver: Receiver, closed: Callable[[Connection], None]
    ) -> None:
        self._kind: Transport = transport
        self._door = door
        self._number = number
        self._receiver = receiver
        self._closed = closed
        self._cutter = StreamCutter(receiver.limits.message_bytes, receiver.limits.header_bytes)
        self._waiting: deque[bytes] = deque()
        self._transport: asyncio.Transport | None = None
        self._last_s = 0.0
        self._partial_since_s: float | None = None
        self.flow = Flow(transport, door, "", 0, number)
        self.local_ip = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop; for TLS, after the handshake."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream has this kind; narrows for mypy
        self._transport = transport
        self._last_s = asyncio.get_running_loop().time()
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not local:  # gone again before it was ours
            transport.abort()
            return
        self.flow = Flow(self._kind, self._door, peer[0], peer[1], self._number)
        self.local_ip = local[0]
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        if tls is not None and not self._receiver.tls_accepted(self.flow, tls.version() or ""):
            self._receiver.dropped("TLS below the trunk's floor")
            transport.abort()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - the loop's signature
        """Called by the loop."""
        self._transport = None
        self._waiting.clear()
        self._closed(self)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        now_s = asyncio.get_running_loop().time()
        self._last_s = now_s
        try:
            messages, pings = self._cutter.feed(data)
        except FramingError as error:
            self._receiver.unframed(error.head, error.why, self.flow)
            self.close()
            return
        if not self._cutter.partial:
            self._partial_since_s = None
        elif messages or self._partial_since_s is None:
            self._partial_since_s = now_s
        if pings:
            self.send(PONG)
        self._waiting.extend(messages)
        self._hand_over()

    def _hand_over(self) -> None:
        """Pass on what the rate of the source allows, and stop reading until the rest has gone."""
        while self._waiting and self._transport is not None:
            if not self._receiver.may_receive(self.flow):
                self._transport.pause_reading()
                asyncio.get_running_loop().call_later(_BREATH_S, self._hand_over)
                return
            self._receiver.message(self._waiting.popleft(), self.flow)
        if self._transport is not None and not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def send(self, data: bytes) -> bool:
        """Write; False when the connection is gone, or the peer does not read and is cut off."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > _UNSENT_BYTES:
            self._receiver.dropped("the peer does not read")
            self._transport.abort()
            return False
        self._transport.write(data)
        return True

    def close(self) -> None:
        """Close once all has been written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def too_slow(self, now_s: float) -> bool:
        """Whether the peer has been sending one message for too long."""
        since_s = self._partial_since_s
        return since_s is not None and now_s - since_s > self._receiver.limits.partial_message_s

    def idle(self, now_s: float) -> bool:
        """Whether nothing has come for too long."""
        return now_s - self._last_s > self._receiver.limits.idle_s

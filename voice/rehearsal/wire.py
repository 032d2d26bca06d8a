"""The socket of one session, and the record of what went over it."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSMsgType, web


@dataclass(frozen=True)
class Seen:
    """One event that passed, as a test finds it."""

    at: float
    """`time.monotonic()`: when it was received, or when it was given to the socket."""
    connection: int
    """Number of the session on this server, from 0."""
    event: dict[str, Any]

    @property
    def kind(self) -> str:
        """The event's type."""
        return str(self.event.get("type"))


class Record:
    """What passed over a server's sockets, oldest first."""

    def __init__(self) -> None:
        self.received: list[Seen] = []
        self.sent: list[Seen] = []
        self._arrived = asyncio.Event()

    def note_received(self, connection: int, event: dict[str, Any]) -> None:
        """Keep a client's event."""
        self.received.append(Seen(time.monotonic(), connection, event))
        self._arrived.set()

    def note_sent(self, connection: int, event: dict[str, Any]) -> None:
        """Keep a server's event."""
        self.sent.append(Seen(time.monotonic(), connection, event))

    async def arrival(self) -> None:
        """Wait for the next client event."""
        self._arrived.clear()
        await self._arrived.wait()


class Wire:
    """Events in and out as JSON text. With a record, what passes is kept."""

    def __init__(
        self, request: web.Request, socket: web.WebSocketResponse, connection: int, record: Record | None
    ) -> None:
        self._request, self._socket = request, socket
        self._connection, self._record = connection, record

    async def __aiter__(self) -> AsyncIterator[str]:
        async for message in self._socket:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                yield message.data

    def note_received(self, event: Any) -> None:
        """Remember a client's event, when this server remembers."""
        if self._record is not None and isinstance(event, dict):
            self._record.note_received(self._connection, event)

    async def send(self, event: dict[str, Any]) -> None:
        """Send the event, unless the client has gone: then nobody is left to tell."""
        if self._socket.closed:
            return
        text = orjson.dumps(event)
        if self._record is not None:  # parsed again: the event's items live on and change
            self._record.note_sent(self._connection, orjson.loads(text))
        try:
            await self._socket.send_str(text.decode())
        except ConnectionError:
            return

    async def close(self, code: int, reason: str) -> None:
        """Close with a proper closing handshake."""
        await self._socket.close(code=code, message=reason.encode())

    def abort(self) -> None:
        """Cut the TCP connection without a word (RST), as a crash does."""
        if (transport := self._request.transport) is not None:
            transport.abort()

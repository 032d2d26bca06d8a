"""The socket of one session, and the record of what went over it."""

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


class Wire:
    """Events in and out as JSON text."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        connection: int,
        records: tuple[list[Seen], list[Seen]] | None,
    ) -> None:
        self._request, self._socket, self._connection = request, socket, connection
        self._received = records[0] if records else None
        self._sent = records[1] if records else None

    async def __aiter__(self) -> AsyncIterator[str]:
        async for message in self._socket:
            if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                yield message.data

    def note_received(self, event: Any) -> None:
        """Remember a client's event, when this server remembers."""
        if self._received is not None and isinstance(event, dict):
            self._received.append(Seen(time.monotonic(), self._connection, event))

    async def send(self, event: dict[str, Any]) -> None:
        """Send the event, unless the client has gone: then nobody is left to tell."""
        if self._socket.closed:
            return
        text = orjson.dumps(event)
        if self._sent is not None:
            self._sent.append(Seen(time.monotonic(), self._connection, orjson.loads(text)))
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

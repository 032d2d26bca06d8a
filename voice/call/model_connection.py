"""One WebSocket connection to a realtime model: opened, configured, written without waiting, read until it ends."""

import audioop
import ssl
from binascii import b2a_base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

MOST_UNSENT_BYTES = 64 << 10
"""A socket with so much waiting does not take the caller's voice any more: late sound is worse than none."""
LONGEST_EVENT_BYTES = 4 << 20
CLOSE_SECONDS = 0.5
FRAME_MS = 20

Event = dict[str, Any]


class ModelRefusedError(Exception):
    """No session could be had. `code` is the server's own where it gave one."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Traffic:
    """Bytes of messages to the model's server and from it; without what WebSocket, TLS and TCP add."""

    sent_bytes: int = 0
    received_bytes: int = 0


class ModelConnection:
    """A configured session. Everything written goes straight to the socket's buffer, in order."""

    def __init__(self, socket: ClientConnection, traffic: Traffic) -> None:
        self._socket = socket
        self._traffic = traffic
        self.appended_ms = 0
        """Caller's sound written so far: the server's clock for `audio_start_ms` and `audio_end_ms`."""
        self.dropped_frames = 0
        """Frames of the caller's voice that a congested socket did not take."""

    @classmethod
    async def open(
        cls, *, url: str, model: str, token: str, tls: ssl.SSLContext | None, session: Event, traffic: Traffic
    ) -> Self:
        """Connect and configure; the caller sets the deadline. What is exchanged is counted in `traffic`.

        Raises:
            ModelRefusedError: The server said no, or said something else than a session.
        """
        try:
            socket = await connect(
                f"{url}?model={quote(model)}",
                additional_headers={"Authorization": f"Bearer {token}"},
                ssl=tls if urlsplit(url).scheme == "wss" else None,
                compression=None,  # G.711 in base64 does not shrink enough to pay for it
                max_size=LONGEST_EVENT_BYTES,
                open_timeout=None,
                close_timeout=CLOSE_SECONDS,
                proxy=None,
            )
        except InvalidStatus as error:
            raise ModelRefusedError(f"http_{error.response.status_code}") from error
        except (OSError, WebSocketException) as error:
            raise ModelRefusedError("unreachable") from error
        connection = cls(socket, traffic)
        try:
            await connection._configure(session)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _configure(self, session: Event) -> None:
        self.send({"type": "session.update", "session": session})
        async for event in self.events():
            if event["type"] == "session.updated":
                return
            if event["type"] == "error":
                raise ModelRefusedError(error_code(event))
        raise ModelRefusedError(self.close_code)

    def send(self, event: Event) -> None:
        """Write one event; a connection that is gone swallows it, as `events` will tell."""
        self._write(orjson.dumps(event))

    def append(self, pcm: bytes) -> None:
        """Write one frame of the caller's voice (20 ms, signed 16 bits): the hot path, so built by hand."""
        if self._socket.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self.dropped_frames += 1
            return
        sound = b2a_base64(audioop.lin2ulaw(pcm, 2), newline=False)
        self._write(b'{"type":"input_audio_buffer.append","audio":"' + sound + b'"}')
        self.appended_ms += FRAME_MS

    def _write(self, text: bytes) -> None:
        # What `ClientConnection.send` does when it need not wait, without its two tasks' worth of machinery.
        try:
            self._socket.protocol.send_text(text)
            self._socket.send_data()
            self._traffic.sent_bytes += len(text)
        except WebSocketException:
            pass

    async def events(self) -> AsyncIterator[Event]:
        """What the server says, until the connection ends; what is no JSON object with a type is passed over."""
        try:
            while True:
                message = await self._socket.recv(decode=False)
                self._traffic.received_bytes += len(message)
                try:
                    event = orjson.loads(message)
                except orjson.JSONDecodeError:
                    continue
                if isinstance(event, dict) and isinstance(event.get("type"), str):
                    yield event
        except ConnectionClosed:
            return

    @property
    def close_code(self) -> str:
        """How it ended: the WebSocket close code; 1006 for a connection that just broke."""
        return str(self._socket.close_code or 1006)

    def abort(self) -> None:
        """Drop it at once, without a word."""
        self._socket.transport.abort()

    async def close(self) -> None:
        """Say goodbye, shortly."""
        await self._socket.close()


def error_code(event: Event) -> str:
    """The code of an error event, or its type where it has none."""
    error = event.get("error") or {}
    return str(error.get("code") or error.get("type") or "unknown")

"""Server-sent events (WHATWG HTML, 9.2): one answer that goes on, for whoever keeps up with it."""

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

HEARTBEAT_S: Final = 15.0
"""A comment at least so often, so that proxies keep the connection and its end is noticed."""
HEARTBEAT: Final = b":\n\n"
LONGEST_S: Final = 60.0
"""Then the browser comes back by itself, and is asked again who it is and what it may."""
WRITE_S: Final = 10.0
"""A browser that takes nothing for so long is cut off."""
_RETRY_MS: Final = 500


class EventStream:
    """An answer under way."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self._request = request
        self.response = response

    @classmethod
    async def begin(cls, request: web.Request) -> "EventStream":
        """Send the head."""
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(request)
        stream = cls(request, response)
        await stream.write(b"retry: %d\n\n" % _RETRY_MS)
        return stream

    async def write(self, content: bytes) -> None:
        """Send events, as `event` makes them.

        Raises:
            ConnectionError: The browser has gone, or does not take them.
        """
        try:
            async with asyncio.timeout(WRITE_S):
                await self.response.write(content)
        except TimeoutError:
            self.cut_off()
            raise ConnectionResetError("the browser does not read") from None

    def cut_off(self) -> None:
        """End it at once."""
        if self._request.transport is not None:
            self._request.transport.abort()


def event(name: str, data: Any) -> bytes:
    """One event; its data is JSON, which has no line ends."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))

"""Server-sent events (WHATWG HTML, 9.2): one answer that goes on, for whoever keeps up with it."""

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

from admin.ask import Ask

ASKED_AGAIN_S: Final = 10.0
"""So often it is looked up whether whoever listens still may."""
HEARTBEAT: Final = b":\n\n"
"""A comment at least as often, so that proxies keep the connection and its end is noticed."""
LONGEST_S: Final = 60.0
"""Then the browser comes back by itself, and is asked again who it is and what it may."""
WRITE_S: Final = 10.0
"""A browser that takes nothing for so long is cut off."""
_RETRY_MS: Final = 500


class EventStream:
    """An answer under way."""

    def __init__(self, ask: Ask, response: web.StreamResponse) -> None:
        self._ask = ask
        self._ends_at = _now() + LONGEST_S
        self._ask_again_at = _now() + ASKED_AGAIN_S
        self.response = response

    @classmethod
    async def begin(cls, ask: Ask) -> "EventStream":
        """Send the head."""
        response = web.StreamResponse(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        response.content_type = "text/event-stream"
        response.charset = "utf-8"
        await response.prepare(ask.request)
        stream = cls(ask, response)
        await stream.write(b"retry: %d\n\n" % _RETRY_MS)
        return stream

    async def seconds(self) -> float:
        """How long to wait for something to tell; 0: its time is up, or whoever listens may not any more."""
        if _now() >= self._ask_again_at:
            if not await self._ask.is_still_granted():
                return 0.0
            self._ask_again_at = _now() + ASKED_AGAIN_S
        return max(0.0, min(self._ask_again_at, self._ends_at) - _now())

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
        if self._ask.request.transport is not None:
            self._ask.request.transport.abort()


def _now() -> float:
    return asyncio.get_running_loop().time()


def event(name: str, data: Any) -> bytes:
    """One event; its data is JSON, which has no line ends."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))

"""A bare WebSocket client, so that tests may also say what no SDK would."""

import asyncio
import audioop
import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp

G711 = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}}


class Client:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(15):
            event: dict[str, Any] = await self.socket.receive_json()
        self.seen.append(event)
        return event

    async def until(self, *kinds: str) -> dict[str, Any]:
        while True:
            event = await self.next()
            if event["type"] in kinds:
                return event

    async def error(self) -> dict[str, Any]:
        return (await self.until("error"))["error"]

    async def update(self, **session: Any) -> dict[str, Any]:
        await self.send("session.update", session={"type": "realtime", **session})
        return await self.until("session.updated", "error")

    async def append(self, sound: bytes, step: int = 160) -> None:
        for at in range(0, len(sound), step):
            await self.send("input_audio_buffer.append", audio=base64.b64encode(sound[at : at + step]).decode("ascii"))

    async def tell(self, text: str, role: str = "user") -> None:
        item = {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}
        await self.send("conversation.item.create", item=item)

    async def response(self) -> dict[str, Any]:
        done: dict[str, Any] = (await self.until("response.done"))["response"]
        return done


Connect = Callable[..., AbstractAsyncContextManager[Client]]


SILENCE = b"\xff"


def silence(ms: int) -> bytes:
    return SILENCE * (8 * ms)


def noise(ms: int) -> bytes:
    """Loud mu-law that counts as speech."""
    return b"\x10\x90\x20\xa0" * (2 * ms)


def telephone(s16_at_8000: bytes) -> bytes:
    """Mu-law as a call brings it, at half loudness."""
    return audioop.lin2ulaw(audioop.mul(s16_at_8000, 2, 0.5), 2)

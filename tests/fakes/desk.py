"""The other end of a worker's socket, as a test wants it: grants plans, mints tokens, runs tools, gives orders.

It speaks the real protocol on a real Unix socket and keeps what it was told.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Self

from voice.waist.messages import (
    LENGTH,
    AnyMessage,
    Envelope,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    TokenDenied,
    TokenMinted,
    TokenRequested,
    ToolDone,
    ToolRequested,
    decode_envelope,
    frame,
)


class LocalDesk:
    """`async with LocalDesk(path) as desk`. What it answers are its attributes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan: Callable[[PlanRequested], PlanGranted | PlanDenied] = lambda _: PlanDenied(
            sip_status=404, reason="no such number"
        )
        self.token: TokenMinted | TokenDenied = TokenMinted(token="rehearsal", expires_at_unix=1 << 40)
        self.tool: Callable[[ToolRequested], ToolDone] = lambda _: ToolDone(ok=True, result={"answer": 42})
        self.delay_seconds = 0.0
        """Before each reply."""
        self.asked: list[AnyMessage] = []
        self.told: list[AnyMessage] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._handlers: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._orders: dict[int, asyncio.Future[AnyMessage]] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._accept, self.path)

    async def stop(self) -> None:
        """Be gone, as a killed process is."""
        if self._server is not None:
            self._server.close()
            self.path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()
        for handler in list(self._handlers):
            handler.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await handler
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def order(self, order: AnyMessage) -> AnyMessage:
        """Give the worker an order and wait for what becomes of it."""
        number = next(self._numbers)
        self._orders[number] = asyncio.get_running_loop().create_future()
        (writer,) = self._writers
        writer.write(frame(Envelope(number=number, is_reply=False, body=order)))
        async with asyncio.timeout(10):
            return await self._orders[number]

    def told_of(self, kind: type[AnyMessage]) -> list[AnyMessage]:
        """The notices of one kind."""
        return [message for message in self.told if isinstance(message, kind)]

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._own(self._serve(reader, writer))

    def _own(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                envelope = decode_envelope(await reader.readexactly(length))
                if envelope.is_reply:
                    self._orders[envelope.number].set_result(envelope.body)
                elif envelope.number == 0:
                    self.told.append(envelope.body)
                else:
                    self.asked.append(envelope.body)
                    self._own(self._answer(writer, envelope))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, writer: asyncio.StreamWriter, envelope: Envelope) -> None:
        await asyncio.sleep(self.delay_seconds)
        body: AnyMessage
        match envelope.body:
            case PlanRequested() as request:
                body = self.plan(request)
            case TokenRequested():
                body = self.token
            case ToolRequested() as request:
                body = self.tool(request)
            case other:
                raise AssertionError(f"a worker does not ask {type(other).__name__}")
        if not writer.is_closing():
            writer.write(frame(Envelope(number=envelope.number, is_reply=True, body=body)))

"""One connection on one of the desk's sockets: frames in, frames out, replies matched to what was asked."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import msgspec
import structlog

from voice.desk.sockets import peer_process
from voice.waist.messages import LENGTH, AnyMessage, Envelope, decode_envelope, frame

log = structlog.get_logger()

LONGEST_INCOMING = 256 << 10
"""Bytes. Plans are large, but they only go out; what comes in is a number, a name, or a tool's arguments."""
MOST_OPEN_REQUESTS = 256
"""A peer with so many unanswered requests is not read from until one of them is answered."""
MOST_UNREAD = 4 << 20
"""Bytes of notices: a peer that has left so many unread is cut off, and sees all anew when it comes back."""
WRITE_SECONDS = 5.0
"""A peer that does not take a message within this time has stopped reading and is cut off."""


class MessageRefusedError(Exception):
    """The peer sent something that is no message of this protocol, or not one it may send."""


Answer = Callable[[AnyMessage], Awaitable[AnyMessage]]
Notice = Callable[[AnyMessage], None]


class Link:
    """One peer. `run` reads until the peer goes or breaks the protocol; requests are answered concurrently.

    Notices are handled in the order they came and at once, so they must not wait for anything.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._asked: dict[int, asyncio.Future[AnyMessage]] = {}
        self._numbers = itertools.count(1)
        self._free = asyncio.Semaphore(MOST_OPEN_REQUESTS)
        self._refused: MessageRefusedError | None = None
        self.name = ""
        """As the peer introduced itself; for logs and live views, never for rights."""

    async def run(self, answer: Answer, notice: Notice) -> None:
        """Serve the peer until it has gone.

        Raises:
            MessageRefusedError: It broke the protocol; the connection is to be closed.
        """
        open_requests: set[asyncio.Task[None]] = set()
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    while (envelope := await self._next()) is not None:
                        if envelope.is_reply:
                            self._settle(envelope)
                        elif envelope.number == 0:
                            notice(envelope.body)
                        else:
                            await self._free.acquire()
                            task = group.create_task(self._answer(envelope, answer), name=f"answer {self.name}")
                            open_requests.add(task)
                            task.add_done_callback(open_requests.discard)
                except MessageRefusedError as error:
                    self._refused = error
                for task in open_requests:  # whoever asked has gone: what is under way is rolled back
                    task.cancel()
        finally:
            for future in self._asked.values():
                if not future.done():
                    future.set_exception(ConnectionResetError("the peer has gone"))
            self._writer.close()
        if self._refused is not None:
            raise self._refused

    async def ask(self, message: AnyMessage, *, seconds: float) -> AnyMessage:
        """Send a request and wait for its reply.

        Raises:
            TimeoutError: No reply came within `seconds`.
            ConnectionError: The peer has gone.
        """
        number = next(self._numbers)
        future: asyncio.Future[AnyMessage] = asyncio.get_running_loop().create_future()
        self._asked[number] = future
        try:
            async with asyncio.timeout(seconds):
                await self._send(Envelope(number=number, is_reply=False, body=message))
                return await future
        finally:
            del self._asked[number]

    def notify(self, message: AnyMessage) -> None:
        """Tell the peer something, without waiting for it."""
        if self._writer.is_closing():
            return
        self._writer.write(frame(Envelope(number=0, is_reply=False, body=message)))
        if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
            log.warning("peer_stopped_reading", peer=self.name)
            self._writer.transport.abort()

    async def _answer(self, envelope: Envelope, answer: Answer) -> None:
        try:
            body = await answer(envelope.body)
            async with asyncio.timeout(WRITE_SECONDS):
                await self._send(Envelope(number=envelope.number, is_reply=True, body=body))
        except MessageRefusedError as error:
            self._refused = error
            self._writer.close()  # ends the reading too
        except (ConnectionError, TimeoutError):
            log.warning("peer_stopped_reading", peer=self.name)
            self._writer.close()
        except Exception as error:  # noqa: BLE001 - whoever asked gets no answer and is cut off; the desk goes on
            log.warning(
                "answer_failed", peer=self.name, question=type(envelope.body).__name__, error=type(error).__name__
            )
            self._writer.close()
        finally:
            self._free.release()

    async def _send(self, envelope: Envelope) -> None:
        if self._writer.is_closing():
            raise ConnectionResetError("the peer has gone")
        self._writer.write(frame(envelope))
        await self._writer.drain()

    async def _next(self) -> Envelope | None:
        try:
            (length,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
            if length > LONGEST_INCOMING:
                raise MessageRefusedError(f"a message of {length} bytes")
            return decode_envelope(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        except msgspec.MsgspecError:
            raise MessageRefusedError("bytes that are no message") from None

    def _settle(self, envelope: Envelope) -> None:
        future = self._asked.get(envelope.number)
        if future is not None and not future.done():  # else it was late: nobody waits for it any more
            future.set_result(envelope.body)


def start(
    group: asyncio.TaskGroup,
    serve: Callable[[Link, int], Awaitable[None]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    name: str,
) -> None:
    """Serve a peer that has connected, in a task of this group; `serve` also gets its process."""
    task = group.create_task(_run_link(serve, reader, writer), name=name)
    task.add_done_callback(lambda _: writer.close())  # also of a task that was cancelled before it began


async def _run_link(
    serve: Callable[[Link, int], Awaitable[None]], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    link = Link(reader, writer)
    try:
        await serve(link, peer_process(writer.get_extra_info("socket")))
    except MessageRefusedError as error:
        log.warning("connection_refused", peer=link.name, reason=str(error))
    except Exception as error:  # noqa: BLE001 - one connection's failure ends that connection, not the desk
        log.warning("connection_broke", peer=link.name, error=type(error).__name__)

"""The worker's connection to the desk: requests with deadlines, notices that wait, orders, and plans for bad times.

The desk may be away at any time. Then requests fail at once or at their deadline, notices wait in memory, a call that
comes in is answered with the spare plan that was fetched for its number earlier, and the connection is tried again and
again in the background.
"""

import asyncio
import contextlib
import itertools
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog

from voice.call.tasks import Tasks
from voice.waist.messages import (
    LENGTH,
    LONGEST_MESSAGE,
    AnyMessage,
    Done,
    Envelope,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    WorkerIntroduced,
    decode_envelope,
    frame,
)
from voice.waist.naming import name_call
from voice.waist.plan import CallPlan

log = structlog.get_logger()

PLAN_SECONDS = 2.5
"""A little longer than the desk gives itself."""
RETRY_SECONDS = 0.2
RECONNECT_SECONDS = 1.0
"""A call without a spare plan waits so long for a desk that is just being restarted."""
MOST_WAITING_NOTICES = 1000
MOST_SPARES = 16
"""Numbers a worker can answer once each while the desk is away; a plan with its clips is some hundred kilobytes."""

Order = Callable[[AnyMessage], Awaitable[Done]]


class DeskAwayError(Exception):
    """The desk is not there, or did not answer in time."""


class DeskClient:
    """One per worker. `start` it inside the loop; `close` it at the end."""

    def __init__(self, socket_path: Path, worker: str) -> None:
        self._path = socket_path
        self._worker = worker
        self._tasks = Tasks()
        self._writer: asyncio.StreamWriter | None = None
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[AnyMessage]] = {}
        self._notices: deque[AnyMessage] = deque(maxlen=MOST_WAITING_NOTICES)
        self._spares: OrderedDict[str, CallPlan] = OrderedDict()
        self._obey: Order = _obey_nothing
        self._up = asyncio.Event()

    def start(self, obey: Order) -> None:
        """Connect and stay connected. `obey` carries out the desk's orders."""
        self._obey = obey
        self._tasks.start(self._stay_connected(), "desk connection")

    async def close(self) -> None:
        """Disconnect for good."""
        await self._tasks.close()

    @property
    def connected(self) -> bool:
        """Whether the desk is there."""
        return self._writer is not None

    async def wait_connected(self, seconds: float) -> bool:
        """Wait for the desk, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def plan(self, request: PlanRequested) -> PlanGranted | PlanDenied:
        """What to do with a call: the desk's word, or the number's spare plan while the desk has none."""
        spare_wanted = request.called not in self._spares
        if spare_wanted:
            await self.wait_connected(RECONNECT_SECONDS)
        try:
            answer = await self.ask(msgspec.structs.replace(request, spare_wanted=spare_wanted), seconds=PLAN_SECONDS)
        except DeskAwayError:
            answer = PlanDenied(sip_status=503, reason="desk away")
        if isinstance(answer, PlanGranted):
            if answer.spare is not None:
                self._keep(answer.spare, request.called)
            return answer
        if isinstance(answer, PlanDenied) and answer.sip_status != 503:
            self._spares.pop(request.called, None)
            return answer
        spare = self._spares.pop(request.called, None)
        if spare is None:
            return PlanDenied(sip_status=503, reason="desk away and no spare plan")
        name_call(spare.session_id, spare.tenant_id)
        log.warning("spare_plan_used")
        return PlanGranted(plan=spare)

    async def ask(self, message: AnyMessage, *, seconds: float) -> AnyMessage:
        """Send a request and wait for its reply.

        Raises:
            DeskAwayError: There is no connection, it broke, or no reply came within `seconds`.
        """
        writer = self._writer
        if writer is None:
            raise DeskAwayError("not connected")
        number = next(self._numbers)
        reply: asyncio.Future[AnyMessage] = asyncio.get_running_loop().create_future()
        self._asked[number] = reply
        try:
            writer.write(frame(Envelope(number=number, is_reply=False, body=message)))
            async with asyncio.timeout(seconds):
                return await reply
        except (TimeoutError, ConnectionError) as error:
            raise DeskAwayError(type(message).__name__) from error
        finally:
            del self._asked[number]

    def notify(self, message: AnyMessage) -> None:
        """Tell the desk something; while it is away the latest 1,000 notices wait."""
        if self._writer is not None:
            self._writer.write(frame(Envelope(number=0, is_reply=False, body=message)))
        else:
            self._notices.append(message)

    def _keep(self, spare: CallPlan, called: str) -> None:
        self._spares[called] = spare
        if len(self._spares) > MOST_SPARES:
            self._spares.popitem(last=False)

    async def _stay_connected(self) -> None:
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            orders = Tasks()
            try:
                await self._converse(reader, writer, orders)
            except (OSError, asyncio.IncompleteReadError, msgspec.MsgspecError, ValueError) as error:
                log.warning("desk_lost", error=type(error).__name__)
            finally:
                self._writer = None
                self._up.clear()
                writer.close()
                for reply in self._asked.values():
                    if not reply.done():
                        reply.set_exception(ConnectionResetError("the desk has gone"))
                await orders.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await asyncio.sleep(RETRY_SECONDS)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, orders: Tasks) -> None:
        self._writer = writer
        self.notify(WorkerIntroduced(worker=self._worker))
        while self._notices:
            self.notify(self._notices.popleft())
        self._up.set()
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            if length > LONGEST_MESSAGE:
                raise ValueError("a message longer than any may be")
            envelope = decode_envelope(await reader.readexactly(length))
            if not envelope.is_reply:
                orders.start(self._carry_out(writer, envelope), "desk order")
            elif (reply := self._asked.get(envelope.number)) is not None and not reply.done():
                reply.set_result(envelope.body)

    async def _carry_out(self, writer: asyncio.StreamWriter, envelope: Envelope) -> None:
        done = await self._obey(envelope.body)
        if not writer.is_closing():
            writer.write(frame(Envelope(number=envelope.number, is_reply=True, body=done)))


async def _obey_nothing(_: AnyMessage) -> Done:
    return Done(ok=False, why="this worker takes no orders yet")

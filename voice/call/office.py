"""All calls of a worker: takes lines in, knows who is live, passes the desk's orders on, and empties in the end."""

import asyncio
import ssl
from pathlib import Path

import structlog

from policies import call_flow as flow
from voice.call.apart import take_apart
from voice.call.desk_client import DeskClient
from voice.call.journal import SpoolWriter
from voice.call.line import Line
from voice.call.parts import Means
from voice.call.pipeline import OwnStages, OwnStagesFor
from voice.call.run import Call
from voice.call.tasks import Tasks
from voice.waist.messages import (
    AnyMessage,
    Done,
    HangUpOrdered,
    PauseOrdered,
    ResumeOrdered,
    TransferOrdered,
)
from voice.waist.naming import name_call

log = structlog.get_logger()

GOODBYE_SECONDS = 12.0
"""What calls that did not end in time have for their last words; the longest of ours takes nine."""
_SUCCESS = range(200, 300)


class CallOffice:
    """One per worker. To be made inside the loop and after the fork: it starts the writer's thread."""

    def __init__(
        self,
        desk: DeskClient,
        spool: Path,
        speech_url: str,
        tls: ssl.SSLContext | None,
        own_stages: OwnStagesFor = lambda _: OwnStages(),
    ) -> None:
        """`speech_url` is the local speech server's; `own_stages` gives a developer's processors for a call."""
        self._writer = SpoolWriter()
        self._means = Means(desk, self._writer, spool, speech_url, tls, own_stages)
        self._tasks = Tasks()
        self._calls: set[Call] = set()
        self._draining = False
        self.live: dict[str, Call] = {}
        """Calls that have a plan, by session id."""
        desk.start(self.obey)

    @property
    def busy(self) -> int:
        """Calls under way, with or without a plan."""
        return len(self._calls)

    def take(self, line: Line) -> None:
        """A call has come in."""
        if self._draining:
            line.refuse(503, "shutting down")
            return
        call = Call(line, self._means, self._know)
        self._calls.add(call)
        self._tasks.start(self._live(call), "call")

    async def obey(self, order: AnyMessage) -> Done:
        """Carry out an order of the desk's, once it can be said whether it was."""
        match order:
            case HangUpOrdered(session_id=session_id):
                return await self._order(session_id, flow.OperatorHungUp(), "the call is ending already")
            case PauseOrdered(session_id=session_id, by=by):
                return await self._order(session_id, flow.PauseAsked(by), "there is no conversation to pause")
            case ResumeOrdered(session_id=session_id, by=by):
                return await self._order(session_id, flow.ResumeAsked(by), "the call is not paused")
            case TransferOrdered(session_id=session_id, target_id=target_id):
                return await self._transfer(session_id, target_id)
            case _:
                return Done(ok=False, why="not an order")

    async def drain(self, seconds: float) -> None:
        """Take no more calls, let those there are end by themselves for so long, then with a goodbye."""
        self._draining = True
        if not await self._tasks.wait(seconds):
            for call in self._calls:
                call.happened(flow.ShutdownCame())
            await self._tasks.wait(GOODBYE_SECONDS)
        await self._tasks.close()
        await asyncio.to_thread(self._writer.close)

    def _know(self, call: Call) -> None:
        if call.plan is not None:
            self.live[call.plan.session_id] = call

    async def _live(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            self._calls.discard(call)
            for session_id in [session_id for session_id, known in self.live.items() if known is call]:
                del self.live[session_id]
            take_apart(call)

    def _find(self, session_id: str) -> Call | None:
        call = self.live.get(session_id)
        if call is not None and call.plan is not None:
            name_call(session_id, call.plan.tenant_id)
        return call

    async def _order(self, session_id: str, event: flow.Event, otherwise: str) -> Done:
        call = self._find(session_id)
        if call is None:
            return Done(ok=False, why="no such call")
        return Done(ok=True) if await call.ask(event) else Done(ok=False, why=otherwise)

    async def _transfer(self, session_id: str, target_id: str) -> Done:
        call = self._find(session_id)
        if call is None or call.plan is None:
            return Done(ok=False, why="no such call")
        if target_id not in {target.id for target in call.plan.transfer_targets}:
            return Done(ok=False, why="no such target")
        status = await call.transfer(target_id, "operator")
        return Done(ok=True) if status in _SUCCESS else Done(ok=False, why=f"SIP status {status}")

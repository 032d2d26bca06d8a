"""The desk: answers workers on one socket and operators on another, and keeps the table of live calls.

A worker may speak for its own calls only. Which those are the desk knows from the plans it granted; after a restart it
learns it again from who holds a journal's lock, never from what a worker says.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

import structlog

from policies.audit_tags import Tag
from policies.problems import Problem
from store.audit.log import record
from store.engine import Database, StoreAwayError
from voice.desk.clips import ClipShelf, NoVoiceError
from voice.desk.ingest import Ingestion, LostCall
from voice.desk.link import Link, MessageRefusedError, start
from voice.desk.live import PLANNED, CallTerms, LiveCalls, LiveSession
from voice.desk.plans import Planner
from voice.desk.preview import judge, speak
from voice.desk.reading import read_along
from voice.desk.settings import DeskSettings
from voice.desk.sockets import listen
from voice.desk.spool import Spool
from voice.desk.tokens import TokenMint
from voice.desk.toolbox import Toolbox, ToolCall
from voice.desk.workers import Workers
from voice.waist.journal import Header
from voice.waist.messages import (
    AnyMessage,
    CallClosed,
    CallStateChanged,
    ClipsWanted,
    Done,
    HangUpOrdered,
    LiveCallsListed,
    LiveCallsRequested,
    LiveTurn,
    NumberTested,
    PauseOrdered,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    ProblemsListed,
    ProblemsRequested,
    ResumeOrdered,
    SpeechWanted,
    TokenDenied,
    TokenMinted,
    TokenRequested,
    ToolDone,
    ToolRequested,
    TransferOrdered,
    TrunksListed,
    TrunksRequested,
    TrunkTerms,
    TurnHeard,
    TurnSounding,
    TurnsRequested,
    WatchBegun,
    WatchRequested,
    WorkerIntroduced,
)
from voice.waist.naming import name_call, name_line
from voice.waist.plan import CallPlan

log = structlog.get_logger()

PLAN_SECONDS = 2.0
ORDER_SECONDS = 5.0
TRANSFER_SECONDS = 40.0
"""A REFER waits for the other side's phone to be answered or not."""
UNUSED_PLAN_SECONDS = 30.0
"""A plan for a call that shows no sign of life and no journal for so long was never used."""
MOST_TOKENS = 20
"""Of one call: more reconnects than any call survives, fewer than an exploited worker could sell."""
_TIDY_EVERY_SECONDS = 2.0

Order = HangUpOrdered | TransferOrdered | PauseOrdered | ResumeOrdered
_ACTS: Mapping[type[Order], Tag] = {
    HangUpOrdered: Tag.CALL_HUNG_UP,
    TransferOrdered: Tag.CALL_TRANSFERRED,
    PauseOrdered: Tag.CALL_RECORDING_PAUSED,
    ResumeOrdered: Tag.CALL_RECORDING_RESUMED,
}


class Desk:
    """One per call machine. `run` serves until it is cancelled; `ready` is set once both sockets listen."""

    def __init__(
        self,
        settings: DeskSettings,
        *,
        database: Database,
        planner: Planner,
        mint: TokenMint,
        toolbox: Toolbox,
        ingestion: Ingestion,
        spool: Spool,
        shelf: ClipShelf,
        trunks: Callable[[], Awaitable[tuple[TrunkTerms, ...]]],
        problems: Callable[[], Awaitable[tuple[Problem, ...]]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._planner = planner
        self._mint = mint
        self._toolbox = toolbox
        self._ingestion = ingestion
        self._trunks = trunks
        self._problems = problems
        self._spool = spool
        self._shelf = shelf
        self._workers = Workers(self._worker_died)
        self._group: asyncio.TaskGroup | None = None
        self._being_taken_over: set[str] = set()
        self.live = LiveCalls()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Serve workers and operators, and take in what calls leave behind, until cancelled."""
        async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as servers:
            self._group = group
            for path, access, serve in (
                (self._settings.workers_socket, self._settings.worker_group, self._serve_worker),
                (self._settings.operators_socket, None, self._serve_operator),
            ):
                listening = listen(path, group=access)
                servers.callback(path.unlink, missing_ok=True)
                server = await asyncio.start_unix_server(
                    functools.partial(start, group, serve, name=path.name), sock=listening
                )
                await servers.enter_async_context(server)
            servers.callback(self._workers.close)
            group.create_task(self._ingestion.run(), name="ingestion")
            group.create_task(self._shelf.run(), name="clips")
            group.create_task(self._tidy(), name="tidy")
            self.ready.set()
            await asyncio.get_running_loop().create_future()  # for ever: cancelled from outside

    # --- workers ---------------------------------------------------------------------------------------------------

    async def _serve_worker(self, link: Link, process: int) -> None:
        self._workers.connected(process, link)
        for session in self.live.of_process(process):
            session.link = session.link or link
        try:
            await link.run(
                functools.partial(self._answer_worker, link, process),
                functools.partial(self._note_from_worker, link, process),
            )
        finally:
            other = self._workers.disconnected(process, link)
            for session in self.live.of_process(process):
                if session.link is link:
                    session.link = other

    def _worker_died(self, process: int) -> None:
        for session in self.live.of_process(process):
            self._lose(session, "worker_lost")

    def _lose(self, session: LiveSession, reason: str) -> None:
        self.live.remove(session.session_id)
        self._ingestion.lose(LostCall(UUID(session.tenant_id), UUID(session.session_id), reason, session.spare))

    async def _answer_worker(self, link: Link, process: int, message: AnyMessage) -> AnyMessage:
        match message:
            case PlanRequested():
                return await self._plan(link, process, message)
            case TokenRequested(session_id=session_id):
                return await self._token(await self._session(link, process, session_id))
            case ToolRequested(session_id=session_id):
                return await self._tool(await self._session(link, process, session_id), message)
            case _:
                raise MessageRefusedError(f"a worker may not ask {type(message).__name__}")

    def _note_from_worker(self, link: Link, process: int, message: AnyMessage) -> None:
        match message:
            case WorkerIntroduced(worker=name):
                link.name = name
            case CallStateChanged(session_id=session_id, state=state):
                if session := self._session_now(link, process, session_id):
                    self._use(session)
                    self.live.state_changed(session, state)
            case TurnHeard(session_id=session_id, role=role, text=text):
                if session := self._session_now(link, process, session_id):
                    self.live.turn_heard(session, LiveTurn(role=role, text=text))
            case TurnSounding(session_id=session_id, text=text):
                if session := self._session_now(link, process, session_id):
                    self.live.turn_sounding(session, text)
            case CallClosed(session_id=session_id):
                self._close(process, session_id)
            case _:
                raise MessageRefusedError(f"a worker may not say {type(message).__name__}")

    async def _plan(self, link: Link, process: int, request: PlanRequested) -> PlanGranted | PlanDenied:
        name_line(request.sip_call_id)
        try:
            async with asyncio.timeout(PLAN_SECONDS):
                answer = await self._planner.plan(request, over=self._ingestion.over)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the caller's side must get a final answer
            log.warning("plan_failed", error=type(error).__name__)
            return PlanDenied(sip_status=503, reason="the desk cannot decide now")
        if isinstance(answer, PlanGranted):
            name_call(answer.plan.session_id, answer.plan.tenant_id)
            for plan in (answer.plan, answer.spare):
                if plan is not None:
                    terms = CallTerms(plan.model.name, frozenset(tool.name for tool in plan.tools))
                    spare = plan is answer.spare
                    session = self._add(link, process, plan, terms, spare=spare)
                    session.sip_call_id = "" if spare else request.sip_call_id
        return answer

    async def _token(self, session: LiveSession | None) -> TokenMinted | TokenDenied:
        if session is None:
            return TokenDenied(code="unknown_session")
        session.tokens += 1
        if session.tokens > MOST_TOKENS:
            return TokenDenied(code="too_many_tokens")
        bounds = await self._planner.bounds.now(UUID(session.tenant_id), UUID(session.project_id))
        return await self._mint.mint(session.terms.model, bounds)

    async def _tool(self, session: LiveSession | None, request: ToolRequested) -> ToolDone:
        if session is None:
            return ToolDone(ok=False, result={"error": "unknown session"})
        call = ToolCall(session.tenant_id, session.project_id, session.session_id)
        return await self._toolbox.run(request.name, call, request.arguments, offered=session.terms.tools)

    # --- whose call it is ------------------------------------------------------------------------------------------

    def _add(
        self, link: Link, process: int, call: CallPlan | Header, terms: CallTerms, *, spare: bool = False
    ) -> LiveSession:
        session = LiveSession(
            session_id=call.session_id,
            tenant_id=call.tenant_id,
            project_id=call.project_id,
            process=process,
            link=link,
            terms=terms,
            spare=spare,
        )
        self.live.add(session)
        return session

    def _use(self, session: LiveSession) -> None:
        if session.spare:
            session.spare = False
            self._ingestion.spare_used(UUID(session.tenant_id), UUID(session.session_id))

    async def _session(self, link: Link, process: int, session_id: str) -> LiveSession | None:
        """The worker's call of this id, if it has it. What follows in this request's task is about that call."""
        session = self.live.find(session_id)
        if session is None:
            session = await self._take_over(link, process, session_id)
        if session is None or session.process != process:
            log.warning("worker_spoke_for_another", worker=link.name, call=session_id)
            return None
        name_call(session_id, session.tenant_id)
        return session

    def _session_now(self, link: Link, process: int, session_id: str) -> LiveSession | None:
        """The same, for a notice, which does not wait: the first ones after a restart of the desk go unheard."""
        session = self.live.find(session_id)
        if session is None:
            self._take_over_later(link, process, session_id)
        return session if session is not None and session.process == process else None

    def _take_over_later(self, link: Link, process: int, session_id: str) -> None:
        if self._group is not None and session_id not in self._being_taken_over:
            self._being_taken_over.add(session_id)
            task = self._group.create_task(self._take_over(link, process, session_id), name="take over")
            task.add_done_callback(lambda _: self._being_taken_over.discard(session_id))

    async def _take_over(self, link: Link, process: int, session_id: str) -> LiveSession | None:
        """A call that was planned before this desk started, if this worker really has it."""
        header = self._spool.header_of_running(session_id, process)
        if header is None:
            return None
        name_call(session_id, header.tenant_id)  # each of our callers is a task that is about this call alone
        try:
            terms = await self._planner.resume(header)
        except Exception as error:  # noqa: BLE001 - the call goes on without us; it asks again
            log.warning("call_not_taken_over", error=type(error).__name__)
            return None
        if terms is None:
            return None
        if session := self.live.find(session_id):
            return session
        log.info("call_taken_over")
        return self._add(link, process, header, terms)

    def _close(self, process: int, session_id: str) -> None:
        session = self.live.find(session_id)
        if session is not None and session.process == process:
            session.spare = False
            self._lose(session, "not_answered" if session.state == PLANNED else "journal_missing")
        self._ingestion.call_closed()

    # --- operators -------------------------------------------------------------------------------------------------

    async def _serve_operator(self, link: Link, process: int) -> None:
        log.info("operator_connected", process=process)
        with contextlib.ExitStack() as watching:

            async def answer(message: AnyMessage) -> AnyMessage:
                if not isinstance(message, WatchRequested):
                    return await self._answer_operator(message)
                watching.close()
                watching.callback(self.live.watch(link.notify))
                return WatchBegun(calls=self.live.watched())  # nothing was waited for: no notice overtakes this

            await link.run(answer, _refuse_notice)

    async def _answer_operator(self, message: AnyMessage) -> AnyMessage:
        answer: AnyMessage
        match message:
            case LiveCallsRequested(tenant_id=tenant_id):
                answer = LiveCallsListed(calls=self.live.up(tenant_id))
            case ProblemsRequested():
                answer = ProblemsListed(problems=await self._problems())
            case TurnsRequested(sip_call_id=sip_call_id, after=after):
                session = self.live.of_line(sip_call_id)
                answer = await read_along(self._database, self._planner.bounds, session, after)
            case ClipsWanted(tenant_id=tenant_id):
                answer = await self._prepare(tenant_id)
            case SpeechWanted():
                answer = await speak(self._planner, self._shelf, message)
            case NumberTested():
                answer = await judge(self._planner, message)
            case TrunksRequested():
                answer = TrunksListed(trunks=await self._trunks())
            case HangUpOrdered() | TransferOrdered() | PauseOrdered() | ResumeOrdered():
                answer = await self.order(message)
            case _:
                raise MessageRefusedError(f"an operator may not ask {type(message).__name__}")
        return answer

    async def prepare(self) -> None:
        """Render every sentence that a call may need, so that the first call already finds its clips.

        Raises:
            store.engine.StoreAwayError: The database is away.
            voice.desk.clips.NoVoiceError: No voice can be reached.
        """
        await self._planner.prepare_all()

    async def _prepare(self, tenant_id: str) -> Done:
        try:
            await self._planner.prepare(UUID(tenant_id))
        except (NoVoiceError, StoreAwayError, ValueError) as error:
            return Done(ok=False, why=type(error).__name__)
        return Done(ok=True)

    async def order(self, order: Order) -> Done:
        """Pass a command to the worker that has the call."""
        session = self.live.find(order.session_id)
        if session is None or session.spare:
            return Done(ok=False, why="no such call is up")
        name_call(session.session_id, session.tenant_id)
        seconds = TRANSFER_SECONDS if isinstance(order, TransferOrdered) else ORDER_SECONDS
        if session.link is None:
            return Done(ok=False, why="the worker is not connected")
        try:
            async with self._database.tenant(UUID(session.tenant_id)) as store:
                await record(store, order.ordered_by, _ACTS[type(order)], objects={"session": session.session_id})
        except StoreAwayError:
            return Done(ok=False, why="the audit log cannot be written; look at the database")
        try:
            answer = await session.link.ask(order, seconds=seconds)
        except (TimeoutError, ConnectionError):
            return Done(ok=False, why="the worker did not answer")
        return answer if isinstance(answer, Done) else Done(ok=False, why="the worker answered something else")

    # --- order in the table ----------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        """Close the rows of plans that were never used, so that they do not count towards a tenant's limit."""
        while True:
            await asyncio.sleep(_TIDY_EVERY_SECONDS)
            for session in self.live.unused_for(UNUSED_PLAN_SECONDS):
                if not self._spool.has(session.session_id):
                    self._lose(session, "not_answered")


def _refuse_notice(message: AnyMessage) -> None:
    raise MessageRefusedError(f"an operator may not say {type(message).__name__}")

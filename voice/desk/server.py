"""The desk: answers workers on one socket and operators on another, and keeps the table of live calls.

A worker may speak for its own calls only. Which those are the desk knows from the plans it granted; after a restart it
learns it again from who holds a journal's lock, never from what a worker says.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from voice.desk.link import Link, MessageRefusedError
from voice.desk.live import CallTerms, LiveCalls, LiveSession, LiveTurn
from voice.desk.settings import DeskSettings
from voice.desk.sockets import listen, peer_process
from voice.desk.spool import Spool
from voice.desk.tokens import TokenMint
from voice.desk.toolbox import Toolbox, ToolCall
from voice.waist.messages import (
    AnyMessage,
    CallClosed,
    CallStateChanged,
    Done,
    HangUpOrdered,
    LiveCallsListed,
    LiveCallsRequested,
    PauseOrdered,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    ResumeOrdered,
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
    WorkerIntroduced,
)
from voice.waist.plan import CallPlan

log = structlog.get_logger()

PLAN_SECONDS = 2.0
ORDER_SECONDS = 5.0
TRANSFER_SECONDS = 40.0
"""A REFER waits for the other side's phone to be answered or not."""
UNUSED_PLAN_SECONDS = 30.0
"""A plan for a call that shows no sign of life and no journal for so long was never used."""
_TIDY_EVERY_SECONDS = 5.0

Order = HangUpOrdered | TransferOrdered | PauseOrdered | ResumeOrdered


class Planner(Protocol):
    """Decides on calls; `plans.Planner` is the real one."""

    async def plan(self, request: PlanRequested) -> PlanGranted | PlanDenied:
        """Grant or deny."""

    async def terms(self, tenant_id: str, scenario_id: str, version: int) -> CallTerms:
        """Of a call that was planned before this desk started."""


class Intake(Protocol):
    """Takes in what calls leave behind; `ingest.Ingestion` is the real one."""

    def call_closed(self, session_id: str) -> None:
        """Journal and recording are complete."""

    def call_lost(self, tenant_id: str, session_id: str, reason: str) -> None:
        """The call is over and nobody will say so: take in its journal, or close its row where it left none."""

    async def run(self) -> None:
        """Work for ever."""


class Desk:
    """One per call machine. `run` serves until it is cancelled; `ready` is set once both sockets listen."""

    def __init__(
        self,
        settings: DeskSettings,
        *,
        planner: Planner,
        mint: TokenMint,
        toolbox: Toolbox,
        intake: Intake,
        trunks: Callable[[], Awaitable[tuple[TrunkTerms, ...]]],
    ) -> None:
        self._settings = settings
        self._planner = planner
        self._mint = mint
        self._toolbox = toolbox
        self._intake = intake
        self._trunks = trunks
        self._spool = Spool(settings.spool)
        self.live = LiveCalls()
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """Serve workers and operators, and take in what calls leave behind, until cancelled."""
        async with asyncio.TaskGroup() as group, contextlib.AsyncExitStack() as servers:
            for path, access, serve in (
                (self._settings.workers_socket, self._settings.worker_group, self._serve_worker),
                (self._settings.operators_socket, None, self._serve_operator),
            ):
                listening = listen(path, group=access)
                servers.callback(path.unlink, missing_ok=True)
                server = await asyncio.start_unix_server(
                    functools.partial(_start, group, serve, name=path.name), sock=listening
                )
                await servers.enter_async_context(server)
            group.create_task(self._intake.run(), name="intake")
            group.create_task(self._tidy(), name="tidy")
            self.ready.set()
            await asyncio.get_running_loop().create_future()  # for ever: cancelled from outside

    # --- workers ---------------------------------------------------------------------------------------------------

    async def _serve_worker(self, link: Link, process: int) -> None:
        try:
            await link.run(
                functools.partial(self._answer_worker, link, process),
                functools.partial(self._note_from_worker, link, process),
            )
        finally:
            for session in self.live.remove_all_of(link):
                if not session.spare:
                    self._intake.call_lost(session.tenant_id, session.session_id, "worker_lost")

    async def _answer_worker(self, link: Link, process: int, message: AnyMessage) -> AnyMessage:
        match message:
            case PlanRequested():
                return await self._plan(link, message)
            case TokenRequested(session_id=session_id):
                return await self._token(self._session(link, process, session_id))
            case ToolRequested(session_id=session_id):
                return await self._tool(self._session(link, process, session_id), message)
            case _:
                raise MessageRefusedError(f"a worker may not ask {type(message).__name__}")

    def _note_from_worker(self, link: Link, process: int, message: AnyMessage) -> None:
        match message:
            case WorkerIntroduced(worker=name):
                link.name = name
            case CallStateChanged(session_id=session_id, state=state):
                if session := self._session(link, process, session_id):
                    self.live.state_changed(session, state)
            case TurnHeard(session_id=session_id, role=role, text=text):
                if session := self._session(link, process, session_id):
                    self.live.turn_heard(session, LiveTurn(role, text))
            case CallClosed(session_id=session_id):
                self._close(link, session_id)
            case _:
                raise MessageRefusedError(f"a worker may not say {type(message).__name__}")

    async def _plan(self, link: Link, request: PlanRequested) -> PlanGranted | PlanDenied:
        try:
            async with asyncio.timeout(PLAN_SECONDS):
                answer = await self._planner.plan(request)
        except Exception as error:  # noqa: BLE001 - whatever is broken, the caller's side must get a final answer
            log.warning("plan_failed", error=type(error).__name__)
            return PlanDenied(sip_status=503, reason="the desk cannot decide now")
        if isinstance(answer, PlanGranted):
            self._grant(link, answer.plan, spare=False)
            if answer.spare is not None:
                self._grant(link, answer.spare, spare=True)
        return answer

    def _grant(self, link: Link, plan: CallPlan, *, spare: bool) -> None:
        self.live.add(
            LiveSession(
                session_id=plan.session_id,
                tenant_id=plan.tenant_id,
                project_id=plan.project_id,
                scenario_id=plan.scenario_id,
                scenario_version=plan.scenario_version,
                link=link,
                terms=CallTerms(plan.model.name, frozenset(tool.name for tool in plan.tools)),
                spare=spare,
            )
        )

    async def _token(self, session: LiveSession | None) -> TokenMinted | TokenDenied:
        if session is None:
            return TokenDenied(code="unknown_session")
        try:
            return await self._mint.mint((await self._terms(session)).model)
        except Exception as error:  # noqa: BLE001 - without an answer the call would wait in silence
            log.warning("token_failed", error=type(error).__name__)
            return TokenDenied(code="desk_failed")

    async def _tool(self, session: LiveSession | None, request: ToolRequested) -> ToolDone:
        try:
            if session is None:
                return ToolDone(ok=False, result={"error": "unknown session"})
            terms = await self._terms(session)
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("tool_terms_failed", error=type(error).__name__)
            return ToolDone(ok=False, result={"error": "it did not work"})
        call = ToolCall(session.tenant_id, session.project_id, session.session_id)
        return await self._toolbox.run(request.name, call, request.arguments, offered=terms.tools)

    async def _terms(self, session: LiveSession) -> CallTerms:
        if session.terms is None:
            session.terms = await self._planner.terms(session.tenant_id, session.scenario_id, session.scenario_version)
        return session.terms

    def _session(self, link: Link, process: int, session_id: str) -> LiveSession | None:
        session = self.live.find(session_id)
        if session is None and (header := self._spool.header_of_running(session_id, process)):
            session = LiveSession(
                session_id=session_id,
                tenant_id=header.tenant_id,
                project_id=header.project_id,
                scenario_id=header.scenario_id,
                scenario_version=header.scenario_version,
                link=link,
            )
            self.live.add(session)
            log.info("call_taken_over", session_id=session_id)
        if session is None or session.link is not link:
            log.warning("worker_spoke_for_another", worker=link.name)
            return None
        return session

    def _close(self, link: Link, session_id: str) -> None:
        session = self.live.find(session_id)
        if session is not None and session.link is link:
            self.live.remove(session_id)
            if not self._spool.has(session_id):
                self._intake.call_lost(session.tenant_id, session_id, "not_answered")
                return
        self._intake.call_closed(session_id)

    # --- operators -------------------------------------------------------------------------------------------------

    async def _serve_operator(self, link: Link, process: int) -> None:
        log.info("operator_connected", process=process)
        await link.run(self._answer_operator, _refuse_notice)

    async def _answer_operator(self, message: AnyMessage) -> AnyMessage:
        match message:
            case LiveCallsRequested(tenant_id=tenant_id):
                return LiveCallsListed(calls=self.live.up(tenant_id))
            case TrunksRequested():
                return TrunksListed(trunks=await self._trunks())
            case HangUpOrdered() | TransferOrdered() | PauseOrdered() | ResumeOrdered():
                return await self.order(message)
            case _:
                raise MessageRefusedError(f"an operator may not ask {type(message).__name__}")

    async def order(self, order: Order) -> Done:
        """Pass a command to the worker that has the call."""
        session = self.live.find(order.session_id)
        if session is None or session.spare:
            return Done(ok=False, why="no such call is up")
        seconds = TRANSFER_SECONDS if isinstance(order, TransferOrdered) else ORDER_SECONDS
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
                    self.live.remove(session.session_id)
                    self._intake.call_lost(session.tenant_id, session.session_id, "not_answered")


def _start(
    group: asyncio.TaskGroup,
    serve: Callable[[Link, int], Awaitable[None]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    name: str,
) -> None:
    group.create_task(_run_link(serve, reader, writer), name=name)


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
    finally:
        writer.close()


def _refuse_notice(message: AnyMessage) -> None:
    raise MessageRefusedError(f"an operator may not say {type(message).__name__}")

"""One call, from the INVITE to the closed journal.

Everything that happens, wherever it happens, becomes an event in one queue. Each is looked up in the table of
`policies.call_flow`, and the commands that come back are carried out in order by the `Performer`.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Literal

import structlog

from policies import call_flow as flow
from policies import line_events
from policies.call_flow import Command, Event, IllegalEventError, State
from policies.line_events import LineEvent, LineStatistics
from voice.call.journal import CallLog
from voice.call.keys import KeyCollector
from voice.call.latency import SoundLatency
from voice.call.line import Line
from voice.call.parts import Means, Parts, assemble
from voice.call.performer import PIPELINE, Performer
from voice.call.tasks import Tasks
from voice.waist import journal as records
from voice.waist.messages import CallClosed, CallStateChanged, PlanDenied, PlanGranted, PlanRequested
from voice.waist.naming import name_call, name_line
from voice.waist.plan import CallPlan

log = structlog.get_logger()

RING_AFTER_SECONDS = 0.5
"""A caller whose plan takes longer hears that it rings."""
TEARDOWN_SECONDS = 3.0
MASKED = "*"


class Call:
    """One call. `run` is its life."""

    def __init__(self, line: Line, means: Means, known: Callable[["Call"], None]) -> None:
        """`known` is told once the call has its plan and so a name."""
        self.state = State.PLANNING
        self._line = line
        self._means = means
        self._known = known
        self._log = CallLog(time.monotonic())
        self._tasks = Tasks(failed=self._task_failed)
        self._events: asyncio.Queue[tuple[Event, asyncio.Future[bool] | None]] = asyncio.Queue()
        self._latency = SoundLatency(line.playout, self._log)
        self._keys = KeyCollector(self._keys_pressed)
        self._parts: Parts | None = None
        self._performer: Performer | None = None
        self._because: tuple[str, flow.Ender] = ("unknown", "system")
        self._transfer: asyncio.Future[int] | None = None
        self._asking: set[asyncio.Future[bool]] = set()

    @property
    def log(self) -> CallLog:
        """Where records go."""
        return self._log

    @property
    def plan(self) -> CallPlan | None:
        """What the call was answered with; None until then."""
        return self._parts.plan if self._parts else None

    @property
    def keeps_words(self) -> bool:
        """Whether what is said, pressed and looked up may be written down.

        Not after a no, not while the call is paused, and never where the plan wants no transcript: the journal then
        tells what happened, and not with which words. The one exception is a message: the caller leaves it to be kept.
        """
        return self._parts is not None and self._parts.reports.keeps_words and self.state is not State.PAUSED

    def happened(self, event: Event) -> None:
        """Something of the lifecycle happened."""
        self._events.put_nowait((event, None))

    async def ask(self, event: Event) -> bool:
        """Feed an event, and learn whether it meant anything in the state the call was in."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._events.put_nowait((event, done))
        self._asking.add(done)
        try:
            return await done
        finally:
            self._asking.discard(done)

    # --- what tools and operators may do -----------------------------------------------------------------------------

    def hang_up_by_agent(self) -> None:
        """End the call once the goodbye has been heard."""
        self.happened(flow.HangUpAsked())

    def press_by_agent(self, digits: str) -> None:
        """Send keys down the line."""
        self._line.press(digits)
        for digit in digits:
            self._note_key(digit, "agent")

    async def transfer(self, target_id: str, by: Literal["agent", "operator"]) -> int:
        """Send the caller elsewhere; the final SIP status, 491 when the call is in no state for it."""
        if self._transfer is not None:
            return 491
        result: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._transfer = result
        try:
            if not await self.ask(flow.TransferAsked(target_id, by)):
                return 491
            return await result
        finally:
            self._transfer = None

    async def run(self) -> None:
        """Live. Returns once the line is down and everything is on disk or handed to the writer."""
        name_line(self._line.sip_call_id)
        self._line.on_event = self._line_told
        self._tasks.start(self._fetch_plan(), "plan")
        try:
            while self.state not in flow.OVER:
                event, done = await self._events.get()
                had_effect = await self._step(event)
                if done is not None and not done.done():
                    done.set_result(had_effect)
        finally:
            await self._close()

    # --- life --------------------------------------------------------------------------------------------------------

    async def _fetch_plan(self) -> None:
        line = self._line
        ringing = asyncio.get_running_loop().call_later(RING_AFTER_SECONDS, line.ring)
        try:
            answer = await self._means.desk.plan(
                PlanRequested(called=line.called, caller=line.caller, trunk=line.trunk, sip_call_id=line.sip_call_id)
            )
        finally:
            ringing.cancel()
        if isinstance(answer, PlanDenied):
            self.happened(flow.PlanDenied(answer.sip_status, answer.reason))
        else:
            self._take(answer)

    def _take(self, granted: PlanGranted) -> None:
        """The plan is there: put the call together."""
        plan, line = granted.plan, self._line
        if self.state is not State.PLANNING:  # the caller has gone meanwhile
            self._means.desk.notify(CallClosed(session_id=plan.session_id))
            return
        name_call(plan.session_id, plan.tenant_id)
        self._parts = assemble(
            plan, line, self._means, self._log, latency=self._latency, hand=self, happened=self.happened
        )
        self._performer = Performer(
            line=line,
            parts=self._parts,
            log=self._log,
            tasks=self._tasks,
            latency=self._latency,
            happened=self.happened,
        )
        self._log.note(
            records.CallArrived(
                at_ms=0,
                sip_call_id=line.sip_call_id,
                called=line.called,
                caller=line.caller,
                trunk=line.trunk,
                language=plan.language,
            )
        )
        self._log.note(
            records.LatencyMeasured(at_ms=self._log.at_ms, what="plan_granted", took_ms=float(self._log.at_ms))
        )
        line.on_tick = self._tick
        line.media_lost_seconds = plan.limits.media_lost_seconds
        self._known(self)
        self.happened(flow.PlanGranted())

    async def _step(self, event: Event) -> bool:
        """Take one event; True if it meant something."""
        try:
            state, commands = flow.advance(self.state, event)
        except IllegalEventError:
            log.exception("illegal_event", what=type(event).__name__, state=self.state)
            return False
        entered = state is not self.state
        if entered:
            self._enter(state, event)
        for command in commands:
            if command is Command.REFUSE:
                self._refuse(event)
            elif self._performer is not None:
                try:
                    await self._performer.perform(command, event)
                except Exception:
                    log.exception("command_failed", command=command)
                    self._task_failed(command)
        if isinstance(event, flow.TransferSucceeded | flow.TransferFailed):
            self._transferred(200 if isinstance(event, flow.TransferSucceeded) else event.sip_status)
        return entered or bool(commands)

    def _refuse(self, because: Event) -> None:
        if isinstance(because, flow.PlanDenied):
            self._line.refuse(because.sip_status, because.reason)
        else:
            self._line.refuse(503, "shutting down")

    def _enter(self, state: State, event: Event) -> None:
        self.state = state
        if (ending := flow.ending(event)) and state in {State.CLOSING, State.ENDED}:
            self._because = ending
        if self._parts is not None:
            if state is State.ANSWERING:  # here, because all that follows is started from this task
                plan = self._parts.plan
                name_call(plan.session_id, plan.tenant_id)
            self._log.note(records.StateEntered(at_ms=self._log.at_ms, state=state, because=type(event).__name__))
            self._means.desk.notify(CallStateChanged(session_id=self._parts.plan.session_id, state=state))

    async def _close(self) -> None:
        """Let go of everything, in an order that loses nothing."""
        line = self._line
        statistics = line.statistics()
        heard_samples = line.playout.samples
        line.on_tick = None
        if self.state is not State.REFUSED:
            self.state = State.ENDED
            line.hang_up()
        self._keys.forget()
        self._transferred(487)
        for done in self._asking:
            if not done.done():
                done.set_result(False)
        parts, performer = self._parts, self._performer
        if parts is None or performer is None:
            await self._tasks.wait(TEARDOWN_SECONDS)  # for a plan under way, which the desk is told to forget
            await self._tasks.close()
            line.on_event = _ignore
            return
        try:
            parts.transcript.close()
            await performer.stop()
            await self._tasks.close()
            line.on_event = _ignore
        finally:
            await self._leave(parts, statistics, heard_samples)
        performer.take_apart()

    async def _leave(self, parts: Parts, statistics: LineStatistics | None, heard_samples: int) -> None:
        """Close recording and journal, and tell the desk that they are there."""
        parts.sink.finish()
        await self._means.writer.done()  # whatever the recording has to report comes before the end
        if statistics is not None:
            measured = {name: getattr(statistics, name) for name in LineStatistics.__dataclass_fields__}
            self._log.note(records.LineMeasured(at_ms=self._log.at_ms, **measured))
        parts.reports.data_exchanged()
        reason, by = self._because
        self._log.note(
            records.CallEnded(
                at_ms=self._log.at_ms,
                reason=reason,
                by=by,
                recorded_samples=parts.sink.samples,
                heard_samples=heard_samples,
            )
        )
        await self._log.close()
        self._means.desk.notify(CallClosed(session_id=parts.plan.session_id))

    def _transferred(self, sip_status: int) -> None:
        if self._transfer is not None and not self._transfer.done():
            self._transfer.set_result(sip_status)

    def _task_failed(self, name: str) -> None:
        """A fault of ours, or of a developer's stage: without a pipeline there is a fallback, without more an end."""
        self._log.note(records.AlarmRaised(at_ms=self._log.at_ms, what=f"failed:{name}"))
        if self._performer is not None and name in {PIPELINE, Command.CONNECT_MODEL}:
            self._performer.lost_model()
        else:
            self.happened(flow.FaultCame())

    # --- the line ----------------------------------------------------------------------------------------------------

    def _tick(self, caller: bytes, agent: bytes, rested_ms: int) -> None:
        """One tick of the media clock: the hot path."""
        parts, performer = self._parts, self._performer
        if parts is None or performer is None:
            return
        parts.sink.tick(caller, agent, rested_ms)
        self._latency.tick()
        if parts.ear.listening:
            parts.ear.tick(caller)
        if performer.message is not None:
            performer.message.tick(caller)

    def _line_told(self, event: LineEvent) -> None:
        at_ms = self._log.at_ms
        match event:
            case line_events.CallerHungUp() | line_events.LineFailed() | line_events.MediaLost():
                self.happened(event)
            case line_events.KeyPressed(digit=digit):
                self._key_pressed(digit)
            case line_events.HeldByCaller() | line_events.ResumedByCaller():
                if self._parts is not None:
                    self._parts.watch.held = isinstance(event, line_events.HeldByCaller)
            case line_events.MediaAgreed(codec=codec, srtp=srtp):
                self._log.note(records.MediaAgreed(at_ms=at_ms, codec=codec, srtp=srtp))
            case line_events.SipMessageSeen(direction=direction, summary=summary):
                self._log.note(records.SipMessageSeen(at_ms=at_ms, direction=direction, summary=summary))

    def _key_pressed(self, digit: str) -> None:
        parts, performer = self._parts, self._performer
        if parts is None or performer is None:
            return
        self._note_key(digit, "caller")
        parts.watch.caller_active()
        if self.state is State.ASKING:
            parts.question.key_pressed(digit)
        elif self.state is State.CONVERSING:
            self._keys.press(digit)
        elif self.state is State.TAKING_MESSAGE and digit == "#" and performer.message is not None:
            performer.message.end()

    def _note_key(self, digit: str, by: Literal["caller", "agent"]) -> None:
        shown = digit if self.keeps_words else MASKED
        self._log.note(records.KeyPressed(at_ms=self._log.at_ms, digit=shown, by=by))

    def _keys_pressed(self, digits: str) -> None:
        if self._parts is not None and self.state is State.CONVERSING:
            self._parts.model.tell(f"[The caller pressed the keys {digits} on the telephone.]")


def _ignore(_: LineEvent) -> None:
    """The call is over."""

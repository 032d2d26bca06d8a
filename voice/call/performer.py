"""Carries out the commands of a call's lifecycle: one method each, named like the command.

A command does not wait. What takes time becomes a task of the call's, and what comes of it another event.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from policies import call_flow as flow
from policies.call_flow import Command, Event
from policies.line_events import CallerHungUp
from voice.call import fallback
from voice.call.apart import take_apart
from voice.call.journal import CallLog
from voice.call.latency import SoundLatency
from voice.call.line import Line
from voice.call.parts import Parts
from voice.call.tasks import Tasks
from voice.waist import journal as records
from voice.waist.plan import Clip

if TYPE_CHECKING:
    from voice.call.clips import Heard
    from voice.call.consent import Decision
    from voice.call.pipeline import CallPipeline

TRANSFER_SECONDS = 30.0
FINISH_SECONDS = 15.0
"""A model that owes the rest of its last words is waited for so long behind what it has sent; then they are cut."""
TEARDOWN_SECONDS = 3.0
PIPELINE = "pipeline"
"""Name of the task that runs it."""
_LOOK_SECONDS = 0.05

_RECORDS_FROM: dict[type[Event], str] = {
    flow.AnswerAcknowledged: "answer",
    flow.DisclosurePlayed: "disclosure_played",
    flow.ConsentNotAsked: "consent",
    flow.ConsentGiven: "consent",
}


class Performer:
    """Acts for one call that has its plan. `happened` gets the events that come of it."""

    def __init__(
        self,
        *,
        line: Line,
        parts: Parts,
        log: CallLog,
        tasks: Tasks,
        latency: SoundLatency,
        happened: Callable[[Event], None],
    ) -> None:
        self._line = line
        self._playout = line.playout
        self._parts = parts
        self._plan = parts.plan
        self._log = log
        self._tasks = tasks
        self._latency = latency
        self._happened = happened
        self._pipeline: CallPipeline | None = None
        self._running: asyncio.Task[None] | None = None
        self.message: fallback.Message | None = None
        """The message being spoken, while one is."""
        self._model_lost = False
        self._methods: dict[Command, Callable[[Event], Awaitable[None]]] = {
            command: getattr(self, f"_{command}") for command in Command if command is not Command.REFUSE
        }

    async def perform(self, command: Command, because: Event) -> None:
        """Carry out one command of those that `because` led to."""
        await self._methods[command](because)

    def lost_model(self) -> None:
        """There is no pipeline, and so no model."""
        self._model_lost = True
        self._happened(flow.ModelGivenUp())

    async def stop(self) -> None:
        """The line is down: take the pipeline down, and keep what was being left."""
        self._note_message()
        if self._pipeline is not None and self._running is not None:
            await self._pipeline.stop()
            await asyncio.wait({self._running}, timeout=TEARDOWN_SECONDS)

    def take_apart(self) -> None:
        """Free the call's parts, once its tasks are over."""
        if self._pipeline is not None:
            self._pipeline.take_apart()
        else:
            take_apart(self._parts.model)
        take_apart(self._parts.reports, self._parts.tools, self)

    # --- answer, disclosure, consent ---------------------------------------------------------------------------------

    async def _answer(self, _: Event) -> None:
        self._tasks.start(self._answer_line(), "answer")

    async def _answer_line(self) -> None:
        self._happened(flow.AnswerAcknowledged() if await self._line.answer() else CallerHungUp())

    async def _play_disclosure(self, _: Event) -> None:
        clip = self._plan.clips.disclosure
        played = self._parts.clips.start(clip)
        self._latency.expect(self._parts.clips.last_item, "answer_to_first_audio", time.monotonic())
        self._tasks.start(self._disclose(clip, played), "disclosure")
        self._tasks.start(self._parts.watch.run(), "watch")

    async def _disclose(self, clip: Clip, played: "asyncio.Future[Heard]") -> None:
        heard = await played
        self._log.note(
            records.DisclosurePlayed(
                at_ms=self._log.at_ms,
                wording_sha256=clip.wording_sha256,
                language=clip.language,
                from_sample=heard.from_sample,
                to_sample=heard.to_sample,
            )
        )
        self._happened(flow.DisclosurePlayed())

    async def _connect_model(self, _: Event) -> None:
        self._parts.reports.connecting_since = time.monotonic()
        if not self._plan.consent.asked:  # the greeting is made while the disclosure plays, and follows it at once
            self._parts.model.begin(self._plan.opening)
        self._pipeline = self._parts.pipeline()
        self._running = self._tasks.start(self._pipeline.run(), PIPELINE)

    async def _record_if_due(self, because: Event) -> None:
        terms = self._plan.recording
        if terms.allowed and terms.starts == _RECORDS_FROM[type(because)]:
            self._parts.sink.start()
            self._log.note(records.RecordingStarted(at_ms=self._log.at_ms, at_sample=self._playout.samples))

    async def _discard_recording(self, _: Event) -> None:
        self._parts.reports.keeps_words = False
        self._parts.sink.discard()

    async def _decide_consent(self, _: Event) -> None:
        terms = self._plan.consent
        if terms.asked and terms.question is not None:
            self._tasks.start(self._ask_consent(terms.question), "consent")
        else:
            self._note_consent("not_asked", "none", None)
            self._happened(flow.ConsentNotAsked())

    async def _ask_consent(self, question: Clip) -> None:
        decision: Decision = await self._parts.question.ask(question)
        self._note_consent(decision.verdict, decision.method, decision.question)
        if decision.verdict == "given":
            self._happened(flow.ConsentGiven())
            return
        targets = [target.id for target in self._plan.transfer_targets]
        match self._plan.consent.on_refusal:
            case "go_on_unrecorded":
                self._happened(flow.ConsentRefusedCallGoesOn())
            case "transfer" if targets:
                preferred = self._plan.fallback.target_id
                self._happened(
                    flow.ConsentRefusedCallTransfers(preferred if preferred in targets and preferred else targets[0])
                )
            case _:
                self._happened(flow.ConsentRefusedCallEnds())

    def _note_consent(
        self,
        verdict: Literal["not_asked", "given", "refused", "no_answer"],
        method: Literal["none", "key", "voice"],
        question: Clip | None,
    ) -> None:
        self._log.note(
            records.ConsentDecided(
                at_ms=self._log.at_ms,
                verdict=verdict,
                method=method,
                wording_sha256=question.wording_sha256 if question else None,
                language=question.language if question else self._plan.language,
                at_sample=self._playout.samples,
            )
        )

    # --- the conversation --------------------------------------------------------------------------------------------

    async def _open_gate(self, _: Event) -> None:
        await self._parts.gate.open()
        self._log.note(records.GateOpened(at_ms=self._log.at_ms, at_sample=self._playout.samples))
        self._parts.watch.conversing = True

    async def _shut_gate(self, _: Event) -> None:
        await self._parts.gate.shut()
        self._parts.watch.conversing = False

    async def _start_conversation(self, because: Event) -> None:
        self._parts.model.begin(self._plan.opening)
        self._parts.tools.allowed.set()
        await self._check_model(because)

    async def _check_model(self, _: Event) -> None:
        if self._model_lost or self._parts.model.given_up:
            self._happened(flow.ModelGivenUp())

    async def _pause(self, because: Event) -> None:
        self._parts.sink.paused = True
        self._parts.model.hold()
        by = because.by if isinstance(because, flow.PauseAsked) else "system"
        self._log.note(records.RecordingPaused(at_ms=self._log.at_ms, at_sample=self._playout.samples, by=by))

    async def _resume(self, because: Event) -> None:
        self._parts.sink.paused = False
        self._parts.model.release()
        by = because.by if isinstance(because, flow.ResumeAsked) else "system"
        self._log.note(records.RecordingResumed(at_ms=self._log.at_ms, at_sample=self._playout.samples, by=by))

    async def _ask_still_there(self, _: Event) -> None:
        self._parts.clips.start(self._plan.clips.are_you_there, interruptible=True)

    # --- elsewhere ---------------------------------------------------------------------------------------------------

    async def _refer(self, because: Event) -> None:
        target_id = because.target_id if isinstance(because, _WITH_TARGET) else ""
        self._tasks.start(self._transfer(target_id), "transfer")

    async def _transfer(self, target_id: str) -> None:
        if not await self._agent_finished():
            await self._parts.clips.play(self._plan.clips.transferring)
        uri = next((target.uri for target in self._plan.transfer_targets if target.id == target_id), None)
        status = 404 if uri is None else await self._line.transfer(uri, TRANSFER_SECONDS)
        self._log.note(records.TransferEnded(at_ms=self._log.at_ms, target_id=target_id, sip_status=status))
        self._happened(flow.TransferSucceeded() if 200 <= status < 300 else flow.TransferFailed(status))

    async def _tell_transfer_failed(self, _: Event) -> None:
        self._parts.clips.start(self._plan.clips.transfer_failed)

    async def _tell_model_lost(self, _: Event) -> None:
        self._parts.model.interrupt()
        self._tasks.start(self._fall_back(), "fallback")

    async def _fall_back(self) -> None:
        chosen = fallback.choose(self._plan, recording=self._parts.sink.on)  # first: what is said has to come true
        ends = isinstance(chosen, flow.FallbackEnds)
        await self._parts.clips.play(self._plan.clips.model_lost_end if ends else self._plan.clips.model_lost)
        self._happened(chosen)

    async def _take_message(self, _: Event) -> None:
        self._tasks.start(self._record_message(), "message")

    async def _record_message(self) -> None:
        await self._parts.clips.play(self._plan.clips.leave_message)
        self.message = fallback.Message(self._plan.fallback.message_seconds, from_sample=self._playout.samples)
        await self.message.wait()
        self._note_message()
        self._happened(flow.MessageEnded())

    def _note_message(self) -> None:
        """Whether the caller ends a message with a key, with silence, or by hanging up: it was left."""
        message = self.message
        if message is not None and message.spoken and not message.noted:
            message.noted = True
            self._log.note(
                records.MessageTaken(
                    at_ms=self._log.at_ms,
                    text="",
                    from_sample=message.from_sample,
                    to_sample=self._playout.samples,
                )
            )

    # --- the end -----------------------------------------------------------------------------------------------------

    async def _let_agent_finish(self, _: Event) -> None:
        self._tasks.start(self._finish_or_say_goodbye(), "last words")

    async def _finish_or_say_goodbye(self) -> None:
        if not await self._agent_finished():
            await self._parts.clips.play(self._plan.clips.goodbye)
        self._happened(flow.LastWordsSpoken())

    async def _say_goodbye(self, _: Event) -> None:
        self._say_last(self._plan.clips.goodbye)

    async def _say_drain_goodbye(self, _: Event) -> None:
        self._say_last(self._plan.clips.drain_goodbye)

    async def _say_time_is_up(self, _: Event) -> None:
        self._say_last(self._plan.clips.time_is_up)

    async def _say_message_taken(self, _: Event) -> None:
        spoken = self.message is not None and self.message.spoken
        self.message = None
        self._say_last(self._plan.clips.message_taken if spoken else self._plan.clips.goodbye)

    async def _say_transfer_failed_and_goodbye(self, _: Event) -> None:
        self._say_last(self._plan.clips.transfer_failed, self._plan.clips.goodbye)

    async def _hang_up(self, _: Event) -> None:
        self._line.hang_up()

    def _say_last(self, *clips: Clip) -> None:
        self._parts.model.hold()
        self._tasks.start(self._speak_last(*clips), "last words")

    async def _speak_last(self, *clips: Clip) -> None:
        for clip in clips:
            await self._parts.clips.play(clip)
        self._happened(flow.LastWordsSpoken())

    async def _agent_finished(self) -> bool:
        """Wait until the agent has said what it is saying; False if it was saying nothing. It is silent afterwards.

        A model sends its words faster than they are heard: what has come is played to its end, however long it is.
        """
        model = self._parts.model
        said, queued_ms = False, 0
        until = time.monotonic() + FINISH_SECONDS
        while model.speaking or self._playout.queued_ms:
            if self._playout.queued_ms > queued_ms:  # more has come
                said = True
                until = time.monotonic() + self._playout.queued_ms / 1000 + FINISH_SECONDS
            elif time.monotonic() > until:
                model.interrupt()
                break
            queued_ms = self._playout.queued_ms
            await asyncio.sleep(_LOOK_SECONDS)
        return said


_WITH_TARGET = (flow.TransferAsked, flow.ConsentRefusedCallTransfers, flow.FallbackTransfers)

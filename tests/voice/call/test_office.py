"""All calls of a worker: refusals, many at once, the desk away, a full spool, a developer's stage, and the end."""

import asyncio
import audioop
import dataclasses
import gc
import shutil
import weakref

from pipecat.frames.frames import Frame, InputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from policies.line_events import (
    HeldByCaller,
    LineEvent,
    LineFailed,
    MediaAgreed,
    MediaLost,
    ResumedByCaller,
    SipMessageSeen,
)
from tests.fakes.line import LocalLine
from tests.voice.call.conftest import SPEECH, Scripted, World, plan_for, sounds_like, until
from tests.voice.call.test_conversation import sound
from voice.call.consent_gate import GateOpenedFrame, GateShutFrame
from voice.call.pipeline import OwnStages
from voice.rehearsal.mind import CallTool
from voice.rehearsal.script import Script, Turn
from voice.waist import journal as records
from voice.waist.messages import CallClosed, PlanDenied


async def test_refusals(world: World) -> None:
    """What the desk denies is refused with its status, without a journal."""
    for status in (404, 486):
        world.desk.plan = lambda _, status=status: PlanDenied(sip_status=status, reason="no")  # type: ignore[misc]  # the default binds the loop's variable
        line = LocalLine()
        world.office.take(line)
        await until(line.over.is_set)
        assert line.refused == (status, "no")
    assert list(world.spool.iterdir()) == []


async def test_caller_who_cancels_while_the_plan_is_made(world: World, scripted: Scripted) -> None:
    """The desk is told that the plan will not be used."""
    server = await scripted(Script())
    plan = plan_for(server)
    world.desk.delay_seconds = 0.2
    line = world.ring(plan)
    await until(lambda: world.desk.asked)
    line.hang_up_by_caller()
    await until(lambda: CallClosed(session_id=plan.session_id) in world.desk.told)
    assert line.refused is None


async def test_slow_plan_lets_it_ring(world: World, scripted: Scripted) -> None:
    """A caller who has to wait for the plan hears that it rings."""
    server = await scripted(Script(pace=0))
    world.desk.delay_seconds = 0.7
    line = world.ring(plan_for(server))
    await until(lambda: line.answered_at is not None)
    assert line.rang


async def test_desk_gone_in_the_middle(world: World, scripted: Scripted) -> None:
    """A call goes on while the desk is away, the next one uses its number's spare plan, and nothing told is lost."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),))], repeat=True, pace=0))
    plan, spare = plan_for(server), plan_for(server)
    line = world.ring(plan, spare=spare)
    await until(lambda: world.turns() == 2)
    await world.desk.stop()
    line.speak(SPEECH)
    await until(lambda: len(server.events("input_audio_buffer.append")) > 100)
    second = LocalLine(called=plan.called)
    world.lines.append(second)
    world.office.take(second)
    await until(lambda: second.playout.heard_ms("clip-1") == 600)
    left = await world.ended(line, plan, hang_up=False) if line.over.is_set() else None
    assert left is None
    line.hang_up_by_caller()
    second.hang_up_by_caller()
    await until(lambda: not world.office.busy)
    await world.desk.start()
    closed = [CallClosed(session_id=session.session_id) for session in (plan, spare)]
    await until(lambda: all(notice in world.desk.told for notice in closed))
    assert world.left(plan).one(records.CallEnded).by == "caller"
    assert world.left(spare).one(records.CallEnded).by == "caller"


async def test_four_calls_at_once(world: World, scripted: Scripted) -> None:
    """Four calls share a worker and keep their sound and words apart."""
    server = await scripted(Script([Turn((sound("Hello.", 1.0),))], pace=0))
    plans = [plan_for(server) for _ in range(4)]
    lines = []
    for plan in plans:
        lines.append(world.ring(plan))
        await until(lambda plan=plan: plan.session_id in world.office.live)  # type: ignore[misc]  # the default binds the loop's variable
    await until(lambda: world.turns() == 8, 15)
    for number, line in enumerate(lines):
        line.speak(audioop.mul(SPEECH, 2, 0.1 + number / 10))
    await until(lambda: world.turns() == 12, 15)
    for line in lines:
        line.hang_up_by_caller()
    await until(lambda: not world.office.busy)
    for plan, line in zip(plans, lines, strict=True):
        left = world.left(plan)
        assert [turn.text for turn in left.all(records.TurnSpoken)][:2] == [plan.clips.disclosure.text, "Hello."]
        start = left.one(records.RecordingStarted).at_sample
        assert left.caller == audioop.lin2ulaw(bytes(line.said), 2)[start : start + len(left.caller)]
    assert not world.office.live


async def test_spool_that_is_gone(world: World, scripted: Scripted) -> None:
    """Without a spool the call goes on as if nothing were wrong."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),))], pace=0))
    shutil.rmtree(world.spool)
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    assert sounds_like(bytes(line.heard[16 * 600 :]), 1000) > 0.5
    await until(lambda: len(line.tick_times) > 75)  # the recording's first chunk has been tried by then
    world.spool.mkdir()
    await asyncio.sleep(0.4)
    left = await world.ended(line, plan, hang_up=True)
    assert {record.what for record in left.all(records.AlarmRaised)} == {
        "journal_not_written",
        "recording_not_written",
    }
    assert len(left.caller) == left.one(records.CallEnded).recorded_samples


async def test_line_that_fails(world: World, scripted: Scripted) -> None:
    """A line that dies, or brings no sound any more, ends the call and says why."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),))], repeat=True, pace=0))
    failures: dict[str, LineEvent] = {"line_failed": LineFailed(408), "media_lost": MediaLost()}
    for reason, event in failures.items():
        plan = plan_for(server)
        line = world.ring(plan)
        await until(lambda line=line: len(line.tick_times) > 10)  # type: ignore[misc]  # the default binds the loop's variable
        line.on_event(MediaAgreed("PCMA", "none"))
        line.on_event(SipMessageSeen("in", "200 INVITE"))
        line.on_event(HeldByCaller())
        line.on_event(ResumedByCaller())
        line.on_event(event)
        left = await world.ended(line, plan)
        assert left.one(records.CallEnded).reason == reason
        assert left.one(records.MediaAgreed).codec == "PCMA"
        assert left.one(records.SipMessageSeen).summary == "200 INVITE"


async def test_caller_who_hangs_up_with_the_answer(world: World, scripted: Scripted) -> None:
    """A BYE at any moment of the start leaves no pipeline, no task and no open journal behind."""
    server = await scripted(Script(pace=0))
    for steps in range(12):
        plan = plan_for(server)
        line = world.ring(plan)
        await until(lambda line=line: line.answered_at is not None)  # type: ignore[misc]  # see above
        for _ in range(steps):
            await asyncio.sleep(0)
        assert (await world.ended(line, plan, hang_up=True)).one(records.CallEnded).by == "caller"


class Counter(FrameProcessor):
    """A developer's stage: counts what passes."""

    def __init__(self) -> None:
        super().__init__()
        self.caller = 0
        self.agent = 0
        self.verdicts: list[str] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.caller += isinstance(frame, InputAudioRawFrame)
        self.agent += isinstance(frame, TTSAudioRawFrame)
        if isinstance(frame, GateOpenedFrame | GateShutFrame):
            self.verdicts.append(type(frame).__name__)
        await self.push_frame(frame, direction)


async def test_a_developers_stage_stands_in_the_pipeline(world: World, scripted: Scripted) -> None:
    """An ordinary pipecat processor before and behind the model sees the sound, and the call works as ever."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),)), Turn((sound("Yes.", 0.4),))], pace=0))
    before, after = Counter(), Counter()
    world.office._means = dataclasses.replace(
        world.office._means, own_stages=lambda _: OwnStages(before_model=(before,), after_model=(after,))
    )
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    line.speak(SPEECH)
    await until(lambda: world.turns() == 4)
    await world.ended(line, plan, hang_up=True)
    assert before.caller > 50
    assert before.verdicts[0] == "GateOpenedFrame"
    assert after.agent >= 2
    assert after.caller == 0, "nobody behind the model needs the caller's voice"


async def test_a_call_that_is_over_is_freed(world: World, scripted: Scripted) -> None:
    """Counting references is enough to free a call, its plan, its model and its pipeline: no collection is needed."""
    server = await scripted(Script([Turn((sound("Hello.", 0.4),))], pace=0))
    session_id = (plan := plan_for(server)).session_id
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    call = world.office.live[session_id]
    assert call._parts is not None
    assert call._performer is not None
    assert call._performer._pipeline is not None
    parts = (call, call._parts.model, call._parts.transcript, call._performer, call._performer._pipeline._worker)
    watched = [weakref.ref(part) for part in parts]
    del call, parts
    gc.disable()
    try:
        await world.ended(line, plan, hang_up=True)
        await asyncio.sleep(0.05)
        assert [type(part()).__name__ for part in watched if part() is not None] == []
    finally:
        gc.enable()


async def test_drain_lets_calls_end_and_then_says_goodbye(world: World, scripted: Scripted) -> None:
    """Draining refuses new calls, and those still up at the deadline hear why they end."""
    server = await scripted(Script([Turn((sound("On and on.", 20.0),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.said("conversing"))
    draining = asyncio.ensure_future(world.office.drain(0.3))
    await asyncio.sleep(0.05)
    late = LocalLine()
    world.office.take(late)
    assert late.refused is not None
    assert late.refused[0] == 503
    await draining
    left = world.left(plan)
    assert left.one(records.CallEnded).reason == "shutdown"
    assert left.all(records.TurnSpoken)[-1].text == plan.clips.drain_goodbye.text
    assert sounds_like(bytes(line.heard[-4800:]), 800) > 0.9


async def test_a_fault_of_ours_is_no_maintenance(world: World, scripted: Scripted) -> None:
    """What breaks under a call ends it with an ordinary goodbye, and is told from a server that stops."""
    server = await scripted(Script([Turn((CallTool("transfer", {"target": "desk"}),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    line.transfer = broken_transfer  # type: ignore[method-assign]  # what no line does
    left = await world.ended(line, plan)
    assert left.one(records.AlarmRaised).what == "failed:transfer"
    assert left.one(records.CallEnded).reason == "fault"
    assert left.all(records.TurnSpoken)[-1].text == plan.clips.goodbye.text


async def broken_transfer(_uri: str, _deadline_seconds: float) -> int:
    """A mistake of ours."""
    raise RuntimeError("a mistake of ours")


async def test_plan_that_cannot_be_carried_out_ends_politely(world: World, scripted: Scripted) -> None:
    """A fault in one call's own stages costs that call its model, not the caller the words that explain it."""
    server = await scripted(Script(pace=0))

    def broken(_: object) -> OwnStages:
        raise RuntimeError("a developer's mistake")

    world.office._means = dataclasses.replace(world.office._means, own_stages=broken)
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.said("taking_message"))
    line.press_key("#")
    await asyncio.sleep(1.0)
    line.press_key("#")
    left = await world.ended(line, plan)
    assert left.one(records.AlarmRaised).what == "failed:connect_model"
    assert left.one(records.CallEnded).reason == "message_taken"

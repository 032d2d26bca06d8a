"""What the agent may do by tools and operators by orders: hang up, transfer, messages, keys, pause and resume."""

import asyncio
import audioop

import msgspec

from tests.fakes.plans import PLAN, tone
from tests.voice.call.conftest import SPEECH, Scripted, World, plan_for, sounds_like, until
from tests.voice.call.test_conversation import sound
from voice.rehearsal.mind import CallTool, Wait
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer
from voice.waist import journal as records
from voice.waist.messages import (
    Done,
    HangUpOrdered,
    PauseOrdered,
    ResumeOrdered,
    ToolDone,
    ToolRequested,
    TransferOrdered,
)
from voice.waist.plan import RecordingTerms, ToolOffer

LOOK_UP = ToolOffer(
    name="look_up",
    description="Looks up an order.",
    parameters={"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
    deadline_seconds=0.5,
)


def outputs(server: RehearsalServer) -> list[str]:
    """The results that the model was given."""
    return [
        seen.event["item"]["output"]
        for seen in server.events("conversation.item.create")
        if seen.event["item"]["type"] == "function_call_output"
    ]


async def test_hang_up_waits_for_the_goodbye(world: World, scripted: Scripted) -> None:
    """The agent's goodbye is heard to its last frame before the line goes down."""
    server = await scripted(Script([Turn((sound("Goodbye then.", 1.0), CallTool("hang_up")))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert line.playout.heard_ms("clip-1") == 600
    spoken = left.all(records.TurnSpoken)[-1]
    assert (spoken.text, spoken.to_ms - spoken.from_ms, spoken.interrupted) == ("Goodbye then.", 1000, False)
    assert left.one(records.CallEnded).reason == "agent_hung_up"
    assert left.one(records.ToolCalled).name == "hang_up"


async def test_hang_up_without_a_word_says_goodbye(world: World, scripted: Scripted) -> None:
    """An agent that hangs up in silence is given the goodbye clip."""
    server = await scripted(Script([Turn((CallTool("hang_up"),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert left.all(records.TurnSpoken)[-1].text == plan.clips.goodbye.text
    assert sounds_like(bytes(line.heard[-4800:]), 480) > 0.9


async def test_transfer_that_fails_is_told_to_both(world: World, scripted: Scripted) -> None:
    """The caller hears that nobody took the call, the agent learns the status, and the conversation goes on."""
    server = await scripted(
        Script(
            [Turn((sound("One moment.", 0.4), CallTool("transfer", {"target": "desk"}))), Turn((sound("Pity.", 0.4),))],
            pace=0,
        )
    )
    plan = plan_for(server)
    line = world.ring(plan)
    line.transfer_status = 486
    await until(lambda: world.turns() == 4, 10)
    left = await world.ended(line, plan, hang_up=True)
    assert line.transfers == ["sip:desk@127.0.0.1"]
    assert "486" in outputs(server)[0]
    assert [turn.text for turn in left.all(records.TurnSpoken)][1:] == [
        "One moment.",
        plan.clips.transfer_failed.text,
        "Pity.",
    ]
    assert left.one(records.TransferEnded).sip_status == 486
    states = [record.state for record in left.all(records.StateEntered)]
    assert states[-3:] == ["transferring", "conversing", "ended"]


async def test_transfer_that_succeeds_ends_the_call(world: World, scripted: Scripted) -> None:
    """The caller hears who comes next, from a clip if the agent says nothing, and our leg ends."""
    server = await scripted(Script([Turn((CallTool("transfer", {"target": "desk"}),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert left.all(records.TurnSpoken)[-1].text == plan.clips.transferring.text
    assert left.one(records.CallEnded).reason == "transferred"


async def test_messages_keys_and_nonsense(world: World, scripted: Scripted) -> None:
    """A message is journalled, keys go down the line, and calls that make no sense get an error to read."""
    server = await scripted(
        Script(
            [
                Turn(
                    (
                        CallTool("take_message", {"text": "Call me back."}),
                        CallTool("send_dtmf", {"digits": "12#"}),
                        CallTool("send_dtmf", {"digits": "hello"}),
                        CallTool("transfer", {"target": "elsewhere"}),
                        CallTool("open_the_door"),
                    )
                )
            ],
            pace=0,
        )
    )
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: len(outputs(server)) == 5)
    await until(lambda: len(server.events("response.create")) == 2)
    left = await world.ended(line, plan, hang_up=True)
    assert left.one(records.MessageTaken).text == "Call me back."
    assert line.pressed == ["12#"]
    assert [(key.digit, key.by) for key in left.all(records.KeyPressed)] == [
        ("1", "agent"),
        ("2", "agent"),
        ("#", "agent"),
    ]
    assert sum('"ok":true' in output for output in outputs(server)) == 2
    assert not line.transfers


async def test_desk_tools_have_a_deadline(world: World, scripted: Scripted) -> None:
    """A tool of the desk's gets its arguments and gives its result; a desk that is slow costs its deadline, no more."""
    server = await scripted(
        Script([Turn((CallTool("look_up", {"order": "A7"}),)), Turn((CallTool("look_up", {"order": "B8"}),))], pace=0)
    )
    plan = plan_for(server, tools=(LOOK_UP,))

    def look_up(request: ToolRequested) -> ToolDone:
        world.desk.delay_seconds = 2.0
        return ToolDone(ok=True, result={"status": f"{request.arguments['order']} is on its way"})

    world.desk.tool = look_up
    line = world.ring(plan)
    await until(lambda: len(outputs(server)) == 2)
    left = await world.ended(line, plan, hang_up=True)
    assert "A7 is on its way" in outputs(server)[0]
    assert "in time" in outputs(server)[1]
    assert [tool.outcome for tool in left.all(records.ToolCalled)] == ["ok", "the tool did not answer in time"]
    assert left.all(records.ToolCalled)[1].took_ms < 900


async def test_pause_stops_recording_words_and_ear_together(world: World, scripted: Scripted) -> None:
    """Between pause and resume nothing is recorded, sent, or answered, keys are masked, and time does not shift."""
    server = await scripted(Script([Turn((sound("A long story.", 9.0),)), Turn(())], pace=0))
    plan = plan_for(server, recording=RecordingTerms(allowed=True, starts="answer"))
    line = world.ring(plan)
    await until(lambda: len(line.heard) > 16000 * 1.5)
    session_id = plan.session_id
    assert await world.desk.order(PauseOrdered(session_id=session_id, by="operator")) == Done(ok=True)
    appended = len(server.events("input_audio_buffer.append"))
    line.speak(tone(350, 0.6))
    line.press_key("7")
    await asyncio.sleep(0.8)
    assert len(server.events("input_audio_buffer.append")) == appended
    assert server.events("conversation.item.truncate")
    again = await world.desk.order(PauseOrdered(session_id=session_id, by="operator"))
    assert isinstance(again, Done)
    assert not again.ok
    assert await world.desk.order(ResumeOrdered(session_id=session_id, by="operator")) == Done(ok=True)
    line.speak(tone(450, 0.4))
    await until(lambda: not line.speaking and len(server.events("input_audio_buffer.append")) > appended + 25)
    left = await world.ended(line, plan, hang_up=True)
    paused, resumed = left.one(records.RecordingPaused), left.one(records.RecordingResumed)
    assert (paused.by, resumed.by) == ("operator", "operator")
    start = left.one(records.RecordingStarted).at_sample
    gap = slice(paused.at_sample - start, resumed.at_sample - start)
    assert set(left.caller[gap]) == set(left.agent[gap]) == {0xFF}
    said = audioop.lin2ulaw(bytes(line.said), 2)
    assert left.caller[gap.stop :] == said[resumed.at_sample : start + len(left.caller)]
    assert sounds_like(left.caller[gap.stop :], 450, mulaw=True) > 0.5
    assert left.one(records.KeyPressed).digit == "*"
    assert b"7" not in b"".join(str(seen.event.get("item")).encode() for seen in server.received[-40:])


async def test_operator_hangs_up_and_transfers(world: World, scripted: Scripted) -> None:
    """Orders are carried out and answered with what became of them."""
    server = await scripted(Script([Turn((Wait(0.1),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.said("conversing"))
    refused = await world.desk.order(TransferOrdered(session_id=plan.session_id, target_id="nowhere"))
    assert refused == Done(ok=False, why="no such target")
    line.transfer_status = 404
    failed = await world.desk.order(TransferOrdered(session_id=plan.session_id, target_id="desk"))
    assert failed == Done(ok=False, why="SIP status 404")
    assert await world.desk.order(HangUpOrdered(session_id=plan.session_id)) == Done(ok=True)
    left = await world.ended(line, plan)
    assert left.one(records.CallEnded).by == "operator"
    gone = await world.desk.order(HangUpOrdered(session_id=plan.session_id))
    assert gone == Done(ok=False, why="no such call")


async def test_silent_caller_is_asked_once(world: World, scripted: Scripted) -> None:
    """Silence of both sides is broken with a question; further silence ends the call with a goodbye."""
    server = await scripted(Script(pace=0))
    limits = msgspec.structs.replace(PLAN.limits, idle_prompt_seconds=0.8, idle_end_seconds=0.8)
    plan = plan_for(server, opening="", limits=limits)
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert [turn.text for turn in left.all(records.TurnSpoken)] == [
        plan.clips.disclosure.text,
        plan.clips.are_you_there.text,
        plan.clips.goodbye.text,
    ]
    assert left.one(records.CallEnded).reason == "caller_silent"


async def test_caller_who_answers_is_not_hung_up_on(world: World, scripted: Scripted) -> None:
    """Whoever speaks after having been asked is asked again later, not sent away."""
    server = await scripted(Script(pace=0))
    limits = msgspec.structs.replace(PLAN.limits, idle_prompt_seconds=0.8, idle_end_seconds=1.5)
    plan = plan_for(server, opening="", limits=limits)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    line.speak(SPEECH)
    await until(lambda: world.turns() == 4, 10)
    left = await world.ended(line, plan, hang_up=True)
    asked = [turn for turn in left.all(records.TurnSpoken) if turn.text == plan.clips.are_you_there.text]
    assert len(asked) == 2


async def test_time_is_up(world: World, scripted: Scripted) -> None:
    """The longest duration ends a call with words, whatever is being said."""
    server = await scripted(Script([Turn((sound("On and on.", 20.0),))], pace=0))
    plan = plan_for(server, limits=msgspec.structs.replace(PLAN.limits, max_seconds=1.5))
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert left.one(records.CallEnded).reason == "time_ran_out"
    assert sounds_like(bytes(line.heard[-4800:]), 720) > 0.9
    assert left.one(records.CallEnded).heard_samples < 8000 * 2.6


async def test_last_words_are_heard_whole_however_long(world: World, scripted: Scripted) -> None:
    """Words that came at once and take twenty seconds to say are heard to their end before BYE, and before REFER."""
    words = sound("A very long goodbye.", 20.0)
    tools = {"hang_up": CallTool("hang_up"), "transfer": CallTool("transfer", {"target": "desk"})}
    plans, lines = {}, {}
    for name, tool in tools.items():
        plans[name] = plan = plan_for(await scripted(Script([Turn((words, tool))], pace=0)))
        lines[name] = world.ring(plan)
        await until(lambda plan=plan: plan.session_id in world.office.live)  # type: ignore[misc]  # the default binds the loop's variable
    await until(lambda: not world.office.busy, seconds=40)
    for name, reason in {"hang_up": "agent_hung_up", "transfer": "transferred"}.items():
        left = world.left(plans[name])
        spoken = left.all(records.TurnSpoken)[-1]
        assert (spoken.text, spoken.to_ms - spoken.from_ms, spoken.interrupted) == (words.text, 20_000, False)
        assert left.one(records.CallEnded).reason == reason
    assert lines["transfer"].transfers == ["sip:desk@127.0.0.1"]

"""Whole calls through the worker's half: disclosure, gate, conversation, interruption, transcript, recording."""

import asyncio
import audioop
import base64

from tests.fakes.plans import tone
from tests.voice.call.conftest import SPEECH, Scripted, World, plan_for, sounds_like, until
from voice.rehearsal.mind import Say, Sound, Wait
from voice.rehearsal.script import Script, Turn
from voice.waist import journal as records
from voice.waist.plan import RecordingTerms


def sound(text: str, seconds: float, hertz: float = 1000) -> Sound:
    """An answer that is a tone of exact length."""
    return Sound(audioop.lin2ulaw(tone(hertz, seconds), 2), text)


async def test_a_call_from_invite_to_closed_journal(world: World, scripted: Scripted) -> None:
    """Disclosure, greeting, a turn of the caller's and its answer, all written down in order and recorded."""
    server = await scripted(
        Script([Turn.saying("Good day."), Turn((Say("We open at nine."),), heard="When do you open?")], pace=0)
    )
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    line.speak(SPEECH)
    await until(lambda: world.turns() == 4, 10)
    left = await world.ended(line, plan, hang_up=True)
    turns = left.all(records.TurnSpoken)
    assert [(turn.role, turn.text) for turn in turns] == [
        ("agent", plan.clips.disclosure.text),
        ("agent", "Good day."),
        ("caller", "When do you open?"),
        ("agent", "We open at nine."),
    ]
    assert all(turn.from_ms < turn.to_ms for turn in turns)
    assert [turn.from_ms for turn in turns] == sorted(turn.from_ms for turn in turns)
    states = [record.state for record in left.all(records.StateEntered)]
    assert states == ["answering", "disclosing", "asking", "conversing", "ended"]
    assert left.one(records.CallEnded).by == "caller"
    assert left.one(records.LineMeasured).codec == "PCMU"
    assert len(left.all(records.UsageCounted)) == 2
    measured = {record.what: record.took_ms for record in left.all(records.LatencyMeasured)}
    assert set(measured) == {
        "plan_granted",
        "answer_to_first_audio",
        "model_connected",
        "caller_stopped_to_agent_audio",
    }
    assert measured["answer_to_first_audio"] < 60
    assert 450 < measured["caller_stopped_to_agent_audio"] < 900, "half a second of it is the server's own patience"


async def test_recording_is_what_the_line_carried(world: World, scripted: Scripted) -> None:
    """Both channels hold, sample for sample, what the caller sent and heard from the recording's start on."""
    server = await scripted(Script([Turn((sound("Hello there.", 1.0),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    line.speak(bytes(16000) + SPEECH)
    await until(lambda: len(line.heard) > 16000 * 2.5)
    left = await world.ended(line, plan, hang_up=True)
    start = left.one(records.RecordingStarted).at_sample
    ended = left.one(records.CallEnded)
    assert start == left.one(records.DisclosurePlayed).to_sample == 4800
    assert len(left.caller) == len(left.agent) == ended.recorded_samples == ended.heard_samples - start
    assert left.caller == audioop.lin2ulaw(bytes(line.said), 2)[start : start + len(left.caller)]
    assert left.agent == audioop.lin2ulaw(bytes(line.heard), 2)[start : start + len(left.agent)]


async def test_nothing_reaches_the_model_before_the_disclosure_is_over(world: World, scripted: Scripted) -> None:
    """A caller who talks all through the disclosure neither cuts it nor is heard by the model before its last frame."""
    server = await scripted(Script(pace=0))
    plan = plan_for(server, opening="")
    line = world.ring(plan)
    line.speak(tone(250, 3.0))
    await until(lambda: len(line.tick_times) > 60)
    await world.ended(line, plan, hang_up=True)
    assert sounds_like(bytes(line.heard[: 600 * 16]), 400) > 0.9
    appended = server.events("input_audio_buffer.append")
    assert appended
    assert appended[0].at >= line.tick_times[29], "the disclosure has thirty frames"
    sent = base64.b64decode(appended[0].event["audio"])
    assert len(sent) == 160


async def test_interruption_cuts_at_once_and_tells_what_was_heard(world: World, scripted: Scripted) -> None:
    """The voice stops with the tick in which the server reports speech; all accounts agree on what was heard."""
    words = " ".join(f"word{number}" for number in range(100))
    server = await scripted(Script([Turn((sound(words, 10.0),)), Turn((sound("Yes?", 0.5, 1500),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: len(line.heard) > 16000 * 2)
    line.speak(SPEECH)
    await until(lambda: server.events("conversation.item.truncate"))
    (truncated,) = server.events("conversation.item.truncate")
    reported = next(seen.at for seen in server.sent if seen.kind == "input_audio_buffer.speech_started")
    heard_ms = truncated.event["audio_end_ms"]
    await asyncio.sleep(0.3)
    last_loud = max(
        index
        for index in range(len(line.heard) // 320)
        if sounds_like(bytes(line.heard[index * 320 : index * 320 + 320]), 1000) > 0.9
    )
    assert line.tick_times[last_loud] - reported < 0.02
    assert heard_ms == (last_loud + 1) * 20 - 600
    await until(lambda: world.turns() == 4)
    left = await world.ended(line, plan, hang_up=True)
    cut = next(turn for turn in left.all(records.TurnSpoken) if turn.interrupted)
    share = int(len(words) * heard_ms / 10000)
    assert cut.text
    assert words.startswith(cut.text)
    assert len(cut.text) <= share
    assert share - len(cut.text) < len("word99 ")
    assert cut.to_ms - cut.from_ms == heard_ms


async def test_answer_still_being_made_is_cut_and_kept_quiet(world: World, scripted: Scripted) -> None:
    """Sound and words that arrive after the interruption are neither played nor written down."""
    words = " ".join(f"word{number}" for number in range(200))
    server = await scripted(Script([Turn((sound(words, 20.0),))], pace=1.2))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: len(line.heard) > 16000 * 2)
    line.speak(SPEECH)
    await until(lambda: server.events("conversation.item.truncate"))
    await asyncio.sleep(1.0)
    left = await world.ended(line, plan, hang_up=True)
    assert sounds_like(bytes(line.heard[-8000:]), 1000) < 0.1
    heard_ms = server.events("conversation.item.truncate")[0].event["audio_end_ms"]
    cut = next(turn for turn in left.all(records.TurnSpoken) if turn.interrupted)
    assert words.startswith(cut.text)
    assert len(cut.text) <= len(words) * heard_ms / 20000 + len("word199 ")


async def test_hanging_up_in_the_middle_keeps_only_what_was_heard(world: World, scripted: Scripted) -> None:
    """An answer that the caller did not stay for is written down as far as it was heard."""
    words = " ".join(f"word{number}" for number in range(100))
    server = await scripted(Script([Turn((sound(words, 10.0),))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: len(line.heard) > 16000 * 2)
    left = await world.ended(line, plan, hang_up=True)
    cut = left.all(records.TurnSpoken)[-1]
    assert cut.interrupted
    assert words.startswith(cut.text)
    assert 8 < len(cut.text.split()) < 18


async def test_keys_reach_the_model_as_one_text(world: World, scripted: Scripted) -> None:
    """Keys pressed one after another are journalled singly and told to the model together."""
    server = await scripted(Script([Turn(()), Turn.saying("Customer one two.")], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.said("conversing"))
    for digit in "12#":
        line.press_key(digit)
    await until(lambda: len(server.events("response.create")) == 2)
    texts = [
        part["text"]
        for seen in server.events("conversation.item.create")
        for part in seen.event["item"]["content"]
        if seen.event["item"]["role"] == "user"
    ]
    left = await world.ended(line, plan, hang_up=True)
    assert [text for text in texts if "12#" in text]
    assert [record.digit for record in left.all(records.KeyPressed)] == ["1", "2", "#"]


async def test_greeting_follows_the_disclosure_without_a_gap(world: World, scripted: Scripted) -> None:
    """Where nobody has to be asked, the greeting is made during the disclosure, and heard with the next tick."""
    server = await scripted(Script([Turn((Wait(0.2), sound("Good day.", 0.4)))], pace=0))
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: world.turns() == 2)
    left = await world.ended(line, plan, hang_up=True)
    disclosure, greeting = left.all(records.TurnSpoken)
    assert disclosure.to_ms == greeting.from_ms == 600
    assert not server.events("input_audio_buffer.append") or (
        server.events("input_audio_buffer.append")[0].at > line.tick_times[29]
    )


async def test_session_is_described_as_the_plan_says(world: World, scripted: Scripted) -> None:
    """G.711 both ways, the server finds turns, and the model learns names of targets but never where they lead."""
    server = await scripted(Script(pace=0))
    plan = plan_for(server, language="de-AT")
    line = world.ring(plan)
    await until(lambda: server.events("session.update"))
    await world.ended(line, plan, hang_up=True)
    session = server.events("session.update")[0].event["session"]
    assert session["instructions"] == plan.instructions
    assert session["audio"]["input"]["format"] == session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    assert session["audio"]["input"]["transcription"]["language"] == "de"
    assert session["audio"]["input"]["turn_detection"]["create_response"] is True
    assert session["audio"]["input"]["turn_detection"]["interrupt_response"] is True
    assert {tool["name"] for tool in session["tools"]} == {"hang_up", "take_message", "send_dtmf", "transfer"}
    assert "the front desk" in str(session)
    assert plan.transfer_targets[0].uri not in str(server.received)


async def test_without_leave_nothing_is_kept(world: World, scripted: Scripted) -> None:
    """A plan that allows neither recording nor transcript leaves neither, and the call goes on all the same."""
    server = await scripted(Script([Turn.saying("Hello.")], pace=0))
    plan = plan_for(server, recording=RecordingTerms(allowed=False, transcript=False))
    line = world.ring(plan)
    await until(lambda: line.playout.heard_ms("clip-1") == 600 and len(line.heard) > 16000)
    await asyncio.sleep(0.6)
    left = await world.ended(line, plan, hang_up=True)
    assert not (world.spool / f"{plan.session_id}.recording").exists()
    assert not left.all(records.TurnSpoken)
    assert left.one(records.CallEnded).recorded_samples == 0
    assert sounds_like(bytes(line.heard), 400) < 1


async def test_caller_gone_in_every_early_state(world: World, scripted: Scripted) -> None:
    """CANCEL while planning, no ACK, and BYE during the disclosure all end cleanly, with a journal where one began."""
    server = await scripted(Script([Turn((Wait(5),))], pace=0))
    plan = plan_for(server)
    world.desk.delay_seconds = 0.1
    line = world.ring(plan)
    line.hang_up_by_caller()
    await until(lambda: not world.office.busy)
    assert not (world.spool / f"{plan.session_id}.journal").exists()
    world.desk.delay_seconds = 0.0
    plan = plan_for(server)
    line = world.ring(plan)
    line.acknowledges = False
    assert (await world.ended(line, plan)).one(records.CallEnded).heard_samples == 0
    plan = plan_for(server)
    line = world.ring(plan)
    await until(lambda: len(line.tick_times) > 5)
    left = await world.ended(line, plan, hang_up=True)
    assert not left.all(records.DisclosurePlayed)
    assert not left.all(records.GateOpened)

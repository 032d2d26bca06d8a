"""Consent: yes and no by key and by voice, no answer, an unclear one, and what each means for model and recording."""

import asyncio
import wave
from collections.abc import AsyncIterator
from io import BytesIO

import msgspec
import pytest
from aiohttp import web

from tests.fakes.line import LocalLine
from tests.fakes.plans import ASKED, tone
from tests.voice.call.conftest import Left, Scripted, World, plan_for, sounds_like, until
from tests.voice.call.test_tools_and_orders import LOOK_UP, outputs
from voice.call.consent_ear import ConsentEar, UtteranceCutter
from voice.rehearsal.mind import CallTool
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer
from voice.waist import journal as records
from voice.waist.plan import RecordingTerms

TELLING = Turn(
    (
        CallTool("take_message", {"text": "Call Ann back."}),
        CallTool("send_dtmf", {"digits": "12"}),
        CallTool("look_up", {"order": "A7 of Ann"}),
        CallTool("send_dtmf", {"digits": "Ann"}),
    )
)
"""A model that tells its tools what the caller said."""


class Ear:
    """A speech server that understands what a test tells it to."""

    def __init__(self) -> None:
        self.text = ""
        self.asked: list[dict[str, str]] = []
        self.heard: list[bytes] = []
        self.url = ""

    async def transcribe(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append({name: value for name, value in form.items() if isinstance(value, str)})
        file = form["file"]
        assert isinstance(file, web.FileField)
        with wave.open(BytesIO(file.file.read())) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
            self.heard.append(sound.readframes(sound.getnframes()))
        return web.json_response({"text": self.text})


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    """A local ear on a free port."""
    ear = Ear()
    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", ear.transcribe)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ear.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield ear
    await runner.cleanup()


async def asked(line: LocalLine) -> None:
    """Wait until the question has begun."""
    await until(lambda: line.playout.heard_ms("clip-2") > 0)


async def question_over(line: LocalLine) -> None:
    """Wait until the question has been heard."""
    await until(lambda: line.playout.heard_ms("clip-2") == 400)
    await asyncio.sleep(0.05)


async def test_yes_by_key_opens_gate_and_recording(world: World, scripted: Scripted) -> None:
    """Key 1, pressed while the question still plays, cuts the question, opens the gate and starts the recording."""
    server = await scripted(Script([Turn.saying("Hello.")], pace=0))
    plan = plan_for(server, consent=ASKED)
    line = world.ring(plan)
    line.speak(tone(250, 3.0))
    await asked(line)
    assert not server.events("input_audio_buffer.append")
    line.press_key("1")
    await until(lambda: server.events("input_audio_buffer.append"))
    assert line.playout.heard_ms("clip-2") < 400
    left = await world.ended(line, plan, hang_up=True)
    decided = left.one(records.ConsentDecided)
    assert (decided.verdict, decided.method) == ("given", "key")
    assert ASKED.question is not None
    assert decided.wording_sha256 == ASKED.question.wording_sha256
    assert left.one(records.RecordingStarted).at_sample == left.one(records.GateOpened).at_sample
    assert left.one(records.GateOpened).at_sample >= decided.at_sample


async def test_yes_by_voice(world: World, scripted: Scripted, ear: Ear) -> None:
    """A spoken yes is understood on this machine, and the caller's voice goes to no model before it."""
    server = await scripted(Script([Turn.saying("Hello.")], pace=0))
    world.use_ear(ear.url)
    plan = plan_for(server, consent=ASKED)
    line = world.ring(plan)
    await question_over(line)
    ear.text = "yes please"
    line.speak(tone(250, 0.5))
    await until(lambda: server.events("input_audio_buffer.append"))
    left = await world.ended(line, plan, hang_up=True)
    assert (left.one(records.ConsentDecided).verdict, left.one(records.ConsentDecided).method) == ("given", "voice")
    assert ear.asked == [{"model": "yes-no", "language": "en", "response_format": "json"}]
    assert sounds_like(ear.heard[0], 250) > 0.6


async def test_yes_by_voice_where_only_a_key_is_sure(world: World, scripted: Scripted, ear: Ear) -> None:
    """What sounds like a Spanish yes is asked about once more, and opens nothing; the key does."""
    server = await scripted(Script([Turn.saying("Hola.")], pace=0))
    world.use_ear(ear.url)
    assert ASKED.question is not None
    assert ASKED.retry is not None
    spanish = msgspec.structs.replace(
        ASKED,
        question=msgspec.structs.replace(ASKED.question, language="es"),
        retry=msgspec.structs.replace(ASKED.retry, language="es"),
    )
    plan = plan_for(server, consent=spanish)
    line = world.ring(plan)
    await question_over(line)
    ear.text = "sí claro"
    line.speak(tone(250, 0.5))
    await until(lambda: line.playout.heard_ms("clip-3") > 0)
    assert not server.events("input_audio_buffer.append")
    line.press_key("1")
    await until(lambda: server.events("input_audio_buffer.append"))
    left = await world.ended(line, plan, hang_up=True)
    assert (left.one(records.ConsentDecided).verdict, left.one(records.ConsentDecided).method) == ("given", "key")


async def test_voice_over_the_question_does_not_count(world: World, scripted: Scripted, ear: Ear) -> None:
    """What is heard while the question plays may be its echo: it answers nothing."""
    server = await scripted(Script(pace=0))
    world.use_ear(ear.url)
    ear.text = "yes"
    plan = plan_for(server, consent=ASKED)
    line = world.ring(plan)
    await asked(line)
    line.speak(tone(250, 0.3))
    await until(lambda: world.said("conversing"), 10)
    left = await world.ended(line, plan, hang_up=True)
    assert left.one(records.ConsentDecided).verdict == "no_answer"
    assert not ear.asked


async def test_unclear_answer_is_asked_again(world: World, scripted: Scripted, ear: Ear) -> None:
    """An answer that is neither yes nor no is asked for once more, with other words."""
    server = await scripted(Script(pace=0))
    world.use_ear(ear.url)
    ear.text = "perhaps"
    plan = plan_for(server, consent=ASKED)
    line = world.ring(plan)
    await question_over(line)
    line.speak(tone(250, 0.5))
    await until(lambda: line.playout.heard_ms("clip-3") == 400)
    ear.text = "no"
    await asyncio.sleep(0.05)
    line.speak(tone(250, 0.5))
    await until(lambda: world.said("conversing"), 10)
    left = await world.ended(line, plan, hang_up=True)
    decided = left.one(records.ConsentDecided)
    assert (decided.verdict, decided.method) == ("refused", "voice")
    assert ASKED.retry is not None
    assert decided.wording_sha256 == ASKED.retry.wording_sha256


async def test_refused_call_goes_on_unrecorded(world: World, scripted: Scripted) -> None:
    """After a no the conversation takes place, and neither sound nor words nor keys of it are kept."""
    server = await scripted(Script([TELLING, Turn.saying("Goodbye.")], pace=0))
    plan = plan_for(server, consent=ASKED, tools=(LOOK_UP,))
    line = world.ring(plan)
    await asked(line)
    line.press_key("2")
    await until(lambda: len(outputs(server)) == 4)
    line.press_key("5")
    await asyncio.sleep(1.0)
    left = await world.ended(line, plan, hang_up=True)
    assert left.one(records.ConsentDecided).verdict == "refused"
    assert_only_the_message_is_in_writing(server, left)
    assert not (world.spool / f"{plan.session_id}.recording").exists()
    assert ASKED.question is not None
    ours = plan.clips.disclosure.text, ASKED.question.text
    assert all(any(text.startswith(turn.text) for text in ours) for turn in left.all(records.TurnSpoken))
    assert [(key.by, key.digit) for key in left.all(records.KeyPressed)] == [
        ("caller", "2"),
        ("agent", "*"),
        ("agent", "*"),
        ("caller", "*"),
    ]
    assert left.one(records.CallEnded).recorded_samples == 0


def assert_only_the_message_is_in_writing(server: RehearsalServer, left: Left) -> None:
    """Which tools were used and whether they worked is kept, with what they were used is not; the model is told."""
    used = left.all(records.ToolCalled)
    assert sorted((tool.name, tool.outcome) for tool in used) == [
        ("look_up", "ok"),
        ("send_dtmf", "failed"),
        ("send_dtmf", "ok"),
        ("take_message", "ok"),
    ]
    assert not any(tool.arguments for tool in used)
    assert left.one(records.MessageTaken).text == "Call Ann back."
    assert "kept in writing" in outputs(server)[0]


async def test_a_call_without_a_transcript_keeps_no_words(world: World, scripted: Scripted) -> None:
    """Where the plan wants no transcript, words do not come back as keys or as what tools were told."""
    server = await scripted(Script([TELLING], pace=0))
    plan = plan_for(server, tools=(LOOK_UP,), recording=RecordingTerms(allowed=True, transcript=False))
    line = world.ring(plan)
    await until(lambda: len(outputs(server)) == 4)
    line.press_key("5")
    left = await world.ended(line, plan, hang_up=True)
    assert not left.all(records.TurnSpoken)
    assert {key.digit for key in left.all(records.KeyPressed)} == {"*"}
    assert_only_the_message_is_in_writing(server, left)


async def test_no_answer_counts_as_a_no(world: World, scripted: Scripted) -> None:
    """A caller who says nothing has not agreed; a scenario that ends such calls says goodbye and ends."""
    server = await scripted(Script(pace=0))
    plan = plan_for(server, consent=msgspec.structs.replace(ASKED, on_refusal="end", answer_seconds=0.3))
    line = world.ring(plan)
    left = await world.ended(line, plan)
    assert (left.one(records.ConsentDecided).verdict, left.one(records.ConsentDecided).method) == ("no_answer", "none")
    assert sounds_like(bytes(line.heard[-4800:]), 480) > 0.9
    assert left.one(records.CallEnded).reason == "consent_refused"
    assert not server.events("input_audio_buffer.append")


async def test_refused_call_is_transferred(world: World, scripted: Scripted) -> None:
    """A no may lead to a person; if nobody takes the call, the caller is told and the call ends."""
    server = await scripted(Script(pace=0))
    for status, reason in ((200, "transferred"), (486, "transfer_failed")):
        plan = plan_for(server, consent=msgspec.structs.replace(ASKED, on_refusal="transfer"))
        line = world.ring(plan)
        line.transfer_status = status
        await asked(line)
        line.press_key("2")
        left = await world.ended(line, plan)
        assert line.transfers == ["sip:desk@127.0.0.1"]
        assert left.one(records.CallEnded).reason == reason
        assert left.one(records.TransferEnded).sip_status == status


async def test_recording_begun_before_a_no_is_not_kept(world: World, scripted: Scripted) -> None:
    """Should a plan record from the answer on and ask nevertheless, a no takes back what was recorded."""
    server = await scripted(Script(pace=0))
    plan = plan_for(
        server, consent=ASKED, recording=msgspec.structs.replace(plan_for(server).recording, starts="answer")
    )
    line = world.ring(plan)
    await asked(line)
    line.press_key("2")
    await until(lambda: server.events("input_audio_buffer.append"))
    await world.ended(line, plan, hang_up=True)
    assert not (world.spool / f"{plan.session_id}.recording").exists()


def test_cutter_finds_words_and_ignores_clicks() -> None:
    """A word is cut out with what went before it; a click is not a word, and endless speech ends by itself."""
    cutter = UtteranceCutter()
    silence, loud = bytes(320), tone(250, 0.02)

    def feed(*frames: bytes) -> list[bytes]:
        return [utterance for frame in frames if (utterance := cutter.tick(frame)) is not None]

    assert feed(*[silence] * 50, *[loud] * 2, *[silence] * 60) == []
    (word,) = feed(*[loud] * 20, *[silence] * 30)
    assert len(word) == (10 + 20 + 25) * 320
    (long,) = feed(*[loud] * 250)
    assert len(long) > 200 * 320


async def test_ear_without_a_server_hears_nothing() -> None:
    """A speech server that is away makes an answer unclear, and no call fail."""
    ear = ConsentEar("http://127.0.0.1:9", "en")
    ear.listen()
    for frame in [tone(250, 0.02)] * 20 + [bytes(320)] * 30:
        ear.tick(frame)
    assert await ear.next_words() == ""

"""Turn detection: the detector itself, and what a session makes of it."""

import audioop

from tests.voice.rehearsal.realtime_client import Connect, noise, silence
from voice.rehearsal.mind import Say, WaitForSpeech
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer
from voice.rehearsal.vad import EnergyDetector, TurnRules


def edges(ulaw: bytes, rules: TurnRules, step: int = 160) -> list[tuple[str, int]]:
    detector, s16 = EnergyDetector(8000), audioop.ulaw2lin(ulaw, 2)
    pieces = [s16[at : at + 2 * step] for at in range(0, len(s16), 2 * step)]
    return [(edge.what, edge.at_ms) for piece in pieces for edge in detector.hear(piece, rules)]


def test_speech_begins_with_its_padding_and_ends_with_its_silence() -> None:
    """Offsets are those that OpenAI documents: padding before, closing silence included."""
    sound = silence(1000) + noise(700) + silence(1000)
    assert edges(sound, TurnRules()) == [("started", 700), ("stopped", 2200)]
    assert edges(sound, TurnRules(prefix_padding_ms=0, silence_ms=200)) == [("started", 1000), ("stopped", 1900)]


def test_pieces_of_any_length_give_the_same_edges() -> None:
    """A client may append 1 ms or 3 s at once."""
    sound = silence(500) + noise(400) + silence(700) + noise(300) + silence(600)
    assert edges(sound, TurnRules(), step=7) == edges(sound, TurnRules(), step=24000) == edges(sound, TurnRules())


def test_a_click_is_no_turn_and_a_pause_ends_none() -> None:
    """40 ms of noise are ignored; a pause shorter than the silence asked for is part of the turn."""
    assert edges(silence(200) + noise(40) + silence(900), TurnRules()) == []
    sound = silence(400) + noise(200) + silence(300) + noise(200) + silence(600)
    assert edges(sound, TurnRules()) == [("started", 100), ("stopped", 1600)]


def test_the_threshold_decides_what_is_loud() -> None:
    """Quiet speech counts at a low threshold and not at a high one."""
    quiet = audioop.lin2ulaw(audioop.mul(audioop.ulaw2lin(noise(400), 2), 2, 0.02), 2) + silence(600)
    assert edges(quiet, TurnRules(threshold=0.3))
    assert not edges(quiet, TurnRules(threshold=0.9))


async def test_a_turn_interrupts_and_is_answered(connect: Connect) -> None:
    """Speech cancels the response that is being sent, closes its item as incomplete, and gets an answer."""
    script = Script(turns=[Turn.saying("This is a rather long sentence to be interrupted in."), Turn.saying("Yes?")])
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.append(noise(400) + silence(600))
        cut = await client.response()
        assert cut["status"] == "cancelled"
        assert cut["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert cut["output"][0]["status"] == "incomplete"
        assert [event["type"] for event in client.seen].index("input_audio_buffer.speech_started") > 0
        answer = await client.response()
        assert answer["output"][0]["content"][0]["transcript"] == "Yes?"


async def test_the_client_may_keep_the_answers_to_itself(connect: Connect) -> None:
    """With create_response and interrupt_response off, turns are only reported."""
    rules = {"type": "semantic_vad", "eagerness": "high", "create_response": False, "interrupt_response": False}
    script = Script(turns=[Turn.saying("Not interrupted.")])
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.update(audio={"input": {"turn_detection": rules}})
        await client.send("response.create")
        await client.until("response.output_audio.delta")
        await client.append(noise(400) + silence(350))
        assert (await client.response())["status"] == "completed"
        kinds = [event["type"] for event in client.seen]
        assert "input_audio_buffer.speech_stopped" in kinds
        assert kinds.count("response.created") == 1


async def test_an_idle_caller_is_prompted(connect: Connect) -> None:
    """After idle_timeout_ms of nothing the server makes the model speak by itself."""
    script = Script(turns=[Turn.saying("Hello."), Turn.saying("Are you there?")], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.update(audio={"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}})
        server.sessions[0].config["audio"]["input"]["turn_detection"]["idle_timeout_ms"] = 50
        await client.send("response.create")
        await client.response()
        await client.until("input_audio_buffer.timeout_triggered")
        assert (await client.response())["output"][0]["content"][0]["transcript"] == "Are you there?"


async def test_a_mind_may_wait_for_the_caller(connect: Connect) -> None:
    """WaitForSpeech goes on when the caller begins to speak."""
    script = Script(turns=[Turn((WaitForSpeech(), Say("There you are.")))], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        rules = {"type": "server_vad", "interrupt_response": False, "create_response": False}
        await client.update(audio={"input": {"turn_detection": rules}})
        await client.send("response.create")
        await client.until("response.created")
        await client.append(noise(200))
        await client.until("input_audio_buffer.speech_started")
        assert (await client.response())["output"][0]["content"][0]["transcript"] == "There you are."

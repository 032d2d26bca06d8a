"""The scripted mind: exact sound, tools, and faults; and what a test can see of it."""

import asyncio
import base64
import time

import aiohttp
import pytest

from tests.voice.rehearsal.realtime_client import Connect
from voice.rehearsal.mind import CallTool, Drop, Fail, Say, SendError, Sound, Wait
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer

CLICK = b"\xff" * 800 + b"\x00\x80" * 4 + b"\xff" * 2001


async def test_exact_sound_arrives_exactly(connect: Connect) -> None:
    """Bytes given by a test are sent as they are, in deltas of 200 ms, with their transcript beside them."""
    script = Script(turns=[Turn((Sound(CLICK, "one click"),))])
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        done = await client.response()
        deltas = [
            base64.b64decode(event["delta"]) for event in client.seen if event["type"] == "response.output_audio.delta"
        ]
        assert [len(delta) for delta in deltas] == [1600, 1209]
        assert b"".join(deltas) == CLICK
        words = [event["delta"] for event in client.seen if event["type"] == "response.output_audio_transcript.delta"]
        assert "".join(words) == "one click"
        assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "one click"}]
        sent = [seen for seen in server.sent if seen.kind == "response.output_audio.delta"]
        assert 0.03 < sent[1].at - sent[0].at < 1.0


async def test_events_of_a_response_come_in_openais_order(connect: Connect) -> None:
    """From response.created to response.done nothing is missing or out of order."""
    script = Script(turns=[Turn((Sound(CLICK, "click"),))], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        await client.response()
    kinds = list(dict.fromkeys(event["type"] for event in client.seen))
    assert kinds[kinds.index("response.created") :] == [
        "response.created",
        "rate_limits.updated",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert len({event["event_id"] for event in client.seen}) == len(client.seen)


async def test_text_and_apart(connect: Connect) -> None:
    """A response may be text alone."""
    script = Script(turns=[Turn.saying("Only words here.")])
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create", response={"output_modalities": ["text"]})
        done = await client.response()
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "Only words here."}]
    assert done["usage"]["output_token_details"] == {"text_tokens": 4, "audio_tokens": 0}


async def test_the_longest_answer(connect: Connect) -> None:
    """max_output_tokens ends a response as incomplete."""
    script = Script(turns=[Turn((Sound(b"\xff" * 16000),))], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create", response={"max_output_tokens": 10})
        done = await client.response()
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}


async def test_tools_and_their_results(connect: Connect) -> None:
    """A call is announced with its arguments, its result is taken, and the next response is the next turn."""
    call = CallTool("book", {"day": "Tuesday"}, call_id="call_1")
    script = Script(turns=[Turn((call,)), Turn.saying("Done.")], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        done = (await client.response())["output"][0]
        assert (done["name"], done["call_id"], done["arguments"]) == ("book", "call_1", '{"day":"Tuesday"}')
        output = {"type": "function_call_output", "call_id": "call_1", "output": "{}"}
        await client.send("conversation.item.create", item=output)
        await client.send("response.create")
        assert (await client.response())["output"][0]["content"][0]["transcript"] == "Done."
        assert [seen.event["item"]["output"] for seen in server.events("conversation.item.create")] == ["{}"]


async def test_a_client_cancels(connect: Connect) -> None:
    """response.cancel ends a silent model at once."""
    async with RehearsalServer(script=Script(turns=[Turn((Wait(3600),))])) as server, connect(server) as client:
        await client.send("response.create")
        await client.until("response.created")
        await client.send("response.cancel")
        assert (await client.response())["status_details"]["reason"] == "client_cancelled"


async def test_faults_in_a_response(connect: Connect) -> None:
    """A failed response, an error event, late sound, and an empty answer after the script's end."""
    turns = [
        Turn((Fail("rate_limit_exceeded", "Too many."),)),
        Turn((SendError("server_error"), Sound(CLICK, stall_after_ms=200, stall_seconds=0.2))),
    ]
    async with RehearsalServer(script=Script(turns=turns, pace=0)) as server, connect(server) as client:
        await client.send("response.create")
        failed = await client.response()
        assert (failed["status"], failed["status_details"]["error"]["code"]) == ("failed", "rate_limit_exceeded")
        await client.send("response.create")
        assert (await client.error())["code"] == "server_error"
        await client.response()
        first, second = [seen.at for seen in server.sent if seen.kind == "response.output_audio.delta"]
        assert second - first >= 0.2
        await client.send("response.create")
        assert (await client.response())["output"] == []


async def test_the_socket_drops(connect: Connect) -> None:
    """Drop cuts the connection without a closing handshake; with a code it closes properly."""
    async with RehearsalServer(script=Script(turns=[Turn((Drop(),))])) as server, connect(server) as client:
        await client.send("response.create")
        with pytest.raises(TypeError):
            await client.until("response.done")
        assert client.socket.close_code == 1006
    script = Script(turns=[Turn((Drop(1011, "broken"),))])
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        with pytest.raises(TypeError):
            await client.until("response.done")
        assert client.socket.close_code == 1011


async def test_faults_beside_responses(connect: Connect) -> None:
    """The script's `meanwhile` acts by the clock, whatever the client does."""
    script = Script(meanwhile=(Wait(0.05), SendError("boom"), Drop()))
    async with RehearsalServer(script=script) as server, connect(server, g711=False) as client:
        assert (await client.error())["code"] == "boom"
        assert (await client.socket.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


async def test_refusals(connect: Connect) -> None:
    """The first connections and secrets are refused as the script says; a test may refuse at any time."""
    async with RehearsalServer(script=Script(refused_connections=1, refused_tokens=1)) as server:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with connect(server):
                pass
        async with connect(server):
            pass
        headers = {"Authorization": "Bearer rehearsal"}
        async with aiohttp.ClientSession(headers=headers) as http:
            statuses = [(await http.post(f"{server.url}/realtime/client_secrets")).status for _ in range(2)]
        assert statuses == [500, 200]
        server.refusing = True
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            async with connect(server):
                pass


async def test_what_was_received_and_when(connect: Connect) -> None:
    """Events are kept with their monotonic times and their session's number; caller audio can be put together."""
    began = time.monotonic()
    async with RehearsalServer(script=Script()) as server:
        async with connect(server) as one, connect(server) as two:
            await one.append(b"\x01" * 480)
            await asyncio.sleep(0.05)
            await two.append(b"\x02" * 160)
            await one.send("input_audio_buffer.clear")
            await one.until("input_audio_buffer.cleared")
            await two.send("input_audio_buffer.clear")
            await two.until("input_audio_buffer.cleared")
        assert server.caller_audio(0) == b"\x01" * 480
        assert server.caller_audio(1) == b"\x02" * 160
        appended = server.events("input_audio_buffer.append")
        assert [seen.connection for seen in appended] == [0, 0, 0, 1]
        assert appended[3].at - appended[2].at >= 0.04
        assert began <= appended[0].at <= time.monotonic()


async def test_a_script_repeats(connect: Connect) -> None:
    """With `repeat` the turns begin again, in every session anew."""
    async with (
        RehearsalServer(script=Script(turns=[Turn((Say("A"),)), Turn((Say("B"),))], repeat=True, pace=0)) as server,
        connect(server) as client,
    ):
        said = []
        for _ in range(3):
            await client.send("response.create")
            said.append((await client.response())["output"][0]["content"][0]["transcript"])
    assert said == ["A", "B", "A"]

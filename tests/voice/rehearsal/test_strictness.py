"""What OpenAI would reject is rejected, with its code."""

import base64
from typing import Any

import aiohttp
import pytest

from tests.voice.rehearsal.realtime_client import Connect, noise
from voice.rehearsal.mind import Say, Wait
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer


def session(**fields: Any) -> dict[str, Any]:
    return {"type": "session.update", "session": {"type": "realtime", **fields}}


def item(**fields: Any) -> dict[str, Any]:
    return {"type": "conversation.item.create", "item": fields}


def said(role: str, *content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return item(type="message", role=role, content=list(content), **fields)


def vad(**fields: Any) -> dict[str, Any]:
    return session(audio={"input": {"turn_detection": {"type": "server_vad", **fields}}})


TEXT = {"type": "input_text", "text": "Hello."}
WRONG = [
    ({"type": "input_audio_buffer.shout"}, "invalid_value", "type"),
    ({"session": {}}, "missing_required_parameter", "type"),
    ({"type": "session.update"}, "missing_required_parameter", "session"),
    ({"type": "session.update", "session": {"instructions": "x"}}, "missing_required_parameter", "session.type"),
    ({"type": "session.update", "session": {"type": "transcription"}}, "invalid_value", "session.type"),
    (session(voice="alloy"), "unknown_parameter", "session.voice"),
    (session(instructions=7), "invalid_type", "session.instructions"),
    (session(model="gpt-realtime-2"), "cannot_update_model", "session.model"),
    (session(output_modalities=["audio", "text"]), "array_above_max_length", "session.output_modalities"),
    (session(output_modalities=["video"]), "invalid_value", "session.output_modalities[0]"),
    (session(max_output_tokens=5000), "integer_above_max_value", "session.max_output_tokens"),
    (session(max_output_tokens=0), "integer_below_min_value", "session.max_output_tokens"),
    (session(tool_choice="maybe"), "invalid_value", "session.tool_choice"),
    (session(tools=[{"type": "function"}]), "missing_required_parameter", "session.tools[0].name"),
    (session(tools=[{"type": "function", "name": "hang up"}]), "invalid_value", "session.tools[0].name"),
    (session(audio={"output": {"voice": "bob"}}), "invalid_value", "session.audio.output.voice"),
    (session(audio={"output": {"speed": 2.0}}), "decimal_above_max_value", "session.audio.output.speed"),
    (session(audio={"input": {"format": {"type": "audio/opus"}}}), "invalid_value", "session.audio.input.format.type"),
    (
        session(audio={"input": {"format": {"type": "audio/pcm", "rate": 8000}}}),
        "invalid_value",
        "session.audio.input.format.rate",
    ),
    (
        session(audio={"input": {"transcription": {"model": "ear-9"}}}),
        "invalid_value",
        "session.audio.input.transcription.model",
    ),
    (vad(threshold=1.5), "decimal_above_max_value", "session.audio.input.turn_detection.threshold"),
    (vad(silence_duration_ms=-1), "integer_below_min_value", "session.audio.input.turn_detection.silence_duration_ms"),
    (vad(idle_timeout_ms=10), "integer_below_min_value", "session.audio.input.turn_detection.idle_timeout_ms"),
    (vad(eagerness="low"), "unknown_parameter", "session.audio.input.turn_detection.eagerness"),
    (vad(create_response="yes"), "invalid_type", "session.audio.input.turn_detection.create_response"),
    ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
    ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_type", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "%%%"}, "invalid_value", "audio"),
    ({"type": "input_audio_buffer.append", "audio": "AAAA", "rate": 8000}, "unknown_parameter", "rate"),
    ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
    (said("user", {"type": "output_text", "text": "x"}), "invalid_value", "item.content[0].type"),
    (said("system", {"type": "input_audio", "audio": ""}), "invalid_value", "item.content[0].type"),
    (said("assistant", {"type": "output_audio"}), "missing_required_parameter", "item.content[0].text"),
    (said("robot", TEXT), "invalid_value", "item.role"),
    (said("user", TEXT, id="i" * 33), "string_above_max_length", "item.id"),
    (said("user", TEXT) | {"previous_item_id": "nobody"}, "item_create_invalid_previous_item_id", "previous_item_id"),
    (item(type="function_call_output", call_id="nobody", output="{}"), "invalid_tool_call_id", "item.call_id"),
    (item(type="mystery"), "invalid_value", "item.type"),
    ({"type": "conversation.item.delete", "item_id": "nobody"}, "item_delete_invalid_item_id", "item_id"),
    ({"type": "conversation.item.retrieve", "item_id": "nobody"}, "item_retrieve_invalid_item_id", "item_id"),
    (
        {"type": "conversation.item.truncate", "item_id": "nobody", "content_index": 0, "audio_end_ms": 1},
        "item_truncate_invalid_item_id",
        "item_id",
    ),
    (
        {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 1.5},
        "invalid_type",
        "audio_end_ms",
    ),
    ({"type": "response.create", "response": {"temperature": 0.8}}, "unknown_parameter", "response.temperature"),
    ({"type": "response.create", "response": {"audio": {"input": {}}}}, "unknown_parameter", "response.audio.input"),
    ({"type": "response.cancel"}, "response_cancel_not_active", None),
    ({"type": "response.cancel", "response_id": "nobody"}, "response_cancel_not_active", None),
]


async def test_each_wrong_event_is_answered_with_its_error(connect: Connect) -> None:
    """Every row gets the code, the parameter and its own event id back, and the session goes on."""
    found = []
    async with RehearsalServer(script=Script()) as server, connect(server) as client:
        for number, (event, _, _) in enumerate(WRONG):
            await client.socket.send_json({**event, "event_id": f"e{number}"})
            error = await client.error()
            assert error["type"] == "invalid_request_error"
            assert error["event_id"] == f"e{number}"
            assert error["message"]
            found.append((event, error["code"], error["param"]))
        assert (await client.update(instructions="Still here."))["type"] == "session.updated"
    assert found == WRONG


@pytest.mark.parametrize("text", ["{", "[]", '"x"', ""])
async def test_what_is_no_event_at_all(connect: Connect, text: str) -> None:
    """Text that is no JSON object is answered with an error too."""
    async with RehearsalServer(script=Script()) as server, connect(server) as client:
        await client.socket.send_str(text)
        assert (await client.error())["code"] in {"invalid_json", "invalid_type"}


async def test_one_response_at_a_time(connect: Connect) -> None:
    """A second response.create is refused while one runs, unless it is apart from the conversation."""
    script = Script(turns=[Turn((Wait(3600),)), Turn((Say("Apart."),))], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        await client.send("response.create", event_id="second")
        error = await client.error()
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "second")
        await client.send("response.create", response={"conversation": "none", "metadata": {"k": "v"}})
        apart = await client.response()
        assert (apart["conversation_id"], apart["metadata"]) == (None, {"k": "v"})
        assert not [event for event in client.seen if event["type"] == "conversation.item.added"]
        await client.send("response.cancel")
        assert (await client.response())["status"] == "cancelled"


async def test_the_voice_is_settled_by_the_first_sound(connect: Connect) -> None:
    """The voice can be chosen before the model has spoken, not after; the same one may be named again."""
    script = Script(turns=[Turn.saying("Hello.")], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.update(audio={"output": {"voice": "cedar"}})
        await client.send("response.create")
        await client.response()
        assert (await client.update(audio={"output": {"voice": "cedar"}}))["type"] == "session.updated"
        refused = await client.update(audio={"output": {"voice": "alloy"}})
        assert refused["error"]["code"] == "cannot_update_voice"


async def test_truncation_goes_no_further_than_the_sound(connect: Connect) -> None:
    """More than there was is refused; less cuts the sound and takes the whole transcript away."""
    script = Script(turns=[Turn.saying("Hello, this is a test.")], pace=0)
    async with RehearsalServer(script=script) as server, connect(server) as client:
        await client.send("response.create")
        spoken = (await client.response())["output"][0]["id"]
        await client.send("conversation.item.retrieve", item_id=spoken)
        whole = (await client.until("conversation.item.retrieved"))["item"]
        heard_ms = len(base64.b64decode(whole["content"][0]["audio"])) // 8
        cut = {"item_id": spoken, "content_index": 0}
        await client.send("conversation.item.truncate", **cut, audio_end_ms=heard_ms + 1)
        error = await client.error()
        assert error["code"] == "invalid_value"
        assert error["message"] == f"Audio content of {heard_ms}ms is already shorter than {heard_ms + 1}ms"
        await client.send("conversation.item.truncate", **cut, audio_end_ms=300)
        assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 300
        await client.send("conversation.item.retrieve", item_id=spoken)
        left = (await client.until("conversation.item.retrieved"))["item"]["content"][0]
        assert (len(base64.b64decode(left["audio"])), left["transcript"]) == (300 * 8, "")
        await client.tell("Hello.")
        mine = (await client.until("conversation.item.done"))["item"]["id"]
        await client.send("conversation.item.truncate", item_id=mine, content_index=0, audio_end_ms=0)
        assert (await client.error())["code"] == "unsupported_content_type"


async def test_the_buffer_by_hand(connect: Connect) -> None:
    """Without turn detection the client commits; under 100 ms is too little, and clearing empties."""
    async with RehearsalServer(script=Script(heard="Yes.")) as server, connect(server) as client:
        await client.update(audio={"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}})
        await client.append(noise(80))
        await client.send("input_audio_buffer.commit")
        error = await client.error()
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert "only has 80.00ms" in error["message"]
        await client.append(noise(40))
        await client.send("input_audio_buffer.commit")
        committed = await client.until("input_audio_buffer.committed")
        heard = await client.until("conversation.item.input_audio_transcription.completed")
        assert (heard["item_id"], heard["transcript"]) == (committed["item_id"], "Yes.")
        await client.append(noise(200))
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        await client.send("input_audio_buffer.commit")
        assert (await client.error())["code"] == "input_audio_buffer_commit_empty"
        assert not [event for event in client.seen if event["type"].startswith("response.")]


async def test_items_keep_their_order(connect: Connect) -> None:
    """Items are inserted where the client says, named as it says, and deleted once."""
    async with RehearsalServer(script=Script()) as server, connect(server) as client:
        for name, after in (("a", None), ("b", None), ("c", "a"), ("d", "root")):
            made: dict[str, Any] = said("user", TEXT, id=name)
            await client.socket.send_json(made if after is None else {**made, "previous_item_id": after})
            added = await client.until("conversation.item.added")
            assert added["previous_item_id"] == {"a": None, "b": "a", "c": "a", "d": None}[name]
        await client.socket.send_json(said("user", TEXT, id="a"))
        assert (await client.error())["code"] == "item_create_duplicate_item_id"
        assert [one.id for one in server.sessions[0].conversation.items] == ["d", "a", "c", "b"]
        await client.send("conversation.item.delete", item_id="c")
        assert (await client.until("conversation.item.deleted"))["item_id"] == "c"


HTTP_WRONG = [
    ("POST", "/realtime/client_secrets", {}, None, 401, "missing_api_key"),
    ("POST", "/realtime/client_secrets", {}, "sk-wrong", 401, "invalid_api_key"),
    (
        "POST",
        "/realtime/client_secrets",
        {"expires_after": {"seconds": 5}},
        "rehearsal",
        400,
        "integer_below_min_value",
    ),
    ("POST", "/realtime/client_secrets", {"ttl": 5}, "rehearsal", 400, "unknown_parameter"),
    (
        "POST",
        "/realtime/client_secrets",
        {"session": {"type": "realtime", "model": "gpt-2"}},
        "rehearsal",
        404,
        "model_not_found",
    ),
    ("GET", "/realtime", None, "rehearsal", 400, "missing_model"),
    ("GET", "/realtime?model=gpt-2", None, "rehearsal", 404, "model_not_found"),
    ("GET", "/realtime?model=gpt-realtime", None, "ek_unknown", 401, "invalid_api_key"),
    ("GET", "/models", None, "ek_unknown", 401, "invalid_api_key"),
    ("POST", "/audio/speech", {"input": "x", "voice": "alloy"}, "rehearsal", 400, "missing_required_parameter"),
]


async def test_wrong_http_requests() -> None:
    """Each is refused with OpenAI's status and body."""
    found = []
    async with RehearsalServer(script=Script()) as server, aiohttp.ClientSession() as http:
        for method, path, body, key, _, _ in HTTP_WRONG:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            async with http.request(method, server.url + path, json=body, headers=headers) as answer:
                found.append((method, path, body, key, answer.status, (await answer.json())["error"]["code"]))
    assert found == HTTP_WRONG


async def test_secrets_expire(connect: Connect) -> None:
    """A client secret opens sessions until it expires; a session opened before goes on."""
    async with RehearsalServer(script=Script()) as server, aiohttp.ClientSession() as http:
        async with http.post(
            f"{server.url}/realtime/client_secrets",
            json={"session": {"type": "realtime", "model": "gpt-realtime"}},
            headers={"Authorization": "Bearer rehearsal"},
        ) as answer:
            secret = (await answer.json())["value"]
        async with connect(server, key=secret, query="") as client:
            server.expire_tokens()
            assert (await client.update(instructions="Go on."))["type"] == "session.updated"
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                async with connect(server, key=secret):
                    pass
            assert refused.value.status == 401


async def test_a_session_expires(connect: Connect) -> None:
    """At the end of its time a session is told so and closed."""
    async with RehearsalServer(script=Script(), session_seconds=0.2) as server, connect(server) as client:
        assert (await client.error())["code"] == "session_expired"
        assert (await client.socket.receive()).type == aiohttp.WSMsgType.CLOSE

"""The official `openai` SDK talks with the server as with OpenAI's."""

import base64

from openai import AsyncOpenAI

from voice.rehearsal.mind import CallTool, Say
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer

G711 = {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcmu"}}}


async def test_a_whole_conversation() -> None:
    """A client secret opens a session that speaks, hears a turn, calls a tool and counts its tokens."""
    script = Script(turns=[Turn((Say("Hello there."),)), Turn((CallTool("hang_up", {"why": "done"}),))], pace=0)
    async with RehearsalServer(script=script) as server:
        async with AsyncOpenAI(base_url=server.url, api_key="rehearsal", max_retries=0) as owner:
            secret = await owner.realtime.client_secrets.create(
                session={"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
            )
        async with (
            AsyncOpenAI(base_url=server.url, api_key=secret.value, max_retries=0) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            created = await connection.recv()
            assert created.type == "session.created"
            assert created.session.instructions == "Be brief."
            await connection.session.update(session={"type": "realtime", "audio": G711})
            await connection.response.create()
            sound = b""
            async for event in connection:
                if event.type == "response.output_audio.delta":
                    sound += base64.b64decode(event.delta)
                if event.type == "response.done":
                    break
            assert event.response.output[0].content[0].transcript == "Hello there."
            assert event.response.usage.output_token_details.audio_tokens == -(-len(sound) // 8 // 50)
            turn = b"\xff" * 1600 + b"\x10\x90" * 4000 + b"\xff" * 8000
            for at in range(0, len(turn), 160):
                await connection.input_audio_buffer.append(audio=base64.b64encode(turn[at : at + 160]).decode())
            kinds = []
            async for event in connection:
                kinds.append(event.type)
                if event.type == "response.done":
                    break
            assert event.response.output[0].name == "hang_up"
            assert kinds[:3] == [
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
                "input_audio_buffer.committed",
            ]
        assert server.caller_audio() == turn

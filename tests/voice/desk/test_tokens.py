import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from openai import AsyncOpenAI

from policies.residency import ANYWHERE
from tests.voice.desk.conftest import local_speech
from voice.desk import tokens
from voice.desk.outgoing import Outgoing
from voice.desk.tokens import TokenMint
from voice.rehearsal.script import Script
from voice.rehearsal.server import RehearsalServer
from voice.waist.messages import TokenDenied, TokenMinted


async def test_token_opens_one_door(rehearsal: RehearsalServer, outgoing: Outgoing) -> None:
    """A minted token opens the realtime socket for two minutes, and is not the provider's key."""
    async with TokenMint(local_speech(rehearsal.url), outgoing) as mint:
        minted = await mint.mint("gpt-realtime", ANYWHERE)
    assert isinstance(minted, TokenMinted)
    assert minted.token != "rehearsal"
    assert 60 < minted.expires_at_unix - time.time() <= tokens.LIFE_SECONDS + 1
    async with (
        AsyncOpenAI(base_url=rehearsal.url, api_key=minted.token) as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        event = await connection.recv()
    assert event.type == "session.created"


async def test_wrong_key_and_unknown_model_are_named(rehearsal: RehearsalServer, outgoing: Outgoing) -> None:
    """Each refusal becomes one word for the journal."""
    endpoint = local_speech(rehearsal.url)
    async with TokenMint(replace(endpoint, api_key="wrong"), outgoing) as mint:
        assert await mint.mint("gpt-realtime", ANYWHERE) == TokenDenied(code="unauthorized")
    async with TokenMint(endpoint, outgoing) as mint:
        assert await mint.mint("no-such-model", ANYWHERE) == TokenDenied(code="model_not_found")


async def test_one_failure_of_the_provider_is_not_the_callers(outgoing: Outgoing) -> None:
    """A 500 is asked again at once; two in a row are named."""
    async with (
        RehearsalServer(script=Script(refused_tokens=1)) as server,
        TokenMint(local_speech(server.url), outgoing) as mint,
    ):
        assert isinstance(await mint.mint("gpt-realtime", ANYWHERE), TokenMinted)
    async with (
        RehearsalServer(script=Script(refused_tokens=2)) as server,
        TokenMint(local_speech(server.url), outgoing) as mint,
    ):
        assert await mint.mint("gpt-realtime", ANYWHERE) == TokenDenied(code="server_error")


async def test_nobody_there(outgoing: Outgoing) -> None:
    """A provider that cannot be reached is named so."""
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with TokenMint(local_speech(f"http://127.0.0.1:{port}/v1"), outgoing) as mint:
        assert await mint.mint("gpt-realtime", ANYWHERE) == TokenDenied(code="unreachable")


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A server that accepts and never answers."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for writer in writers:
            writer.close()


async def test_silent_provider_is_not_waited_for(
    silent_port: int, outgoing: Outgoing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller hears the fallback instead of waiting for a provider that does not answer."""
    monkeypatch.setattr(tokens, "MINT_SECONDS", 0.3)
    async with TokenMint(local_speech(f"http://127.0.0.1:{silent_port}/v1"), outgoing) as mint:
        began = time.monotonic()
        assert await mint.mint("gpt-realtime", ANYWHERE) == TokenDenied(code="timeout")
    assert time.monotonic() - began < 2

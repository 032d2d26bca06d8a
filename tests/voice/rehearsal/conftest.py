"""Fixtures of the rehearsal's tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.voice.rehearsal.realtime_client import G711, Client, Connect
from voice.rehearsal.server import RehearsalServer


@pytest.fixture
def connect() -> Connect:
    """Opens a session with a server; by default in G.711, its session.created already taken."""

    @asynccontextmanager
    async def opened(
        server: RehearsalServer, *, key: str = "rehearsal", query: str = "?model=gpt-realtime", g711: bool = True
    ) -> AsyncIterator[Client]:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
            session.ws_connect(server.realtime_url + query) as socket,
        ):
            client = Client(socket)
            assert (await client.next())["type"] == "session.created"
            if g711:
                await client.update(audio=G711)
            yield client

    return opened

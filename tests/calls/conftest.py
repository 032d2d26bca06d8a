"""A whole server for all tests of whole calls; they share one event loop with the model it talks to."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.calls.damage import becomes
from tests.calls.stack import Stack, running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack() -> AsyncIterator[Stack]:
    """The server that most tests call."""
    async with running() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def _second_server() -> AsyncIterator[Stack]:
    async with running() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def battered(_second_server: Stack) -> Stack:
    """Another server, for the tests that break its parts; whole again when the next test begins."""
    await becomes(lambda: _second_server.server.status().ready, "every process is there", seconds=60)
    return _second_server

"""A running edge with stand-in workers, on free ports and a run folder of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from sip.edge import Edge
from sip.settings import EdgeLimits, EdgeSettings
from tests.peers.edge_world import Opener, World


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def open_edge(tmp_path: Path) -> Opener:
    """Opens an edge with other settings than the usual ones."""

    @contextlib.asynccontextmanager
    async def opened(*, limits: EdgeLimits | None = None, **settings: object) -> AsyncIterator[World]:
        wanted: dict[str, object] = {"run_folder": tmp_path, "binds": ("127.0.0.1",), "sip_port": 0, "sip_tls_port": 0}
        wanted |= settings
        made = EdgeSettings(limits=limits or EdgeLimits(cooling_s=0.05), **wanted)  # type: ignore[arg-type]  # by name
        world = World(Edge(made), made)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(world.edge.run())
            started = group.create_task(world.edge.started.wait())
            await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
            try:
                if running.done():
                    await running
                yield world
            finally:
                for party in (*world.peers, *world.workers):
                    party.close()
                started.cancel()
                world.edge.stop()

    return opened


@pytest.fixture
async def world(open_edge: Opener) -> AsyncIterator[World]:
    """An edge with one worker of four slots."""
    async with open_edge() as opened:
        await opened.worker()
        yield opened

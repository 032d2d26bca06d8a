"""An edge with the workers behind it and the callers before it, as one thing for tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from sip.edge import Edge
from sip.settings import EdgeLimits, EdgeSettings
from tests.peers.raw_sip import Peer, StandInWorker, stream_peer, udp_peer


@dataclass
class World:
    """The edge, its workers, and whoever calls."""

    edge: Edge
    settings: EdgeSettings
    workers: list[StandInWorker] = field(default_factory=list)
    peers: list[Peer] = field(default_factory=list)

    @property
    def control(self) -> Path:
        return self.settings.run_folder / "edge.sock"

    async def worker(self, slots: int = 4) -> StandInWorker:
        worker = StandInWorker(len(self.workers), self.control, slots)
        self.workers.append(worker)
        await worker.start(self.edge.inner_address)
        await asyncio.sleep(0.01)
        return worker

    async def udp(self, host: str = "127.0.0.1", source: str | None = None) -> Peer:
        self.peers.append(await udp_peer(self.edge.port("udp"), host, source))
        return self.peers[-1]

    async def tcp(self, host: str = "127.0.0.1", source: str | None = None) -> Peer:
        self.peers.append(await stream_peer(self.edge.port("tcp"), host, source=source))
        return self.peers[-1]


@contextlib.asynccontextmanager
async def opened_edge(
    run_folder: Path, *, limits: EdgeLimits | None = None, **settings: object
) -> AsyncIterator[World]:
    """An edge on free ports of 127.0.0.1, unless the settings say otherwise."""
    wanted: dict[str, object] = {"binds": ("127.0.0.1",), "sip_port": 0, "sip_tls_port": 0, **settings}
    limits = limits or EdgeLimits(cooling_s=0.05)
    made = EdgeSettings(run_folder, limits=limits, **wanted)  # type: ignore[arg-type]  # by name
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


Opener = Callable[..., contextlib.AbstractAsyncContextManager[World]]
"""Opens an edge; takes `limits` and fields of `EdgeSettings` by name."""

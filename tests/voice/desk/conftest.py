"""A desk on real sockets, a real PostgreSQL and the real rehearsal server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from scripts.run_desk import trunk_terms
from store import postgres, projects, scenarios
from store.blobs import Blobs, FolderBlobs
from store.engine import Database
from store.health import Health
from store.settings import StoreSettings
from tests.database import Shop, address, bakery, database, database_home, florist, open_folder, store_settings
from voice.call.desk_client import DeskClient
from voice.desk.clips import ClipShelf, Speaker
from voice.desk.ingest import Ingestion
from voice.desk.outgoing import Outgoing
from voice.desk.plans import Planner
from voice.desk.sentences import Sentences
from voice.desk.server import Desk
from voice.desk.settings import DeskSettings, ModelEndpoint
from voice.desk.spool import Spool
from voice.desk.tokens import TokenMint
from voice.desk.toolbox import Tool, Toolbox, ToolCall
from voice.desk.transfers import TransferReports
from voice.rehearsal.server import RehearsalServer
from voice.waist.messages import AnyMessage, Done, PlanGranted, PlanRequested, TrunkTerms
from voice.waist.plan import CallPlan

__all__ = ["bakery", "database", "database_home", "florist", "store_settings"]


def local_speech(base_url: str = "http://127.0.0.1:9/v1") -> ModelEndpoint:
    """The local server's address; by default one where nobody listens."""
    return ModelEndpoint(
        base_url=base_url,
        api_key="rehearsal",
        realtime_model="gpt-realtime",
        speech_model="tts-1",
        speech_voice="espeak:",
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    with open_folder() as made:
        yield made


@pytest.fixture
async def rehearsal() -> AsyncIterator[RehearsalServer]:
    """The local speech and model server."""
    async with RehearsalServer() as server:
        yield server


def settings_in(folder: Path, base_url: str = "http://127.0.0.1:9/v1") -> DeskSettings:
    """A desk whose model and voice are both the local server."""
    (folder / "run").mkdir(exist_ok=True)
    endpoint = local_speech(base_url)
    return DeskSettings(home=folder, run=folder / "run", model=endpoint, local_speech=endpoint)


async def book(call: ToolCall, arguments: dict[str, object]) -> dict[str, object]:
    """A desk's tool that shows on whose behalf it ran."""
    return {"tenant": call.tenant_id, "day": arguments["day"]}


BOOKING = Tool(
    name="book_day",
    description="Book a day.",
    parameters={"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]},
    run=book,
)


@contextlib.contextmanager
def database_away(home: Path, settings: StoreSettings) -> Iterator[None]:
    """The database of these settings refuses every connection, and cuts those it has, until the block ends."""
    name = str(settings.database_url).rsplit("?", maxsplit=1)[0].rsplit("/", maxsplit=1)[1]
    with psycopg.connect(address(home, postgres.SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float = 10.0) -> None:
    """Waits for what another task or process brings about."""
    async with asyncio.timeout(seconds):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.01)


@dataclass
class Worker:
    """The worker's end of the socket, as calls use it, and the orders it was given."""

    client: DeskClient
    orders: list[AnyMessage] = field(default_factory=list)

    async def obey(self, order: AnyMessage) -> Done:
        self.orders.append(order)
        return Done(ok=True)

    async def plan(self, called: str, caller: str | None = "+493012345678", *, spare: bool = False) -> AnyMessage:
        request = PlanRequested(
            called=called, caller=caller, trunk="loopback", sip_call_id="call@test", spare_wanted=spare
        )
        return await self.client.ask(request, seconds=5)

    async def granted(self, called: str, caller: str | None = "+493012345678") -> CallPlan:
        answer = await self.plan(called, caller)
        assert isinstance(answer, PlanGranted), answer
        return answer.plan


@contextlib.asynccontextmanager
async def open_desk(
    settings: DeskSettings, database: Database, blobs: Blobs, *, tools: Iterable[Tool] = ()
) -> AsyncIterator[Desk]:
    """A desk with all its parts, as the process `desk` puts it together."""
    spool = Spool(settings.spool)
    toolbox = Toolbox(tools)

    async def list_trunks() -> tuple[TrunkTerms, ...]:
        return await trunk_terms(database)

    async with (
        Outgoing() as outgoing,
        ClipShelf(settings.clips, better=settings.model, local=settings.local_speech, outgoing=outgoing) as shelf,
        TokenMint(settings.model, outgoing) as mint,
    ):
        yield Desk(
            settings,
            database=database,
            planner=Planner(database, shelf, toolbox, settings.model),
            mint=mint,
            toolbox=toolbox,
            ingestion=Ingestion(database, blobs, spool, TransferReports()),
            spool=spool,
            shelf=shelf,
            trunks=list_trunks,
            problems=Health(database, blobs, (settings.spool,), room_bytes=1).problems,
        )


@contextlib.asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[Desk]:
    """The desk, serving until the block ends."""
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(desk.run())
        async with asyncio.timeout(5):
            await desk.ready.wait()
        try:
            yield desk
        finally:
            serving.cancel()


@contextlib.asynccontextmanager
async def connected(settings: DeskSettings, name: str = "worker 0") -> AsyncIterator[Worker]:
    """A worker that is connected."""
    worker = Worker(DeskClient(settings.workers_socket, name))
    worker.client.start(worker.obey)
    assert await worker.client.wait_connected(5)
    try:
        yield worker
    finally:
        await worker.client.close()


async def stock(settings: DeskSettings, database: Database, *shops: Shop) -> None:
    """Put the clips of these shops on the shelf, as an earlier run of the desk would have left them."""
    settings.clips.mkdir(exist_ok=True)
    speaker = Speaker(settings.local_speech, Outgoing())
    for shop in shops:
        async with database.tenant(shop.tenant_id) as store:
            project = await projects.find(store, shop.project_id)
            published = await scenarios.published(store, shop.scenario_id)
        assert project is not None
        assert published is not None
        for sentence in Sentences(project, published.content).every():
            (settings.clips / f"{speaker.key(sentence)}.ulaw").write_bytes(b"\xfe" * 4000)
    await speaker.close()


@pytest.fixture
async def outgoing() -> AsyncIterator[Outgoing]:
    """A way out to this machine, and to the places that are part of every contract."""
    async with Outgoing() as opened:
        yield opened


@pytest.fixture
async def settings(folder: Path) -> DeskSettings:
    """Settings of a desk that has no model server."""
    return settings_in(folder)


@pytest.fixture
async def blobs(folder: Path) -> FolderBlobs:
    """Where recordings end."""
    return FolderBlobs(folder / "blobs")


@pytest.fixture
async def desk(settings: DeskSettings, database: Database, blobs: FolderBlobs, bakery: Shop) -> AsyncIterator[Desk]:
    """A running desk that has the bakery's clips."""
    await stock(settings, database, bakery)
    async with open_desk(settings, database, blobs, tools=[BOOKING]) as opened, running(opened):
        yield opened


@pytest.fixture
async def worker(desk: Desk, settings: DeskSettings) -> AsyncIterator[Worker]:
    """A worker connected to it."""
    async with connected(settings) as made:
        yield made

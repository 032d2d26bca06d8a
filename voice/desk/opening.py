"""Puts a desk together from its parts: what the process `desk` runs."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from store import trunks
from store.blobs import Blobs
from store.engine import Database
from voice.desk.clips import ClipShelf
from voice.desk.ingest import Ingestion
from voice.desk.plans import Planner
from voice.desk.server import Desk
from voice.desk.settings import DeskSettings
from voice.desk.spool import Spool
from voice.desk.tokens import TokenMint
from voice.desk.toolbox import Tool, Toolbox
from voice.waist.messages import TrunkTerms


@asynccontextmanager
async def open_desk(
    settings: DeskSettings, database: Database, blobs: Blobs, *, tools: Iterable[Tool] = ()
) -> AsyncIterator[Desk]:
    """A desk that is ready to `run`; its connections are closed at the end. Database and blobs stay the caller's.

    Call `Desk.prepare` before saying that the machine takes calls.
    """
    spool = Spool(settings.spool)
    toolbox = Toolbox(tools)

    async def list_trunks() -> tuple[TrunkTerms, ...]:
        async with database.platform() as platform:
            found = await trunks.all_trunks(platform)
        return tuple(
            TrunkTerms(
                id=str(trunk.id),
                networks=trunk.networks,
                transports=trunk.transports,
                srtp=trunk.srtp,
                min_tls=trunk.min_tls,
            )
            for trunk in found
        )

    async with (
        ClipShelf(settings.clips, better=settings.model, local=settings.local_speech) as shelf,
        TokenMint(settings.model) as mint,
    ):
        yield Desk(
            settings,
            planner=Planner(database, shelf, toolbox, settings.model),
            mint=mint,
            toolbox=toolbox,
            ingestion=Ingestion(database, blobs, spool),
            spool=spool,
            shelf=shelf,
            trunks=list_trunks,
        )

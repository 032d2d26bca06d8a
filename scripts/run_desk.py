"""The process of the desk: the trusted side of all calls of this machine."""

import asyncio
import contextlib
import functools
import signal
from pathlib import Path

import structlog

from scripts.board import RUN, SPOOL, Board
from scripts.child import CannotStartError, Child, told_when
from scripts.cli_store import store_settings
from scripts.key_jobs import refuse_wrong_root
from scripts.registered import NotRegisteredError, keep_register, look_up
from scripts.settings import REHEARSAL_KEY, Secrets, Settings
from scripts.trunk_list import publish_trunks
from sip.control import CONTROL_NAME, ControlSender
from store import numbers, seed, trunks
from store.blobs import Blobs, BlobsAwayError, BlobsRefusedError
from store.blobs_choice import open_blobs
from store.engine import Database
from store.health import Health
from store.migrate import MigrationError, migrate
from store.settings import StoreSettings
from voice.desk.clips import ClipShelf, NoVoiceError
from voice.desk.housekeeping import Housekeeping
from voice.desk.ingest import Ingestion
from voice.desk.outgoing import Outgoing
from voice.desk.plans import Planner
from voice.desk.server import Desk
from voice.desk.settings import DeskSettings, ModelEndpoint
from voice.desk.spool import Spool
from voice.desk.tokens import TokenMint
from voice.desk.toolbox import Toolbox
from voice.desk.transfers import TransferReports
from voice.waist.messages import TrunkTerms

log = structlog.get_logger()

_NUMBERS_SHOWN = 3
ROOM_BYTES_PER_CALL = 60 * 16_000
"""A minute of two sides: a disk that has not that much left for each call is full."""
_BLOBS_S = 5.0
"""How long a start waits for the place of objects."""


def desk_settings(board: Board, secrets: Secrets) -> DeskSettings:
    """What the desk is told."""
    local = ModelEndpoint(
        base_url=f"{board.rehearsal_url}/v1",
        api_key=REHEARSAL_KEY,
        realtime_model="rehearsal",
        speech_voice="espeak:",
    )
    key = secrets.openai_api_key
    model = (
        local
        if board.settings.model_is_rehearsal
        else ModelEndpoint(
            base_url=board.settings.openai_base_url,
            api_key=key.reveal() if key is not None else REHEARSAL_KEY,
            realtime_model=board.settings.openai_model,
        )
    )
    return DeskSettings(
        home=Path(),
        run=RUN,
        model=model,
        local_speech=local,
        worker_group=board.account.gid if board.account is not None else None,
    )


def run_desk(board: Board, child: Child) -> int:
    """Bring the store up to date, then serve workers and operators until told to end."""

    async def main() -> None:
        serving = asyncio.ensure_future(_serve(board, child))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    return child.run(main)


async def _serve(board: Board, child: Child) -> None:
    settings = desk_settings(board, child.secrets)
    stored = store_settings(board.settings, child.secrets)
    try:
        await migrate(stored)
    except MigrationError as error:
        raise CannotStartError(f"AITELIER_DATABASE_URL: {error}") from error
    blobs = await usable_blobs(stored, child)
    async with contextlib.AsyncExitStack() as opened:
        database = await Database.open(stored)
        opened.push_async_callback(database.close)
        await refuse_wrong_root(database)
        if await seed.seed_demo(database) is not None:
            log.info("demo_seeded")
        try:
            registered = await look_up(database, board.settings, child.secrets)
        except NotRegisteredError as error:
            raise CannotStartError(str(error)) from error
        outgoing = await opened.enter_async_context(Outgoing(registered.register))
        shelf = await opened.enter_async_context(
            ClipShelf(settings.clips, better=settings.model, local=settings.local_speech, outgoing=outgoing)
        )
        mint = await opened.enter_async_context(TokenMint(settings.model, outgoing))
        toolbox = Toolbox()
        planner = Planner(database, shelf, toolbox, settings.model, kept_at=registered.kept_at)
        try:
            await planner.prepare_all()
        except NoVoiceError as error:
            # The desk answers all the same: clips are tried again when a call needs them.
            log.error("clips_missing", error=str(error))  # noqa: TRY400  # where is known
        spool = Spool(SPOOL)
        transfers = TransferReports(registered.register, registered.hosts)
        health = Health(database, blobs, (Path(), SPOOL), room_bytes=board.settings.max_calls * ROOM_BYTES_PER_CALL)
        desk = Desk(
            settings,
            database=database,
            planner=planner,
            mint=mint,
            toolbox=toolbox,
            ingestion=Ingestion(database, blobs, spool, transfers),
            spool=spool,
            shelf=shelf,
            trunks=functools.partial(trunk_terms, database),
            problems=health.problems,
        )
        lines = await ring_lines(board.settings, database)
        edge = ControlSender(RUN / CONTROL_NAME)
        opened.callback(edge.close)
        async with asyncio.TaskGroup() as group:
            group.create_task(told_when(desk.ready, child, lambda: lines), name="ready")
            group.create_task(Housekeeping(database, planner, shelf, spool).run(), name="housekeeping")
            group.create_task(keep_register(database, board.settings, outgoing, transfers), name="register")
            group.create_task(publish_trunks(RUN, functools.partial(trunk_terms, database), edge), name="trunks")
            await desk.run()


async def usable_blobs(stored: StoreSettings, child: Child) -> Blobs:
    """The place of objects, looked at before the first call.

    One that is merely away does not keep calls from being answered: the spool keeps what they leave until it is back.

    Raises:
        CannotStartError: An operator has to change something before the first start can succeed.
    """

    def looked_at() -> int:
        blobs.check()
        return blobs.sweep()

    try:
        blobs = open_blobs(stored)
    except BlobsAwayError as error:
        raise CannotStartError(f"AITELIER_HOME: {error}") from error
    try:
        async with asyncio.timeout(_BLOBS_S):
            log.info("blobs_ready", swept=await asyncio.to_thread(looked_at))
    except BlobsRefusedError as error:
        if child.generation == 0:
            raise CannotStartError(f"AITELIER_S3_ENDPOINT: {error}") from error
        log.error("blobs_refused", problem=error.problem, remedy=error.remedy)  # noqa: TRY400  # where is known
    except BlobsAwayError as error:
        log.warning("blobs_away", problem=error.problem, remedy=error.remedy)
    except TimeoutError:
        log.warning("blobs_away", problem=f"no answer within {_BLOBS_S:g} s", remedy="Look at AITELIER_S3_ENDPOINT")
    return blobs


async def trunk_terms(database: Database) -> tuple[TrunkTerms, ...]:
    """Every tenant's trunks, as the edge has to know them."""
    async with database.platform() as platform:
        return tuple(
            TrunkTerms(
                id=str(trunk.id),
                networks=trunk.networks,
                transports=trunk.transports,
                srtp=trunk.srtp,
                min_tls=trunk.min_tls,
            )
            for trunk in await trunks.all_trunks(platform)
        )


async def ring_lines(settings: Settings, database: Database) -> tuple[str, ...]:
    """What a newcomer may ring: names before numbers, which softphones find easier to dial."""
    async with database.platform() as platform:
        called = await numbers.all_called(platform)
    host = settings.public_host or {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.sip_bind, settings.sip_bind)  # noqa: S104  # compared
    port = "" if settings.sip_port == 5060 else f":{settings.sip_port}"
    addresses = [f"sip:{user}@{f'[{host}]' if ':' in host else host}{port}" for user in sorted(called, reverse=True)]
    if not addresses:
        return ("Ring   nothing yet: aitelier numbers add",)
    return tuple(f"Ring   {address}" for address in addresses[:_NUMBERS_SHOWN])

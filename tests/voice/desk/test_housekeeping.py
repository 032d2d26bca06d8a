"""What a machine keeps beside the store goes when the store lets go of it."""

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import scenarios
from store.blobs import FolderBlobs
from store.engine import Database, StoreAwayError
from store.erasure.projects import carry_out, delete_project
from store.erasure.sessions import erase_sessions
from store.scenarios import Scenario
from store.settings import StoreSettings
from tests.database import Shop
from tests.voice.desk.conftest import database_away, local_speech
from tests.voice.desk.left_behind import leave_call
from voice.desk.clips import ClipShelf
from voice.desk.housekeeping import Housekeeping
from voice.desk.outgoing import Outgoing
from voice.desk.plans import Planner
from voice.desk.spool import Spool
from voice.desk.toolbox import Toolbox
from voice.rehearsal.server import RehearsalServer
from voice.waist.messages import PlanDenied, PlanGranted, PlanRequested

DAY = 86_400.0


@pytest.fixture
def spool(folder: Path) -> Path:
    """The folder where calls leave their files."""
    (folder / "spool" / "damaged").mkdir(parents=True)
    return folder / "spool"


@pytest.fixture
async def shelf(folder: Path, rehearsal: RehearsalServer, outgoing: Outgoing) -> AsyncIterator[ClipShelf]:
    """Clips, said by the local voice."""
    speech = local_speech(rehearsal.url)
    async with ClipShelf(folder / "clips", better=speech, local=speech, outgoing=outgoing) as opened:
        yield opened


@pytest.fixture
def planner(database: Database, shelf: ClipShelf, rehearsal: RehearsalServer) -> Planner:
    """What remembers."""
    return Planner(database, shelf, Toolbox(), local_speech(rehearsal.url))


@pytest.fixture
def housekeeping(database: Database, planner: Planner, shelf: ClipShelf, spool: Path) -> Housekeeping:
    """What is tested."""
    return Housekeeping(database, planner, shelf, Spool(spool))


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _set_aside(spool: Path) -> None:
    for path in list(spool.glob("*.*")):
        path.rename(spool / "damaged" / path.name)


async def test_damaged_files_of_an_erased_call_go(
    housekeeping: Housekeeping, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Only those of the erased call, also where its journal cannot be read; with them goes the last wrapped key."""
    erased, kept = [await leave_call(database, bakery, spool) for _ in range(2)]
    _set_aside(spool)
    (spool / "damaged" / erased.journal.name).write_bytes(b"no journal any more")
    assert await housekeeping.sweep_damaged(time.time()) == 0
    async with database.tenant(bakery.tenant_id) as store:
        await erase_sessions(store, blobs, [erased.session_id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
    assert await housekeeping.sweep_damaged(time.time()) == 1
    assert _names(spool / "damaged") == {kept.journal.name, kept.recording.name}


async def test_damaged_files_grow_old(
    housekeeping: Housekeeping, database: Database, bakery: Shop, spool: Path
) -> None:
    """Those of a call that the store has wait for a month, those of one it does not know for a day."""
    left = await leave_call(database, bakery, spool)
    _set_aside(spool)
    assert await housekeeping.sweep_damaged(time.time() + 29 * DAY) == 0
    async with database.tenant(bakery.tenant_id) as store:
        await store.keys.shred(store, left.session_id)
    assert await housekeeping.sweep_damaged(time.time() + 0.9 * DAY) == 0
    assert await housekeeping.sweep_damaged(time.time() + 1.1 * DAY) == 1
    again = await leave_call(database, bakery, spool)
    again.journal.rename(spool / "damaged" / again.journal.name)
    assert await housekeeping.sweep_damaged(time.time() + 31 * DAY) == 1
    assert _names(spool / "damaged") == set()


async def test_nothing_goes_while_the_database_is_away(
    housekeeping: Housekeeping,
    database: Database,
    database_home: Path,
    store_settings: StoreSettings,
    bakery: Shop,
    spool: Path,
) -> None:
    """What cannot be looked up is kept."""
    left = await leave_call(database, bakery, spool)
    left.journal.rename(spool / "damaged" / left.journal.name)
    with database_away(database_home, store_settings), pytest.raises(StoreAwayError):
        await housekeeping.sweep_damaged(time.time() + 100 * DAY)
    assert _names(spool / "damaged") == {left.journal.name}


async def test_a_deleted_project_is_forgotten(
    housekeeping: Housekeeping,
    database: Database,
    planner: Planner,
    blobs: FolderBlobs,
    folder: Path,
    bakery: Shop,
    florist: Shop,
) -> None:
    """From the wish on it answers no calls; once it is gone, so are its clips and what was remembered of it."""
    for shop in (bakery, florist):
        async with database.tenant(shop.tenant_id) as store:
            await scenarios.publish(
                store, shop.scenario_id, Scenario(name="Hello", instructions="Help."), actor=OPERATOR
            )
        await planner.prepare(shop.tenant_id)

    def request(shop: Shop) -> PlanRequested:
        return PlanRequested(called=shop.called, caller=None, trunk="", sip_call_id="", spare_wanted=False)

    assert isinstance(await planner.plan(request(bakery)), PlanGranted)
    async with database.tenant(bakery.tenant_id) as store:
        await delete_project(store, bakery.project_id, actor=OPERATOR)
    assert await planner.plan(request(bakery)) == PlanDenied(sip_status=404, reason="no such number")
    await carry_out(database, blobs, bakery.tenant_id, bakery.project_id)

    clips = _names(folder / "clips")
    assert await housekeeping.tidy() == 0, "they are still fresh"
    for path in (folder / "clips").iterdir():
        os.utime(path, (0, 0))
    dropped = await housekeeping.tidy()
    assert 0 < dropped < len(clips)
    assert len(_names(folder / "clips")) == len(clips) - dropped
    assert isinstance(await planner.plan(request(florist)), PlanGranted)
    assert await planner.plan(request(bakery)) == PlanDenied(sip_status=404, reason="no such number")

"""A project that is being deleted: from the wish on nobody reads or hears its calls, until it is taken back."""

import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from store import conversation, recordings
from store.blobs import FolderBlobs
from store.dsar.export import export_caller
from store.dsar.search import read_number
from store.engine import Database
from store.erasure.projects import delete_project, take_back
from store.scope import TenantStore
from store.visibility import LockedError
from tests.database import Shop, add_receptionist
from tests.store.dsar.callers import Said, make_call

CALLER = "+4915112345678"
Read = Callable[[TenantStore, FolderBlobs, UUID], Awaitable[object]]
WAYS: dict[str, Read] = {
    "words": lambda store, _, call: conversation.turns_of(store, call, reader=READS_ALL),
    "messages": lambda store, _, call: conversation.messages_of(store, call, reader=READS_ALL),
    "events": lambda store, _, call: conversation.events_of(store, call, reader=READS_ALL),
    "sound": lambda store, blobs, call: recordings.open_recording(store, blobs, call, reader=READS_ALL),
}


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.mark.parametrize("way", WAYS)
async def test_nobody_reads_it_until_it_is_taken_back(
    database: Database, blobs: FolderBlobs, bakery: Shop, way: str
) -> None:
    """Not even the operator; another project's calls are read as before, and so are these once they are taken back."""
    call = await make_call(database, blobs, bakery, Said(caller=CALLER))
    async with database.tenant(bakery.tenant_id) as store:
        kiosk = await add_receptionist(store, "Kiosk", "+493023125077")
    other = await make_call(database, blobs, kiosk, Said(caller=CALLER))
    async with database.tenant(bakery.tenant_id) as store:
        assert await WAYS[way](store, blobs, call)
        await delete_project(store, bakery.project_id, actor=OPERATOR)
        with pytest.raises(LockedError, match="projects undelete"):
            await WAYS[way](store, blobs, call)
        assert await WAYS[way](store, blobs, other)
        assert await conversation.consent_of(store, call), "that the caller was told and asked stays provable"
        await take_back(store, bakery.project_id, actor=OPERATOR)
        assert await WAYS[way](store, blobs, call)


async def test_callers_still_get_their_copy(
    database: Database, blobs: FolderBlobs, bakery: Shop, tmp_path: Path
) -> None:
    """They are owed it for as long as anything of them is there (GDPR Art. 15), and its making is in the log."""
    await make_call(database, blobs, bakery, Said(caller=CALLER))
    async with database.tenant(bakery.tenant_id) as store:
        await delete_project(store, bakery.project_id, actor=OPERATOR)
    package = tmp_path / "copy.zip"
    exported = await export_caller(database, blobs, bakery.tenant_id, read_number(CALLER), package, actor=OPERATOR)
    assert exported.counts == {"calls": 1, "recordings": 1, "recordings_missing": 0}
    with zipfile.ZipFile(package) as opened:
        pages = [opened.read(name).decode() for name in opened.namelist() if name.endswith("call.html")]
    assert Said().phrase in pages[0]

"""What readers see of a call, by what its project lets viewers see."""

import ast
from pathlib import Path
from uuid import UUID

import pytest

from policies.access import READS_ALL, Reader, Visibility
from policies.audit_tags import OPERATOR, Actor, Tag
from policies.redaction import NUMBER
from store import bounds, conversation, projects, recordings
from store.audit.log import entries
from store.blobs import FolderBlobs
from store.engine import Database
from store.visibility import KeptFromViewersError, visibility_of
from tests.database import Shop
from tests.store.dsar.callers import Said, make_call

ROOT = Path(__file__).parents[2]
PERSON = Actor("user", "0192f0c1-7b1e-7cc0-8a52-0123456789ab")
VIEWER = Reader(PERSON, whole=frozenset(), as_viewer=None)
NOBODY = Reader(PERSON, whole=frozenset(), as_viewer=frozenset())
PHRASE = "number is 030 901820"


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
async def call(database: Database, blobs: FolderBlobs, bakery: Shop) -> UUID:
    """A call in which somebody says their number."""
    return await make_call(database, blobs, bakery, Said(phrase=PHRASE))


async def read(
    database: Database, blobs: FolderBlobs, shop: Shop, call: UUID, reader: Reader
) -> tuple[list[str], list[str], list[dict[str, object]], bool]:
    """Turns, messages, what events say of persons, and whether the sound is heard."""
    async with database.tenant(shop.tenant_id) as store:
        turns = [turn.text for turn in await conversation.turns_of(store, call, reader=reader)]
        messages = [message.text for message in await conversation.messages_of(store, call, reader=reader)]
        events = [dict(event.personal) for event in await conversation.events_of(store, call, reader=reader)]
        try:
            heard = await recordings.open_recording(store, blobs, call, reader=reader) is not None
        except KeptFromViewersError:
            heard = False
    return turns, messages, events, heard


async def let_viewers_see(database: Database, shop: Shop, visibility: Visibility) -> None:
    async with database.tenant(shop.tenant_id) as store:
        await projects.change(store, shop.project_id, projects.Changes(viewers_see=visibility), actor=OPERATOR)


async def test_viewers_see_everything_where_nothing_else_is_said(
    database: Database, blobs: FolderBlobs, bakery: Shop, call: UUID
) -> None:
    """As everybody else does."""
    seen = await read(database, blobs, bakery, call, VIEWER)
    assert seen == await read(database, blobs, bakery, call, READS_ALL)
    assert PHRASE in seen[0][1]
    assert seen[3]


async def test_redacted(database: Database, blobs: FolderBlobs, bakery: Shop, call: UUID) -> None:
    """Viewers read what was talked about, not the number; they hear nothing, because sound cannot be redacted."""
    await let_viewers_see(database, bakery, "redacted")
    turns, messages, events, heard = await read(database, blobs, bakery, call, VIEWER)
    assert turns == ["Guten Tag!", f"A number is {NUMBER} <b>please</b>"]
    assert all("901820" not in text for text in messages)
    assert events == [{}]
    assert not heard
    turns, _, events, heard = await read(database, blobs, bakery, call, READS_ALL)
    assert PHRASE in turns[1]
    assert events == [{"name": PHRASE}]
    assert heard


async def test_nothing(database: Database, blobs: FolderBlobs, bakery: Shop, call: UUID) -> None:
    """Viewers get no word, and nobody who may not read at all does, whatever viewers see."""
    await let_viewers_see(database, bakery, "none")
    assert await read(database, blobs, bakery, call, VIEWER) == ([], [], [{}], False)
    await let_viewers_see(database, bakery, "all")
    assert await read(database, blobs, bakery, call, NOBODY) == ([], [], [{}], False)


async def test_what_is_not_read_is_no_reading(database: Database, blobs: FolderBlobs, bakery: Shop, call: UUID) -> None:
    """Of health data the log says who has read it, and nothing of who was shown nothing."""
    async with database.tenant(bakery.tenant_id) as store:
        await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=(), actor=OPERATOR)
    await let_viewers_see(database, bakery, "none")
    await read(database, blobs, bakery, call, VIEWER)
    async with database.tenant(bakery.tenant_id) as store:
        assert not await entries(store, tag=Tag.PHI_READ)
    await let_viewers_see(database, bakery, "redacted")
    await read(database, blobs, bakery, call, VIEWER)
    async with database.tenant(bakery.tenant_id) as store:
        assert {entry.facts["what"] for entry in await entries(store, tag=Tag.PHI_READ)} == {"transcript", "messages"}


async def test_a_call_of_another_tenant(
    database: Database, blobs: FolderBlobs, bakery: Shop, florist: Shop, call: UUID
) -> None:
    """Is not there to be seen."""
    async with database.tenant(florist.tenant_id) as store:
        assert await visibility_of(store, call, VIEWER) == "none"
    assert await read(database, blobs, florist, call, READS_ALL) == ([], [], [], False)


_NOTERS = {"note_reading", "_opened"}
"""What says in the log who reads; the second opens the call as well, for whoever was shown to see it."""


def test_whoever_opens_what_was_said_asks_who_reads() -> None:
    """Every function of the store that notes a reading of words or sound has asked how much may be read."""
    found: dict[str, bool] = {}
    for file in (ROOT / "store").rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.AsyncFunctionDef):
                continue
            calls = [one for one in ast.walk(function) if isinstance(one, ast.Call) and isinstance(one.func, ast.Name)]
            names = {one.func.id for one in calls if isinstance(one.func, ast.Name)}
            notes = [one for one in calls if isinstance(one.func, ast.Name) and one.func.id in _NOTERS]
            said = {arg.value for one in notes for arg in one.args if isinstance(arg, ast.Constant)}
            if said - {"caller"}:
                found[function.name] = bool(names & {"visibility_of", "sight_of"})
    assert found == dict.fromkeys(("turns_of", "messages_of", "events_of", "open_recording"), True)

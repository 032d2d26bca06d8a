"""Readings of health data: each leaves who read what of which call, and there is no way to the words around it."""

import ast
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from policies.access import reads_all
from policies.audit_tags import OPERATOR, Actor, Tag
from store import bounds, conversation, phi, recordings, sessions
from store.audit.log import entries
from store.blobs import FolderBlobs
from store.dsar.export import export_caller
from store.dsar.search import read_number, search
from store.engine import Database
from store.scope import TenantStore
from tests.database import Shop, add_receptionist
from tests.store.dsar.callers import Said, make_call

ROOT = Path(__file__).parents[2]
NURSE = Actor("user", "0192f0c1-7b1e-7cc0-8a52-0123456789ab")
CALLER = "+4915112345678"
NUMBER = read_number(CALLER)


class Ward:
    """A business for health care with one call, and a receptionist of another kind with another."""

    def __init__(
        self, database: Database, blobs: FolderBlobs, shop: Shop, kiosk: Shop, call: UUID, other: UUID
    ) -> None:
        self.database, self.blobs, self.shop, self.kiosk = database, blobs, shop, kiosk
        self.call, self.other = call, other

    async def read(self) -> list[tuple[str, object, object]]:
        """Who read what of which calls, oldest first."""
        async with self.database.tenant(self.shop.tenant_id) as store:
            found = [
                (entry.actor.id, entry.facts["what"], entry.facts["sessions"])
                for entry in await entries(store, tag=Tag.PHI_READ)
            ]
        return found[::-1]


@pytest.fixture
async def ward(database: Database, tmp_path: Path, bakery: Shop) -> Ward:
    blobs = FolderBlobs(tmp_path / "blobs")
    async with database.tenant(bakery.tenant_id) as store:
        kiosk = await add_receptionist(store, "Kiosk", "+493023125077")
        await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=(), actor=OPERATOR)
    call = await make_call(database, blobs, bakery, Said())
    return Ward(database, blobs, bakery, kiosk, call, await make_call(database, blobs, kiosk, Said()))


Reading = Callable[[TenantStore, FolderBlobs, UUID], Awaitable[object]]
READINGS: dict[str, Reading] = {
    "caller": lambda store, _, call: sessions.find_session(store, call, actor=NURSE),
    "transcript": lambda store, _, call: conversation.turns_of(store, call, reader=reads_all(NURSE)),
    "messages": lambda store, _, call: conversation.messages_of(store, call, reader=reads_all(NURSE)),
    "events": lambda store, _, call: conversation.events_of(store, call, reader=reads_all(NURSE)),
    "recording": lambda store, blobs, call: recordings.open_recording(store, blobs, call, reader=reads_all(NURSE)),
}


@pytest.mark.parametrize("what", READINGS)
async def test_each_reading_is_written_down(ward: Ward, what: str) -> None:
    """Who, what, and of which call; of a project of another kind, and of calls that are not there, nothing."""
    async with ward.database.tenant(ward.shop.tenant_id) as store:
        assert await READINGS[what](store, ward.blobs, ward.other)
        assert not await READINGS[what](store, ward.blobs, ward.shop.scenario_id)
    assert await ward.read() == []
    async with ward.database.tenant(ward.shop.tenant_id) as store:
        assert await READINGS[what](store, ward.blobs, ward.call)
    assert await ward.read() == [(NURSE.id, what, [str(ward.call)])]


@pytest.mark.parametrize("what", READINGS)
async def test_what_cannot_be_written_down_is_not_read(ward: Ward, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an entry nobody gets to see anything."""

    async def broken(*_: object, **__: object) -> int:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(phi, "record", broken)
    with pytest.raises(RuntimeError, match="the log is full"):
        async with ward.database.tenant(ward.shop.tenant_id) as store:
            await READINGS[what](store, ward.blobs, ward.call)


async def test_lists_and_searches_are_readings(ward: Ward) -> None:
    """Numbers in a list are as readable as one alone; the entry names the calls of the project, and no others."""
    async with ward.database.tenant(ward.shop.tenant_id) as store:
        assert len(await sessions.list_sessions(store, actor=NURSE)) == 2
        assert len((await search(store, NUMBER, actor=NURSE)).sessions) == 2
    assert await ward.read() == [(NURSE.id, "caller", [str(ward.call)])] * 2


async def test_a_copy_for_the_caller_is_a_reading(ward: Ward, tmp_path: Path) -> None:
    """Everything that is in the copy is in the log, under whoever made it."""
    await export_caller(ward.database, ward.blobs, ward.shop.tenant_id, NUMBER, tmp_path / "copy.zip", actor=NURSE)
    found = await ward.read()
    assert {what for _, what, _ in found} == set(READINGS)
    assert all((who, calls) == (NURSE.id, [str(ward.call)]) for who, _, calls in found)


async def test_the_entry_does_not_name_the_caller(ward: Ward) -> None:
    """Nor what was said: the log outlives both."""
    async with ward.database.tenant(ward.shop.tenant_id) as store:
        for reading in READINGS.values():
            await reading(store, ward.blobs, ward.call)
        written = repr(await entries(store, tag=Tag.PHI_READ))
    assert CALLER not in written
    assert CALLER[3:] not in written
    assert "giraffe" not in written


WITHOUT_READING = {
    ("store/keys.py", "data_key"): "is what is watched",
    ("store/keys.py", "data_keys"): "is what is watched",
    ("store/keys.py", "rewrap_data_key"): "gives the key to nobody",
    ("store/ingest.py", "take_in"): "writes",
    ("store/reencryption.py", "_openers"): "is read by nobody: sealed again at once",
    ("voice/desk/housekeeping.py", "_known"): "looks which calls are not erased",
    ("voice/desk/ingest.py", "_take"): "brings in what a call has left",
    ("voice/desk/plans.py", "resume"): "proves that a call is the tenant's",
}
"""Functions that open the key of a call, and why nobody reads anything by it."""


def _openers(tree: ast.AST) -> dict[str, set[str]]:
    """What each function calls."""
    return {
        function.name: {
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            for call in ast.walk(function)
            if isinstance(call, ast.Call)
        }
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }


def test_no_way_around() -> None:
    """Whoever opens a call's key says that somebody reads, or is known to show it to nobody."""
    openers: dict[tuple[str, str], Any] = {}
    for room in ("store", "voice", "admin", "scripts"):
        for file in (ROOT / room).rglob("*.py"):
            for name, called in _openers(ast.parse(file.read_text(encoding="utf-8"))).items():
                if called & {"data_key", "data_keys", "unwrap_data_key", "unwrap_data_keys"}:
                    openers[str(file.relative_to(ROOT)), name] = "note_reading" in called
    assert {place for place, noted in openers.items() if not noted} == set(WITHOUT_READING)
    assert {place for place, noted in openers.items() if noted} == {
        ("store/sessions.py", "find_sessions"),
        ("store/conversation.py", "_opened"),
        ("store/recordings.py", "open_recording"),
    }

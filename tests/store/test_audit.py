"""The audit log on a real database: written with the act, proven offline, forgetting persons and nothing else."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError
from sqlmodel import col, delete, update

from policies.audit_tags import OPERATOR, Actor, Tag
from store import postgres
from store.audit import checkpoints, export, log
from store.audit.log import record
from store.audit.notes import Note, VerifierKey
from store.audit.verify import Report, verify
from store.engine import Database
from store.house import HOUSE
from store.settings import StoreSettings
from store.tables.audit import AuditCheckpointTable, AuditLeafTable
from tests.database import Shop

ANNA = Actor("user", "0192-anna")
NUMBER = "+493012345678"
SUBJECT = b"a person's index"


@dataclass
class Exported:
    """An export and the keys to check it with."""

    lines: list[str]
    keys: Sequence[VerifierKey]
    server_keys: Sequence[VerifierKey]

    def verified(self, lines: list[str] | None = None, older: Sequence[str] = ()) -> Report:
        return verify(self.lines if lines is None else lines, self.keys, older=older, server_keys=self.server_keys)


async def exported(database: Database, shop: Shop) -> Exported:
    return Exported(
        [line async for line in export.export(database, shop.tenant_id, actor=ANNA)],
        await checkpoints.public_keys(database, shop.tenant_id),
        await checkpoints.public_keys(database, HOUSE),
    )


async def some_entries(database: Database, shop: Shop, count: int = 12) -> None:
    for number in range(count):
        async with database.tenant(shop.tenant_id) as store:
            await record(store, ANNA, Tag.RECORDING_PLAYED, objects={"session": f"s{number}"}, facts={"n": number})


async def test_entries_come_with_the_act_or_not_at_all(database: Database, bakery: Shop) -> None:
    """An act that is rolled back leaves no entry and no gap."""
    async with database.tenant(bakery.tenant_id) as store:
        first = await record(store, ANNA, Tag.PROJECT_CHANGED)

    async def failing() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await record(store, ANNA, Tag.PROJECT_CHANGED)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await failing()
    async with database.tenant(bakery.tenant_id) as store:
        assert await record(store, ANNA, Tag.HOLD_PLACED) == first + 1
        newest, *_ = await log.entries(store, tag="project:", limit=2)
    assert (newest.tag, newest.actor, newest.index) == ("project:legal_hold:placed", ANNA, first + 1)


async def test_entries_are_found_by_tag_actor_and_time(database: Database, bakery: Shop, florist: Shop) -> None:
    """Filters narrow, pages go on where the last one ended, and another tenant's acts are not there."""
    await some_entries(database, bakery, 5)
    await some_entries(database, florist, 3)
    async with database.tenant(bakery.tenant_id) as store:
        await record(store, OPERATOR, Tag.TRUNK_ADDED)
        page = await log.entries(store, tag="session:recording:played", actor_id=ANNA.id, limit=3)
        rest = await log.entries(store, tag="session:recording:played", before=page[-1].index)
        assert [entry.facts["n"] for entry in (*page, *rest)] == [4, 3, 2, 1, 0]
        assert await log.entries(store, since=datetime.now(UTC) + timedelta(hours=1)) == ()
        assert len(await log.entries(store, actor_id="cli", tag="tenant:trunk")) == 1


async def test_an_export_is_proven_offline(database: Database, bakery: Shop) -> None:
    """The file and the public key suffice: all entries, both signatures, the server's own log, and an older note."""
    await some_entries(database, bakery)
    older = await checkpoints.checkpoint(database, bakery.tenant_id)
    await some_entries(database, bakery, 3)
    found = await exported(database, bakery)
    assert older is not None
    report = found.verified(older=[older.note])
    assert report.problems == []
    assert report.signed_by == {"Ed25519", "ML-DSA-44"}
    assert report.in_server_log
    assert report.checkpoints == 2
    assert json.loads(found.lines[0])["size"] == report.entries
    assert any("tenant:audit:exported" in line for line in found.lines)


async def test_the_key_must_be_the_right_one(database: Database, bakery: Shop, florist: Shop) -> None:
    """With another log's key nothing is proven."""
    await some_entries(database, bakery, 2)
    found = await exported(database, bakery)
    assert not verify(found.lines, await checkpoints.public_keys(database, florist.tenant_id)).proven
    assert verify(found.lines, found.keys).proven


async def test_erasing_a_person_leaves_the_log_whole(database: Database, bakery: Shop) -> None:
    """The number can be read until the person is erased; afterwards it is nowhere, and the log is as good as before."""
    async with database.tenant(bakery.tenant_id) as store:
        await record(store, ANNA, Tag.DSAR_QUERIED, personal={"number": NUMBER}, subject=SUBJECT)
        await record(store, ANNA, Tag.DSAR_QUERIED, personal={"number": "+44"}, subject=b"somebody else")
        assert [entry.personal for entry in await log.entries(store, tag="tenant:dsar")] == [
            {"number": "+44"},
            {"number": NUMBER},
        ]
    before = await exported(database, bakery)
    assert before.verified().openings == 2
    older = await checkpoints.checkpoint(database, bakery.tenant_id)
    assert older is not None
    assert NUMBER in "".join(before.lines)
    assert NUMBER not in "".join(line for line in before.lines if "leaf" in line)
    async with database.tenant(bakery.tenant_id) as store:
        assert await log.forget(store, SUBJECT) == 1
        theirs, ours = await log.entries(store, tag="tenant:dsar")
    assert (theirs.personal, ours.personal, ours.erased) == ({"number": "+44"}, None, True)
    after = await exported(database, bakery)
    report = after.verified(older=[older.note])
    assert report.problems == []
    assert (report.openings, report.erased) == (1, 1)
    assert NUMBER not in "".join(after.lines)


async def test_nobody_changes_what_was_written(database: Database, bakery: Shop, store_settings: StoreSettings) -> None:
    """The app may not, and the owner is stopped by a trigger."""
    await some_entries(database, bakery, 2)
    await checkpoints.checkpoint(database, bakery.tenant_id)
    for statement in (
        update(AuditLeafTable).values(tag="x"),
        update(AuditLeafTable).values(leaf=None),
        delete(AuditLeafTable),
        update(AuditCheckpointTable).values(note="x"),
        delete(AuditCheckpointTable),
    ):
        with pytest.raises(Exception, match=r"permission denied|only ever added"):
            async with database.tenant(bakery.tenant_id) as store:
                await store.change(statement)
    assert store_settings.database_url is not None
    with psycopg.connect(store_settings.database_url) as owner:
        owner.execute("SELECT set_config('app.tenant_id', %s, false)", (str(bakery.tenant_id),))
        with pytest.raises(psycopg.errors.RaiseException):
            owner.execute("DELETE FROM audit_leaves")


async def test_old_entries_go_and_the_proof_stays(database: Database, bakery: Shop) -> None:
    """After seven years an entry's text goes; younger ones stay, and checkpoints from before still hold."""
    now = datetime.now(UTC)
    async with database.tenant(bakery.tenant_id) as store:
        for years in (9, 8, 6, 1):
            await record(
                store,
                ANNA,
                Tag.RECORDING_PLAYED,
                facts={"years": years},
                personal={"number": NUMBER},
                subject=SUBJECT,
                at=now - timedelta(days=366 * years),
            )
    older = await checkpoints.checkpoint(database, bakery.tenant_id)
    async with database.tenant(bakery.tenant_id) as store:
        assert await export.prune(store, actor=Actor("system", "retention")) == 2
        assert await export.prune(store, actor=Actor("system", "retention")) == 0
        left = [entry for entry in await log.entries(store, limit=100) if entry.tag.endswith("played")]
    assert [entry.facts.get("years") for entry in left] == [1, 6, None, None]
    assert older is not None
    report = (await exported(database, bakery)).verified(older=[older.note])
    assert report.problems == []
    assert (report.pruned, report.openings) == (2, 2)


async def test_hourly_checkpoints_are_of_what_has_grown(database: Database, bakery: Shop, florist: Shop) -> None:
    """Each log that has grown gets one, the server's own comes last and knows them all."""
    await some_entries(database, bakery, 1)
    await some_entries(database, florist, 1)
    assert await checkpoints.checkpoint_all(database) == 2
    assert await checkpoints.checkpoint_all(database) == 0
    await some_entries(database, florist, 1)
    assert await checkpoints.checkpoint_all(database) == 1
    async with database.tenant(HOUSE) as store:
        assert await log.size_of(store) == 3
        newest = await checkpoints.latest(store)
        assert newest is not None
        assert newest.size == 3
    server_keys = await checkpoints.public_keys(database, HOUSE)
    assert len(Note.parsed(newest.note).signed_by(server_keys)) == 2


_EDITS = {
    "an edited entry": lambda lines: [line.replace('\\"n\\":3', '\\"n\\":4') for line in lines],
    "a deleted entry": lambda lines: lines[:5] + lines[6:],
    "an inserted entry": lambda lines: [*lines[:5], lines[6], *lines[5:]],
    "two entries swapped": lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]],
    "a log cut short": lambda lines: [line for at, line in enumerate(lines) if not 8 < at < 12],
    "a hash in place of an entry": lambda lines: [*lines[:5], '{"pruned":"' + "00" * 32 + '"}', *lines[6:]],
    "no checkpoint": lambda lines: [line for line in lines if not line.startswith('{"checkpoint"')],
    "a forged signature": lambda lines: [line.replace("=\\n", "A\\n") for line in lines],
    "another origin": lambda lines: [lines[0].replace("aitelier/", "aitelier/0"), *lines[1:]],
    "rubbish": lambda lines: [*lines, "rubbish"],
    "nothing": lambda lines: lines[:0],
}


@pytest.mark.parametrize("kind", _EDITS)
async def test_every_change_to_an_export_is_found(database: Database, bakery: Shop, kind: str) -> None:
    """The file cannot be altered in any of these ways."""
    await some_entries(database, bakery, 12)
    found = await exported(database, bakery)
    assert found.verified().proven
    assert not found.verified(_EDITS[kind](found.lines)).proven


async def test_a_rewritten_log_contradicts_an_older_note(
    database: Database, bakery: Shop, store_settings: StoreSettings
) -> None:
    """Whoever owns the machine can rewrite everything and sign it anew; a note kept elsewhere tells."""
    await some_entries(database, bakery, 6)
    kept = await checkpoints.checkpoint(database, bakery.tenant_id)
    assert kept is not None
    assert store_settings.database_url is not None
    superuser = store_settings.database_url.replace(f"{postgres.OWNER}@", f"{postgres.SUPERUSER}@")
    with psycopg.connect(superuser) as mighty:
        mighty.execute("ALTER TABLE audit_leaves DISABLE TRIGGER audit_stays")
        mighty.execute("ALTER TABLE audit_checkpoints DISABLE TRIGGER audit_checkpoint_stays")
        mighty.execute("DELETE FROM audit_checkpoints WHERE tenant_id = %s", (bakery.tenant_id,))
        mighty.execute("DELETE FROM audit_leaves WHERE tenant_id = %s", (bakery.tenant_id,))
        mighty.execute("UPDATE audit_heads SET size = 0, edge = '' WHERE tenant_id = %s", (bakery.tenant_id,))
    await some_entries(database, bakery, 9)
    found = await exported(database, bakery)
    assert found.verified().proven
    assert not found.verified(older=[kept.note]).proven


async def test_another_tenant_cannot_look(database: Database, bakery: Shop, florist: Shop) -> None:
    """A stranger's transaction sees no entry, whatever it asks for."""
    await some_entries(database, bakery, 2)
    async with database.tenant(florist.tenant_id) as store:
        assert not [entry for entry in await log.entries(store, limit=100) if entry.tag.endswith("played")]
        with pytest.raises(ProgrammingError):
            await store.change(update(AuditLeafTable).where(col(AuditLeafTable.idx) == 0).values(tag="x"))

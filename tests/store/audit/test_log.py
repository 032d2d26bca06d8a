"""The audit log on a real database: written with the act, proven offline, forgetting persons and nothing else."""

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import ProgrammingError
from sqlmodel import col, delete, select, update

from policies.audit_tags import OPERATOR, Actor, Tag
from policies.merkle import Edge, leaf_hash
from policies.retention import AUDIT_YEARS, years_after
from store.audit import checkpoints, export, log
from store.audit.log import record
from store.audit.notes import Note
from store.audit.verify import verify
from store.engine import Database
from store.house import HOUSE
from store.settings import StoreSettings
from store.tables.audit import AuditCheckpointTable, AuditHeadTable, AuditLeafTable, SubjectKeyTable
from tests.database import Shop, make_shop
from tests.store.audit.auditor import audit
from tests.store.audit.exported import ANNA, Exported, exported, some_entries

NUMBER = "+493012345678"
SUBJECT = b"a person's index"


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


async def test_the_database_counts_as_the_policy_does(database: Database, bakery: Shop) -> None:
    """The tree's edge, which PostgreSQL keeps, is at each size what RFC 9162 makes of the leaves."""
    edge = Edge()
    for _ in range(20):
        async with database.tenant(bakery.tenant_id) as store:
            await record(store, ANNA, Tag.PROJECT_CHANGED, facts={"ä": "\u2028 \\ \x7f"})
            for leaf in await store.all(select(AuditLeafTable).where(col(AuditLeafTable.idx) >= edge.size)):
                assert leaf.leaf is not None
                edge = edge.appended(leaf_hash(leaf.leaf.encode()))
            head = await store.first(select(AuditHeadTable))
        assert head is not None
        assert (head.size, head.edge) == (edge.size, edge.packed())


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


@pytest.fixture
async def found(database: Database, bakery: Shop) -> Exported:
    """An export of a few entries, one of them about a person."""
    await some_entries(database, bakery, 3)
    await checkpoints.checkpoint(database, bakery.tenant_id)
    async with database.tenant(bakery.tenant_id) as store:
        await record(store, ANNA, Tag.DSAR_QUERIED, personal={"number": NUMBER}, subject=SUBJECT)
    return await exported(database, bakery)


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_rubbish_is_a_doubt_and_no_crash(found: Exported, data: st.DataObject) -> None:
    """Whatever a letter or a value of the file is changed to, the answer is a report, and never that it is proven."""
    at = data.draw(st.integers(0, len(found.lines) - 1))
    line = found.lines[at]
    where = data.draw(st.integers(0, len(line) - 1))
    changed = line[:where] + data.draw(st.text(max_size=3)) + line[where + data.draw(st.integers(0, 3)) :]
    try:
        if json.loads(changed) == json.loads(line):
            return
    except ValueError:
        pass
    assert not found.verified([*found.lines[:at], changed, *found.lines[at + 1 :]]).proven


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


@pytest.fixture
async def aged(database: Database) -> Shop:
    """A shop of nine years, each of which left an entry."""
    now = datetime.now(UTC)
    with time_machine.travel(years_after(now, -9), tick=True):
        shop = await make_shop(database, "Old Bakery", "+493023125003")
    for years in (9, 8, 6, 1):
        async with database.tenant(shop.tenant_id) as store:
            moment = years_after(now, -years)
            subject = b"one of years ago" if years > AUDIT_YEARS else SUBJECT
            await record(
                store, ANNA, Tag.DSAR_QUERIED, facts={"years": years}, personal={"a": "b"}, subject=subject, at=moment
            )
    return shop


async def test_old_entries_go_and_the_proof_stays(database: Database, aged: Shop) -> None:
    """After seven years an entry's text goes; younger ones stay, and checkpoints from before still hold."""
    older = await checkpoints.checkpoint(database, aged.tenant_id)
    project = str(aged.project_id)
    async with database.tenant(aged.tenant_id) as store:
        before = await log.entries(store, limit=100)
        assert await log.entries(store, about=project)
        assert await export.prune(store, actor=Actor("system", "retention")) == len(before) - 2
        assert await export.prune(store, actor=Actor("system", "retention")) == 0
        told, *left = await log.entries(store, limit=100)
        assert await log.entries(store, about=project) == (), "nor does anything lead from the project to them"
        assert [row.subject for row in await store.all(select(SubjectKeyTable))] == [SUBJECT]
    assert (told.tag, told.facts["up_to"]) == (Tag.AUDIT_PRUNED, len(before) - 2)
    assert [entry.facts.get("years") for entry in left] == [1, 6, *[None] * (len(before) - 2)]
    assert older is not None
    report = (await exported(database, aged)).verified(older=[older.note])
    assert report.problems == []
    assert (report.pruned, report.openings) == (len(before) - 2, 2)


async def test_no_entry_goes_because_one_says_so(database: Database, aged: Shop) -> None:
    """A text left out of an export is missed, also where its hash is right and others were let go of."""
    whole = await exported(database, aged)
    hashed = [_as_hash(line) for line in whole.lines]
    assert not whole.verified(hashed[:2] + whole.lines[2:]).proven
    async with database.tenant(aged.tenant_id) as store:
        pruned = await export.prune(store, actor=Actor("system", "retention"))
    after = await exported(database, aged)
    assert after.verified().proven
    hashed = [_as_hash(line) for line in after.lines]
    for at in (1 + pruned, 2 + pruned):
        assert not after.verified([*after.lines[:at], hashed[at], *after.lines[at + 1 :]]).proven


def _as_hash(line: str) -> str:
    given = json.loads(line)
    return json.dumps({"pruned": leaf_hash(given["leaf"].encode()).hex()}) if "leaf" in given else line


async def test_another_program_proves_the_same(database: Database, aged: Shop) -> None:
    """A verifier that shares no code with ours agrees, before and after pruning, and misses what is altered."""
    for _ in range(2):
        found = await exported(database, aged)
        report = found.verified()
        keys = [[str(key) for key in pair] for pair in (found.keys, found.server_keys)]
        seen = audit("\n".join(found.lines), *keys)
        assert report.problems == []
        assert len(seen["entries"]) == report.entries
        assert seen["entries"].count(None) == report.pruned
        assert len(seen["opened"]) == report.openings > 0
        with pytest.raises(AssertionError):
            audit("\n".join(found.lines).replace('\\"years\\":1', '\\"years\\":2'), *keys)
        async with database.tenant(aged.tenant_id) as store:
            await export.prune(store, actor=Actor("system", "retention"))


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
    assert Note.parsed(newest.note).proven_by(await checkpoints.public_keys(database, HOUSE)).size == 3


def _with_damage(lines: list[str]) -> list[str]:
    return [*lines[:8], '{"damaged":6}', *lines[8:]]


_EDITS = {
    "what the database contradicts": _with_damage,
    "an empty object": lambda lines: [*lines, "{}"],
    "a fraction": lambda lines: [line.replace('"size":', '"size":1.0,"old":', 1) for line in lines],
    "deep rubbish": lambda lines: [*lines, "[" * 100_000],
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


async def test_another_tenant_cannot_look(database: Database, bakery: Shop, florist: Shop) -> None:
    """A stranger's transaction sees no entry, whatever it asks for."""
    await some_entries(database, bakery, 2)
    async with database.tenant(florist.tenant_id) as store:
        assert not [entry for entry in await log.entries(store, limit=100) if entry.tag.endswith("played")]
        with pytest.raises(ProgrammingError):
            await store.change(update(AuditLeafTable).where(col(AuditLeafTable.idx) == 0).values(tag="x"))

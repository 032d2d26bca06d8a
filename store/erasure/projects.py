"""Deleting a project: locked at once, its keys gone within a week, all of it within a month.

From the wish on, its numbers answer no calls, and nobody reads or hears those it had (`store.visibility`). For some
days it can be taken back. Then a job shreds every key, so that nobody can read anything of it any more, and wipes
objects, rows and set-up; what has to be paid for stays, under a random name in place of the project's. Each step
follows the one before it, whoever is killed in between.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlmodel import col, delete, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from policies.erasure import TABLES as RULES
from policies.erasure_rules import Fate
from policies.retention import BACKUP_DAYS, GRACE_DAYS, WIPE_ALARM_DAYS
from store import jobs
from store.audit.log import record
from store.blobs import Blobs
from store.engine import Database, Platform
from store.erasure import holds, ledger
from store.erasure.batches import AT_ONCE, erase_batch, shred
from store.erasure.expiry import NoProjectError
from store.erasure.receipts import sign_receipt
from store.erasure.sessions import LOCK
from store.jobs import Work
from store.scope import TenantStore
from store.tables.base import TenantRow
from store.tables.calls import SessionTable
from store.tables.catalogue import TABLES
from store.tables.retention import ProjectDeletionTable
from store.tables.setup import ProjectTable

TASK: Final = "delete_project"
_KEYS_AT_ONCE: Final = 5000

_CUT_OFF_USAGE = """
UPDATE usage_events
SET id = gen_random_uuid(), session_id = NULL, project_id = NULL, project_stub = :stub,
    happened_at = date_trunc('month', happened_at, 'UTC')
WHERE tenant_id = :tenant_id AND id IN (
    SELECT id FROM usage_events WHERE tenant_id = :tenant_id AND project_id = :project_id LIMIT 5000
)
RETURNING 1
"""


class DeletionRefusedError(Exception):
    """The project is being deleted already, or its keys are gone and it cannot come back; says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """A project that is being deleted, or was."""

    project_id: UUID
    actor: Actor
    asked_at: datetime
    keys_shredded_at: datetime | None
    """From then on nobody can read anything of it, and it cannot be taken back."""
    wiped_at: datetime | None
    sessions: int
    counts: Mapping[str, int]
    receipt: Mapping[str, Any] | None


async def delete_project(
    store: TenantStore, project_id: UUID, *, actor: Actor, grace_days: int = GRACE_DAYS, now: datetime | None = None
) -> Deletion:
    """Lock a project with this transaction, and have it erased once it cannot be taken back any more.

    Raises:
        NoProjectError: The tenant has no such project.
        DeletionRefusedError: It is being deleted already.
        HeldError: A legal hold is on it or on one of its calls.
    """
    now = now or datetime.now(UTC)
    project = await store.first(select(ProjectTable).where(ProjectTable.id == project_id).with_for_update())
    if project is None:
        raise NoProjectError(str(project_id))
    if project.deletion_asked_at is not None:
        raise DeletionRefusedError("The project is being deleted already")
    await holds.refuse_held_project(store, project_id, now)
    await store.change(update(ProjectTable).where(col(ProjectTable.id) == project_id).values(deletion_asked_at=now))
    row = ProjectDeletionTable(
        tenant_id=store.tenant_id, project_id=project_id, actor_kind=actor.kind, actor_id=actor.id, asked_at=now
    )
    await store.add(row)
    await record(store, actor, Tag.PROJECT_DELETION_ASKED, objects=_objects(project_id))
    await jobs.defer(store, TASK, at=now + timedelta(days=grace_days), lock=LOCK, project_id=str(project_id))
    return _deletion(row)


async def take_back(store: TenantStore, project_id: UUID, *, actor: Actor) -> None:
    """Unlock a project again.

    Raises:
        NoProjectError: It is not being deleted.
        DeletionRefusedError: Its keys are gone.
    """
    row = await _row(store, project_id)
    if row.keys_shredded_at is not None:
        raise DeletionRefusedError("The project's keys are gone, and it cannot come back")
    await store.change(delete(ProjectDeletionTable).where(col(ProjectDeletionTable.project_id) == project_id))
    await store.change(update(ProjectTable).where(col(ProjectTable.id) == project_id).values(deletion_asked_at=None))
    await jobs.forget(store, "project_id", (project_id,))
    await record(store, actor, Tag.PROJECT_CHANGED, objects=_objects(project_id), facts={"deletion": "taken back"})


async def carry_out(
    database: Database, blobs: Blobs, tenant_id: UUID, project_id: UUID, *, now: datetime | None = None
) -> None:
    """Shred, then wipe, whatever of it is left to do. Does nothing for a project that was taken back, or is gone.

    Raises:
        HeldError: A legal hold came meanwhile. Worth trying again once it has ended.
        BlobsAwayError: Objects cannot be reached; worth trying again.
        StoreAwayError: The database is away; worth trying again.
    """
    now = now or datetime.now(UTC)
    async with database.tenant(tenant_id) as store:
        deletion = await store.first(
            select(ProjectDeletionTable).where(ProjectDeletionTable.project_id == project_id).with_for_update()
        )
        if deletion is None or deletion.wiped_at is not None:
            return
        if deletion.keys_shredded_at is None:
            await holds.end_expired(store, now)
            await holds.refuse_held_project(store, project_id, now)
            entry = ledger.Entry(kind="project", subjects=(project_id,), erased_at=now)
            await ledger.announce(blobs, tenant_id, uuid7(), entry)
            await _shred(store, project_id, now)
    await _wipe_calls(database, blobs, tenant_id, project_id)
    await _wipe_usage(database, tenant_id, project_id)
    async with database.tenant(tenant_id) as store:
        await _finish(store, project_id, now)


async def run(work: Work) -> None:
    """The job `TASK`."""
    await carry_out(work.database, work.blobs, work.tenant_id, work.id_of("project_id"))


async def find_deletion(store: TenantStore, project_id: UUID) -> Deletion:
    """How far the deletion of a project is. Raises `NoProjectError` when it was never asked for."""
    return _deletion(await _row(store, project_id))


async def list_deletions(store: TenantStore) -> tuple[Deletion, ...]:
    """Projects that are being deleted, or were within the years of the audit log, newest first."""
    rows = await store.all(select(ProjectDeletionTable).order_by(col(ProjectDeletionTable.asked_at).desc()))
    return tuple(_deletion(row) for row in rows)


async def overdue(platform: Platform, now: datetime) -> int:
    """Projects, of all tenants, whose deletion is so late that somebody has to look at it."""
    rows = await platform.rows(
        "SELECT count(*) FROM project_deletions WHERE wiped_at IS NULL AND asked_at < :before",
        before=now - timedelta(days=WIPE_ALARM_DAYS),
    )
    count: int = rows[0][0]
    return count


async def _shred(store: TenantStore, project_id: UUID, now: datetime) -> None:
    """Every key in one transaction: half a project cannot come back."""
    after = UUID(int=0)
    keys = 0
    while some := await _calls(store, project_id, after, _KEYS_AT_ONCE):
        keys += await shred(store, some)
        after = some[-1]
    await ledger.enter(store, "project", (project_id,), now)
    await store.change(
        update(ProjectDeletionTable)
        .where(col(ProjectDeletionTable.project_id) == project_id)
        .values(keys_shredded_at=now, project_stub=uuid4(), counts={"keys.data_keys": keys})
    )
    await record(
        store, Actor("system", TASK), Tag.PROJECT_KEYS_SHREDDED, objects=_objects(project_id), facts={"keys": keys}
    )


async def _wipe_calls(database: Database, blobs: Blobs, tenant_id: UUID, project_id: UUID) -> None:
    async def also(store: TenantStore, gone: Mapping[str, int]) -> None:
        row = await _row(store, project_id)
        counts = {name: row.counts.get(name, 0) + gone.get(name, 0) for name in row.counts.keys() | gone.keys()}
        await store.change(
            update(ProjectDeletionTable)
            .where(col(ProjectDeletionTable.project_id) == project_id)
            .values(counts=counts, sessions=row.sessions + gone.get("sessions", 0))
        )

    while True:
        async with database.tenant(tenant_id) as store:
            some = await _calls(store, project_id, UUID(int=0), AT_ONCE)
        if not some:
            return
        await erase_batch(database, blobs, tenant_id, some, also=also)


async def _wipe_usage(database: Database, tenant_id: UUID, project_id: UUID) -> None:
    while True:
        async with database.tenant(tenant_id) as store:
            stub = (await _row(store, project_id)).project_stub
            if not await store.fixed(_CUT_OFF_USAGE, project_id=project_id, stub=stub):
                return


async def _finish(store: TenantStore, project_id: UUID, now: datetime) -> None:
    row = await _row(store, project_id)
    if row.wiped_at is not None:
        return
    counts = dict(row.counts)
    for table in _of_project():
        name = str(table.__tablename__)
        counts[name] = await store.change(delete(table).where(col(table.project_id) == project_id))  # type: ignore[attr-defined]  # as it was chosen by
    await store.change(delete(ProjectTable).where(col(ProjectTable.id) == project_id))
    counts = {name: count for name, count in counts.items() if count}
    actor = Actor(row.actor_kind, row.actor_id)  # type: ignore[arg-type]  # written by `delete_project` only
    leaf = await record(
        store,
        actor,
        Tag.PROJECT_WIPED,
        objects=_objects(project_id),
        facts=counts,
    )
    receipt = await sign_receipt(
        store,
        {
            "project": str(project_id),
            "sessions": row.sessions,
            "counts": counts,
            "asked_at": row.asked_at.isoformat(),
            "finished_at": now.isoformat(),
            "backups_forget_at": (now + timedelta(days=BACKUP_DAYS)).isoformat(),
        },
        leaf,
    )
    await store.change(
        update(ProjectDeletionTable)
        .where(col(ProjectDeletionTable.project_id) == project_id)
        .values(wiped_at=now, counts=counts, receipt=receipt, project_stub=None)
    )


def _of_project() -> Sequence[type[TenantRow]]:
    """Tables of a project's set-up, those that refer to others first. What refers to these goes along with them."""
    wiped = {name for name, rule in RULES.items() if rule.project is Fate.DELETED and rule.link is None}
    return [
        table
        for table in reversed(TABLES)
        if table.__table__.fullname in wiped and hasattr(table, "project_id")  # type: ignore[attr-defined]  # SQLModel's metaclass sets it
    ]


async def _calls(store: TenantStore, project_id: UUID, after: UUID, limit: int) -> Sequence[UUID]:
    return await store.all(
        select(SessionTable.id)
        .where(SessionTable.project_id == project_id, col(SessionTable.id) > after)
        .order_by(col(SessionTable.id))
        .limit(limit)
    )


async def _row(store: TenantStore, project_id: UUID) -> ProjectDeletionTable:
    row = await store.first(
        select(ProjectDeletionTable).where(ProjectDeletionTable.project_id == project_id).with_for_update()
    )
    if row is None:
        raise NoProjectError(str(project_id))
    return row


def _deletion(row: ProjectDeletionTable) -> Deletion:
    return Deletion(
        project_id=row.project_id,
        actor=Actor(row.actor_kind, row.actor_id),  # type: ignore[arg-type]  # written by `delete_project` only
        asked_at=row.asked_at,
        keys_shredded_at=row.keys_shredded_at,
        wiped_at=row.wiped_at,
        sessions=row.sessions,
        counts=dict(row.counts),
        receipt=row.receipt,
    )


def _objects(project_id: UUID) -> dict[str, str]:
    return {"project": str(project_id)}

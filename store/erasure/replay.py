"""Replaying the erasure ledger after an old backup was restored: what had been erased is erased again.

To be done before the restored server takes its first call. Holds that the backup brings along do not stand against it:
what was erased was free when it was.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor, Tag
from policies.erasure import Reason
from store.audit.log import record
from store.blobs import Blobs
from store.engine import Database
from store.erasure import ledger, projects
from store.erasure.batches import AT_ONCE, erase_batch
from store.erasure.expiry import expire
from store.tables.calls import SessionTable
from store.tables.retention import LegalHoldTable, ProjectDeletionTable
from store.tables.setup import ProjectTable
from store.visits import all_tenant_ids

_ACTOR: Final = Actor("system", "restore")


@dataclass(slots=True)
class Replayed:
    """What had come back, and is gone again."""

    sessions: int = 0
    projects: int = 0
    expired: int = 0
    """Rows that were over their time."""


async def replay(database: Database, blobs: Blobs, now: datetime, *, seller_country: str) -> Replayed:
    """Erase again, in every tenant, what the ledger names, and what is over its time by now.

    Raises:
        StoreAwayError: The database is away; do it again.
        BlobsAwayError: The same for the objects.
    """
    replayed = Replayed()
    async with database.platform_jobs() as platform:
        tenant_ids = await all_tenant_ids(platform)
    for tenant_id in tenant_ids:
        async with database.tenant(tenant_id) as store:
            entries = await ledger.entries_of(store, blobs)
            for entry in entries:
                await ledger.enter(store, entry.kind, entry.subjects, entry.erased_at)
        calls = sorted({subject for entry in entries if entry.kind == "session" for subject in entry.subjects})
        replayed.sessions += await _erase_calls(database, blobs, tenant_id, calls)
        for project_id in {subject for entry in entries if entry.kind == "project" for subject in entry.subjects}:
            replayed.projects += await _erase_project(database, blobs, tenant_id, project_id, now)
        replayed.expired += sum((await expire(database, blobs, tenant_id, now, seller_country=seller_country)).values())
    return replayed


async def _erase_calls(database: Database, blobs: Blobs, tenant_id: UUID, session_ids: list[UUID]) -> int:
    erased = 0
    for start in range(0, len(session_ids), AT_ONCE):
        some = session_ids[start : start + AT_ONCE]
        async with database.tenant(tenant_id) as store:
            back = await store.all(select(SessionTable.id).where(col(SessionTable.id).in_(some)))
            await store.change(delete(LegalHoldTable).where(col(LegalHoldTable.session_id).in_(back)))
        await erase_batch(database, blobs, tenant_id, some)
        erased += len(back)
    if erased:
        async with database.tenant(tenant_id) as store:
            await record(
                store, _ACTOR, Tag.SESSIONS_ERASED, facts={"reason": Reason.RESTORED.value, "sessions": erased}
            )
    return erased


async def _erase_project(database: Database, blobs: Blobs, tenant_id: UUID, project_id: UUID, now: datetime) -> bool:
    async with database.tenant(tenant_id) as store:
        if await store.first(select(ProjectTable.id).where(ProjectTable.id == project_id)) is None:
            return False
        await store.change(delete(LegalHoldTable).where(col(LegalHoldTable.project_id) == project_id))
        statement = update(ProjectTable).where(col(ProjectTable.id) == project_id)
        await store.change(statement.values(deletion_asked_at=now))
        row = {"project_id": project_id, "actor_kind": _ACTOR.kind, "actor_id": _ACTOR.id, "asked_at": now}
        await store.put(ProjectDeletionTable, [{**row, "sessions": 0, "counts": {}}])
    await projects.carry_out(database, blobs, tenant_id, project_id, now=now)
    return True

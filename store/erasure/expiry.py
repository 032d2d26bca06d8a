"""Retention: what a project's rules and the law say has to go, and what a change of them would take.

A recording goes when its time is over, also where the words stay. The words and everything else of a call go when
theirs is; the call itself, and with it its key, goes when nothing of it is left to keep. Nothing that is held goes.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import and_, col, delete, func, or_, select, true, update

from policies.audit_tags import Actor, Tag
from policies.retention import AUDIT_YEARS, Wishes, limits, may_set, usage_limit, years_after
from policies.verdict import Deny
from store import answers, jobs
from store.audit.export import prune as prune_audit
from store.audit.log import record
from store.blobs import Blobs
from store.engine import Database
from store.erasure import holds, ledger
from store.erasure.batches import AT_ONCE, callers_of, erase_batch, erase_recordings
from store.erasure.sessions import LOCK
from store.known_callers import forget_strangers
from store.people import invitations
from store.scope import TenantStore
from store.tables.calls import MessageTable, RecordingTable, SessionEventTable, SessionTable, TurnTable, UsageEventTable
from store.tables.dsar import DsarCaseTable, DsarIntakeTable
from store.tables.retention import (
    ConsentProofTable,
    ErasureTable,
    JobProgressTable,
    LegalHoldTable,
    ProjectDeletionTable,
)
from store.tables.setup import ProjectTable
from store.visits import each_tenant

TASK: Final = "retention"
_ACTOR: Final = Actor("system", TASK)
_WORDS: Final = (TurnTable, MessageTable, SessionEventTable)
_STALE: Final = timedelta(days=30)
_UNSETTLED: Final = timedelta(days=1)
"""So long a call may be up, or wait to be taken in, before it counts as one of which nothing more comes."""


class RetentionRefusedError(ValueError):
    """The law does not allow it; says why."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What the next run would take under other rules."""

    recordings: int
    sessions: int
    """Calls that would lose their words, or go altogether."""


async def preview(
    store: TenantStore, project_id: UUID, wishes: Wishes | None, now: datetime, *, released: UUID | None = None
) -> Preview:
    """What a project would lose.

    Args:
        store: Of the project's tenant.
        project_id: The project.
        wishes: Rules that it might have; None: those that it has. The jurisdiction is the project's whatever they say.
        now: When the run would be.
        released: A legal hold that would be over by then.
    """
    project = await _project(store, project_id)
    before = limits(_wishes(project) if wishes is None else replace(wishes, jurisdiction=project.jurisdiction), now)
    recordings = (
        select(func.count())
        .select_from(RecordingTable)
        .join(SessionTable, col(SessionTable.id) == RecordingTable.session_id)
        .where(SessionTable.project_id == project_id, _over(before.recordings, now, released))
    )
    sessions = (
        select(func.count())
        .select_from(SessionTable)
        .where(
            SessionTable.project_id == project_id,
            _over(before.sessions, now, released),
            or_(~_recorded(), _has_words()),
        )
    )
    return Preview(await store.first(recordings) or 0, await store.first(sessions) or 0)


async def set_retention(
    store: TenantStore, project_id: UUID, wishes: Wishes, *, actor: Actor, now: datetime | None = None
) -> None:
    """Keep a project's calls so long from now on; the jurisdiction is the project's whatever `wishes` says.

    Raises:
        RetentionRefusedError: The law does not allow it.
        NoProjectError: The tenant has no such project.
    """
    now = now or datetime.now(UTC)
    project = await _project(store, project_id)
    verdict = may_set(replace(wishes, jurisdiction=project.jurisdiction), now.date())
    if isinstance(verdict, Deny):
        raise RetentionRefusedError(verdict.reason)
    await store.change(
        update(ProjectTable)
        .where(col(ProjectTable.id) == project_id)
        .values(
            recording_days=wishes.recording_days,
            transcript_days=wishes.transcript_days,
            retention_basis=(wishes.legal_basis or "").strip() or None,
        )
    )
    await record(
        store,
        actor,
        Tag.RETENTION_CHANGED,
        objects={"project": str(project_id)},
        facts={
            "recording_days": wishes.recording_days,
            "recording_days_before": project.recording_days,
            "transcript_days": wishes.transcript_days,
            "transcript_days_before": project.transcript_days,
            "has_legal_basis": bool((wishes.legal_basis or "").strip()),
        },
    )


class NoProjectError(LookupError):
    """The tenant has no such project."""


async def expire(
    database: Database, blobs: Blobs, tenant_id: UUID, now: datetime, *, seller_country: str
) -> Mapping[str, int]:
    """Erase what is over its time in one tenant, in batches; how many rows went, by table.

    Args:
        database: The database.
        blobs: The objects.
        tenant_id: Whose.
        now: The moment that ages are counted to.
        seller_country: Of whoever sends the tenant its invoices, ISO 3166-1 alpha-2.

    Raises:
        StoreAwayError: The database is away. What went is gone; the rest goes with the next run.
        BlobsAwayError: The same for the objects.
    """
    gone: Counter[str] = Counter()
    async with database.tenant(tenant_id) as store:
        gone["legal_holds"] += await holds.end_expired(store, now)
        gone["invitations"] += await invitations.end_expired(store, now)
        projects = await store.all(select(ProjectTable).order_by(col(ProjectTable.id)))
    for project in projects:
        went = await _expire_project(database, blobs, tenant_id, project, now)
        gone += went
        if went:
            async with database.tenant(tenant_id) as store:
                await record(store, _ACTOR, Tag.RETENTION_RAN, objects={"project": str(project.id)}, facts=dict(went))
    async with database.tenant(tenant_id) as store:
        gone += await _expire_books(store, blobs, now, usage_limit(seller_country, now))
    gone["orphans"] = await sweep_orphans(database, blobs, tenant_id)
    return {name: count for name, count in gone.items() if count}


async def sweep_orphans(database: Database, blobs: Blobs, tenant_id: UUID) -> int:
    """Remove recordings of calls that are not there any more, as a crash between two steps leaves them; how many."""
    prefix = f"recordings/{tenant_id}/"
    names = await asyncio.to_thread(lambda: [name.removeprefix(prefix) for name in blobs.list(prefix)])
    lost = 0
    for start in range(0, len(names), AT_ONCE):
        ids = [UUID(name) for name in names[start : start + AT_ONCE]]
        async with database.tenant(tenant_id) as store:
            there = set(await store.all(select(SessionTable.id).where(col(SessionTable.id).in_(ids))))
        # A call is in the database before its recording can be anywhere, so nothing that is on its way in is lost here.
        lost += await erase_recordings(blobs, tenant_id, [one for one in ids if one not in there])
    return lost


async def _expire_project(
    database: Database, blobs: Blobs, tenant_id: UUID, project: ProjectTable, now: datetime
) -> Counter[str]:
    before = limits(_wishes(project), now)
    of_project = SessionTable.project_id == project.id
    gone: Counter[str] = Counter()
    unrecorded = select(SessionTable.id).where(
        of_project, col(SessionTable.id).in_(select(RecordingTable.session_id)), _over(before.recordings, now)
    )
    while some := await _some(database, tenant_id, unrecorded):
        await erase_recordings(blobs, tenant_id, some)
        async with database.tenant(tenant_id) as store:
            statement = delete(RecordingTable).where(col(RecordingTable.session_id).in_(some))
            gone["recordings"] += await store.change(statement)
    over = select(SessionTable.id).where(of_project, _over(before.sessions, now), ~_recorded())
    while some := await _some(database, tenant_id, over):
        gone += Counter(await erase_batch(database, blobs, tenant_id, some))
    wordless = select(SessionTable.id).where(of_project, _over(before.sessions, now), _has_words())
    while some := await _some(database, tenant_id, wordless):
        async with database.tenant(tenant_id) as store:
            gone += await _take_words(store, some)
    return gone


async def _some(database: Database, tenant_id: UUID, statement: Any) -> Sequence[UUID]:
    async with database.tenant(tenant_id) as store:
        return await store.all(statement.order_by(col(SessionTable.id)).limit(AT_ONCE))


async def _take_words(store: TenantStore, session_ids: Sequence[UUID]) -> Counter[str]:
    """Of calls whose recording is kept longer than their words."""
    gone: Counter[str] = Counter()
    callers = await callers_of(store, session_ids)
    for table in _WORDS:
        gone[table.__tablename__] += await store.change(delete(table).where(col(table.session_id).in_(session_ids)))
    await store.change(
        update(SessionTable).where(col(SessionTable.id).in_(session_ids)).values(caller_sealed=None, caller_index=None)
    )
    gone["audit_personal"] += await forget_strangers(store, callers)
    return gone


async def _expire_books(store: TenantStore, blobs: Blobs, now: datetime, usage_before: datetime) -> Counter[str]:
    """What is kept for years."""
    gone: Counter[str] = Counter()
    audited_since = years_after(now, -AUDIT_YEARS)
    for table, over in (
        (UsageEventTable, col(UsageEventTable.happened_at) < usage_before),
        (ConsentProofTable, col(ConsentProofTable.kept_until) <= now),
        (ErasureTable, col(ErasureTable.finished_at) < audited_since),
        (ProjectDeletionTable, col(ProjectDeletionTable.wiped_at) < audited_since),
        (DsarCaseTable, col(DsarCaseTable.closed_at) < audited_since),
        (DsarIntakeTable, col(DsarIntakeTable.finished_at) < audited_since),
        (JobProgressTable, col(JobProgressTable.changed_at) < now - _STALE),
    ):
        gone[table.__tablename__] += await store.change(delete(table).where(over))
    gone["erasure_ledger"] += await ledger.prune(store, blobs, now)
    gone["audit_leaves"] += await prune_audit(store, actor=_ACTOR, now=now)
    return gone


def _wishes(project: ProjectTable) -> Wishes:
    return Wishes(
        jurisdiction=project.jurisdiction,
        recording_days=project.recording_days,
        transcript_days=project.transcript_days,
        legal_basis=project.retention_basis,
    )


def _over(before: datetime, now: datetime, released: UUID | None = None) -> ColumnElement[bool]:
    """Of a call: it ended before this, nothing more comes of it, and no legal hold but a released one is on it."""
    return and_(
        func.coalesce(col(SessionTable.ended_at), col(SessionTable.planned_at)) < before,
        or_(col(SessionTable.ingested_at).is_not(None), col(SessionTable.planned_at) < now - _UNSETTLED),
        _free(now, released),
    )


def _free(now: datetime, released: UUID | None) -> ColumnElement[bool]:
    """Of a call: no legal hold is on it but this one."""
    held = select(LegalHoldTable.id).where(
        true() if released is None else LegalHoldTable.id != released,
        LegalHoldTable.project_id == SessionTable.project_id,
        or_(col(LegalHoldTable.session_id).is_(None), LegalHoldTable.session_id == SessionTable.id),
        col(LegalHoldTable.expires_at) > now,
    )
    return ~held.exists()


def _recorded() -> ColumnElement[bool]:
    """Of a call: there is a recording of it."""
    return select(RecordingTable.session_id).where(RecordingTable.session_id == SessionTable.id).exists()


def _has_words() -> ColumnElement[bool]:
    """Of a call: something of it is left that goes with the words."""
    kept = [select(table.session_id).where(table.session_id == SessionTable.id).exists() for table in _WORDS]
    return or_(col(SessionTable.caller_sealed).is_not(None), *kept)


async def _project(store: TenantStore, project_id: UUID) -> ProjectTable:
    project = await store.first(select(ProjectTable).where(ProjectTable.id == project_id))
    if project is None:
        raise NoProjectError(str(project_id))
    return project


async def run_round(this: jobs.Round) -> None:
    """The daily round: leaves a job in each tenant, so that a large one does not keep the others waiting."""

    async def visit(store: TenantStore) -> None:
        await answers.forget_old(store, datetime.now(UTC))
        await jobs.defer(store, TASK, lock=LOCK)

    await each_tenant(this.database, "retention_round", visit)


async def run(work: jobs.Work, *, seller_country: str) -> None:
    """The job `TASK`."""
    now = datetime.now(UTC)
    await expire(work.database, work.blobs, work.tenant_id, now, seller_country=seller_country)

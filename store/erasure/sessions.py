"""Erasing calls that somebody chose: asked for in one transaction, carried out by a job, proven by a receipt.

With the transaction that asks, the data keys are gone and the calls unreadable. Objects, rows and copies follow in
batches, however often the process that does it is killed.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlmodel import col, func, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from policies.erasure import Reason
from policies.retention import BACKUP_DAYS
from store import jobs
from store.audit.log import record
from store.blobs import Blobs
from store.engine import Database
from store.erasure import ledger
from store.erasure.batches import AT_ONCE, erase_batch, shred
from store.erasure.holds import refuse_held
from store.erasure.receipts import sign_receipt
from store.jobs import Argument, Work
from store.scope import TenantStore
from store.tables.calls import SessionTable
from store.tables.retention import ErasureSessionTable, ErasureTable

TASK: Final = "erase_sessions"
LOCK: Final = "erasure"
"""One erasure of a tenant at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was erased, as far as it is."""

    erasure_id: UUID
    reason: str
    actor: Actor
    asked_at: datetime
    """From then on nobody could read the calls."""
    sessions: int
    counts: Mapping[str, int]
    """Rows that are gone, by table; of `consent_proofs` and `usage_events` those that stay, cut off."""
    finished_at: datetime | None
    """None while copies are still being removed."""
    backups_forget_at: datetime | None
    """When the last backup that holds anything of it is gone."""
    signed: Mapping[str, Any] | None
    """The same, signed, with proof that the audit log holds it; see `store.erasure.receipts`."""


@dataclass(frozen=True, slots=True)
class Then:
    """A job that is left once everything is gone. It gets `erasure_id` beside these arguments."""

    task: str
    arguments: Mapping[str, Argument]


async def erase_sessions(
    store: TenantStore,
    blobs: Blobs,
    session_ids: Collection[UUID],
    *,
    actor: Actor,
    reason: Reason,
    then: Then | None = None,
    now: datetime | None = None,
) -> Receipt:
    """Erase these calls of the tenant: unreadable with this transaction, the rest by the job `TASK`.

    Calls that are not there are passed over, so that asking twice is no mistake.

    Raises:
        HeldError: A legal hold is on one of them; none is erased.
        BlobsAwayError: The ledger cannot be written now; nothing is erased. Worth trying again.
    """
    now = now or datetime.now(UTC)
    erasure_id = uuid7()
    found = await _existing(store, session_ids)
    await refuse_held(store, found, now)
    entry = ledger.Entry(kind="session", subjects=tuple(found), erased_at=now)
    await ledger.announce(blobs, store.tenant_id, erasure_id, entry)
    row = ErasureTable(
        tenant_id=store.tenant_id,
        id=erasure_id,
        reason=reason.value,
        actor_kind=actor.kind,
        actor_id=actor.id,
        asked_at=now,
        sessions=len(found),
        counts={},
        then_task=None if then is None else then.task,
        then_arguments=None if then is None else dict(then.arguments),
    )
    await store.add(row)
    keys = 0
    for some in _pieces(found):
        await store.put(ErasureSessionTable, [{"erasure_id": erasure_id, "session_id": one} for one in some])
        await ledger.enter(store, "session", some, now)
        keys += await shred(store, some)
    row.counts = {"keys.data_keys": keys}
    await store.change(update(ErasureTable).where(col(ErasureTable.id) == erasure_id).values(counts=row.counts))
    await record(
        store,
        actor,
        Tag.SESSIONS_ERASED,
        objects={"erasure": str(erasure_id)},
        facts={"reason": reason.value, "sessions": len(found), "step": "keys shredded"},
    )
    await jobs.defer(store, TASK, lock=LOCK, erasure_id=str(erasure_id))
    return _receipt(row)


async def carry_out(
    database: Database,
    blobs: Blobs,
    tenant_id: UUID,
    erasure_id: UUID,
    *,
    progress: Callable[[int, int], Awaitable[None]] | None = None,
    now: datetime | None = None,
) -> Receipt:
    """Erase what is left of an erasure. Where another process does the same, both do it together.

    Raises:
        NoErasureError: The tenant has none of this id.
        BlobsAwayError: Objects cannot be reached; worth trying again.
        StoreAwayError: The database is away; worth trying again.
    """

    async def also(store: TenantStore, gone: Mapping[str, int]) -> None:
        row = await _locked(store, erasure_id)
        counts = {name: row.counts.get(name, 0) + gone.get(name, 0) for name in row.counts.keys() | gone.keys()}
        counts.pop("erasure_sessions", None)
        await store.change(update(ErasureTable).where(col(ErasureTable.id) == erasure_id).values(counts=counts))

    while True:
        async with database.tenant(tenant_id) as store:
            left, some = await _left(store, erasure_id)
            of = (await find_erasure(store, erasure_id)).sessions
        if progress is not None:
            await progress(of - left, of)
        if not some:
            break
        await erase_batch(database, blobs, tenant_id, some, also=also)
    async with database.tenant(tenant_id) as store:
        return await _finish(store, erasure_id, now or datetime.now(UTC))


async def run(work: Work) -> None:
    """The job `TASK`."""
    await carry_out(work.database, work.blobs, work.tenant_id, work.id_of("erasure_id"), progress=work.progress)


class NoErasureError(LookupError):
    """The tenant has no such erasure."""


async def find_erasure(store: TenantStore, erasure_id: UUID) -> Receipt:
    """An erasure, done or not. Raises `NoErasureError`."""
    row = await store.first(select(ErasureTable).where(ErasureTable.id == erasure_id))
    if row is None:
        raise NoErasureError(str(erasure_id))
    return _receipt(row)


async def list_erasures(
    store: TenantStore,
    *,
    before: UUID | None = None,
    limit: int = 50,
    is_done: bool | None = None,
    reason: Reason | None = None,
) -> tuple[Receipt, ...]:
    """Erasures, newest first; at most `limit`. The next page begins `before` the last id of this one."""
    statement = select(ErasureTable).order_by(col(ErasureTable.id).desc()).limit(limit)
    if before is not None:
        statement = statement.where(col(ErasureTable.id) < before)
    if is_done is not None:
        finished = col(ErasureTable.finished_at)
        statement = statement.where(finished.is_not(None) if is_done else finished.is_(None))
    if reason is not None:
        statement = statement.where(ErasureTable.reason == reason)
    return tuple(_receipt(row) for row in await store.all(statement))


async def calls_left(store: TenantStore, erasure_id: UUID) -> int:
    """How many calls of an erasure nobody can read any more, but have copies that are still to be removed."""
    return (await _left(store, erasure_id))[0]


async def _finish(store: TenantStore, erasure_id: UUID, now: datetime) -> Receipt:
    row = await _locked(store, erasure_id)
    if row.finished_at is not None:
        return _receipt(row)
    actor = Actor(row.actor_kind, row.actor_id)  # type: ignore[arg-type]  # written by `erase_sessions` only
    leaf = await record(
        store,
        actor,
        Tag.SESSIONS_ERASED,
        objects={"erasure": str(erasure_id)},
        facts={"reason": row.reason, "sessions": row.sessions, "step": "done", **row.counts},
    )
    row.finished_at = now
    receipt = await sign_receipt(
        store,
        {
            "erasure": str(erasure_id),
            "reason": row.reason,
            "sessions": row.sessions,
            "counts": row.counts,
            "asked_at": row.asked_at.isoformat(),
            "finished_at": now.isoformat(),
            "backups_forget_at": (now + timedelta(days=BACKUP_DAYS)).isoformat(),
        },
        leaf,
    )
    await store.change(
        update(ErasureTable).where(col(ErasureTable.id) == erasure_id).values(finished_at=now, receipt=receipt)
    )
    row.receipt = receipt
    if row.then_task is not None:
        await jobs.defer(store, row.then_task, **(row.then_arguments or {}), erasure_id=str(erasure_id))
    return _receipt(row)


async def _existing(store: TenantStore, session_ids: Collection[UUID]) -> Sequence[UUID]:
    found: list[UUID] = []
    for some in _pieces(sorted(set(session_ids))):
        statement = select(SessionTable.id).where(col(SessionTable.id).in_(some)).order_by(col(SessionTable.id))
        found += await store.all(statement)
    return found


async def _left(store: TenantStore, erasure_id: UUID) -> tuple[int, Sequence[UUID]]:
    """How many calls are left, and the next of them."""
    mine = ErasureSessionTable.erasure_id == erasure_id
    left = await store.first(select(func.count()).select_from(ErasureSessionTable).where(mine)) or 0
    statement = select(ErasureSessionTable.session_id).where(mine).order_by(col(ErasureSessionTable.session_id))
    return left, await store.all(statement.limit(AT_ONCE))


async def _locked(store: TenantStore, erasure_id: UUID) -> ErasureTable:
    row = await store.first(select(ErasureTable).where(ErasureTable.id == erasure_id).with_for_update())
    if row is None:
        raise NoErasureError(str(erasure_id))
    return row


def _receipt(row: ErasureTable) -> Receipt:
    return Receipt(
        erasure_id=row.id,
        reason=row.reason,
        actor=Actor(row.actor_kind, row.actor_id),  # type: ignore[arg-type]  # written by `erase_sessions` only
        asked_at=row.asked_at,
        sessions=row.sessions,
        counts=dict(row.counts),
        finished_at=row.finished_at,
        backups_forget_at=None if row.finished_at is None else row.finished_at + timedelta(days=BACKUP_DAYS),
        signed=row.receipt,
    )


def _pieces(session_ids: Sequence[UUID]) -> Sequence[Sequence[UUID]]:
    return [session_ids[start : start + AT_ONCE] for start in range(0, len(session_ids), AT_ONCE)]

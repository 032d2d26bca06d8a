"""The erasing itself, a few hundred calls at a time, in the order that makes it safe.

First the data keys go and what waits in queues, and that is committed: from then on nobody can read the rest. Then the
objects go, with all their versions, then the rows, and with them the last trace of what was still to be done. Each step
gives the same result when it is done again, so that whoever was killed is simply followed by another.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlmodel import col, delete, select

from policies.erasure import TABLES as RULES
from policies.erasure_rules import Fate
from policies.retention import proof_kept_until
from store import jobs
from store.blobs import Blobs
from store.dsar.copies import drop_copies_with
from store.engine import Database
from store.known_callers import forget_strangers
from store.recordings import blob_name
from store.scope import TenantStore
from store.tables.base import TenantRow
from store.tables.calls import ConsentEventTable, SessionTable
from store.tables.catalogue import TABLES
from store.tables.keys import DataKeyTable
from store.tables.retention import ConsentProofTable

AT_ONCE: Final = 500
"""Calls of one batch: a transaction of some tenths of a second."""
_THREADS: Final = 8
_KEYS: Final = "keys.data_keys"

Also = Callable[[TenantStore, Mapping[str, int]], Awaitable[None]]
"""Joins the transaction that removes the rows; gets how many went, by table."""

_CUT_OFF_USAGE = """
UPDATE usage_events SET id = gen_random_uuid(), session_id = NULL, happened_at = date_trunc('month', happened_at, 'UTC')
WHERE tenant_id = :tenant_id AND session_id = ANY(:ids)
RETURNING 1
"""


def _linked(fate: Fate) -> Mapping[str, tuple[type[TenantRow], str]]:
    """Tables whose rows meet this fate when their call is erased, and the column that names the call; calls last."""
    found = {}
    for table in TABLES:
        name = table.__table__.fullname  # type: ignore[attr-defined]  # set by SQLModel's metaclass
        rule = RULES.get(name)  # a test fails where one is missing; a server should not
        if rule is not None and rule.call is fate and rule.link is not None:
            found[name] = (table, rule.link)
    return dict(sorted(found.items(), key=lambda item: item[0] == "sessions"))


_DELETED: Final = _linked(Fate.DELETED)


async def shred(store: TenantStore, session_ids: Sequence[UUID]) -> int:
    """Make these calls unreadable for good once the transaction is committed; how many keys that took."""
    await jobs.forget(store, "session_id", session_ids)
    await drop_copies_with(store, session_ids)
    return await store.change(delete(DataKeyTable).where(col(DataKeyTable.session_id).in_(session_ids)))


async def erase_batch(
    database: Database, blobs: Blobs, tenant_id: UUID, session_ids: Sequence[UUID], *, also: Also | None = None
) -> Mapping[str, int]:
    """Erase calls of one tenant, whether they are held or not: that was asked before. How many rows went, by table.

    Raises:
        StoreAwayError: The database is away.
        BlobsAwayError: Objects cannot be reached. Their keys are gone already.
        BlobKeptError: The bucket keeps a version of one by a lock.
    """
    async with database.tenant(tenant_id) as store:
        keys = await shred(store, session_ids)
    await erase_recordings(blobs, tenant_id, session_ids)
    async with database.tenant(tenant_id) as store:
        gone = {_KEYS: keys, **await _erase_rows(store, session_ids)}
        if also is not None:
            await also(store, gone)
    return gone


async def erase_recordings(blobs: Blobs, tenant_id: UUID, session_ids: Sequence[UUID]) -> int:
    """Remove the sound of these calls with all its versions; how many had some. Raises as `Blobs.delete`."""
    names = [blob_name(tenant_id, session_id) for session_id in session_ids]

    def remove() -> int:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="erase") as threads:
            return sum(threads.map(blobs.delete, names))

    return await asyncio.to_thread(remove)


async def _erase_rows(store: TenantStore, session_ids: Sequence[UUID]) -> Mapping[str, int]:
    # Whoever takes in the journal of one of these calls now holds its row; afterwards the call is not there any more.
    await store.all(
        select(SessionTable.id)
        .where(col(SessionTable.id).in_(session_ids))
        .order_by(col(SessionTable.id))
        .with_for_update()
    )
    callers = await callers_of(store, session_ids)
    gone: Counter[str] = Counter()
    gone["consent_proofs"] = await _keep_proofs(store, session_ids)
    gone["usage_events"] = len(await store.fixed(_CUT_OFF_USAGE, ids=list(session_ids)))
    for name, (table, link) in _DELETED.items():
        gone[name] += await store.change(delete(table).where(getattr(table, link).in_(session_ids)))
    gone["audit_personal"] = await forget_strangers(store, callers)
    return {name: count for name, count in gone.items() if count}


async def callers_of(store: TenantStore, session_ids: Sequence[UUID]) -> frozenset[bytes]:
    """Indexes of the callers of these calls."""
    found = select(SessionTable.id, SessionTable.caller_index).where(col(SessionTable.id).in_(session_ids))
    return frozenset(index for _, index in await store.rows(found) if index is not None)


async def _keep_proofs(store: TenantStore, session_ids: Sequence[UUID]) -> int:
    rows = await store.rows(
        select(ConsentEventTable, SessionTable.started_at, SessionTable.planned_at)
        .join(SessionTable, col(SessionTable.id) == ConsentEventTable.session_id)
        .where(col(ConsentEventTable.session_id).in_(session_ids))
    )
    proofs = []
    for event, started_at, planned_at in rows:
        happened_at = (started_at or planned_at) + timedelta(milliseconds=event.at_ms)
        proofs.append(
            {
                "session_id": event.session_id,
                "ordinal": event.ordinal,
                "happened_at": happened_at,
                "kind": event.kind,
                "verdict": event.verdict,
                "method": event.method,
                "wording_sha256": event.wording_sha256,
                "language": event.language,
                "kept_until": proof_kept_until(happened_at),
            }
        )
    await store.put(ConsentProofTable, proofs)
    return len(proofs)

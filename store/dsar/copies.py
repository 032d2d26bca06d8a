"""Copies of everything held about a caller: a file for each request, sealed, for a day.

Its key lies in its row and in no backup's objects is the file, so it can be read by nobody once the row is gone: when
another copy is asked for, when a call that may be in it is erased or over its time, when the request is closed, and a
day after it was made. The file itself follows in a job.
"""

import asyncio
import os
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import col, delete, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, ActorKind, Tag
from policies.chunks import ChunkReader, ChunkSealer, copy_context
from store.audit.log import record
from store.blobs import Blobs
from store.jobs import Work, defer
from store.scope import TenantStore
from store.tables.calls import SessionTable
from store.tables.dsar import DsarCaseTable, DsarCopyTable

MAKE_TASK: Final = "dsar_copy"
"""The job that makes a copy: `store.dsar.copying`."""
FORGET_TASK: Final = "dsar_copy_forgotten"
"""The job that removes one for good."""
KEPT: Final = timedelta(days=1)
_TABLE: Final = "dsar_copies"
_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy that is being made, or can be had."""

    id: UUID
    case_id: UUID
    by: Actor
    asked_at: datetime
    calls: int
    calls_done: int
    made_at: datetime | None

    @property
    def ends_at(self) -> datetime | None:
        """Until when it can be had; None while it is being made."""
        return None if self.made_at is None else self.made_at + KEPT


class NoCopyError(LookupError):
    """There is none that could be read, or it is still being made."""


async def ask_copy(store: TenantStore, case_id: UUID, *, actor: Actor, now: datetime | None = None) -> UUID:
    """Have a copy made for an open request, in place of one that is there; its id."""
    await drop_copies(store, [case_id])
    copy_id, columns = uuid7(), await store.keys.tenant_columns(store)
    await store.add(
        DsarCopyTable(
            tenant_id=store.tenant_id,
            id=copy_id,
            case_id=case_id,
            actor_kind=actor.kind,
            actor_id=actor.id,
            key_sealed=columns.seal(os.urandom(_KEY_BYTES).hex(), _TABLE, "key", copy_id),
            asked_at=now or datetime.now(UTC),
            calls=0,
            calls_done=0,
        )
    )
    await defer(store, MAKE_TASK, copy_id=str(copy_id))
    return copy_id


async def find_copy(store: TenantStore, case_id: UUID, now: datetime) -> Copy | None:
    """The copy for a request; None where there is none, or its day is over."""
    row = await store.first(select(DsarCopyTable).where(DsarCopyTable.case_id == case_id))
    found = None if row is None else _copy(row)
    return None if found is not None and found.ends_at is not None and found.ends_at <= now else found


async def look_at_copy(store: TenantStore, copy_id: UUID) -> Copy | None:
    """The same by its own id, also once its day is over."""
    row = await store.first(select(DsarCopyTable).where(DsarCopyTable.id == copy_id))
    return None if row is None else _copy(row)


async def note_progress(store: TenantStore, copy_id: UUID, *, calls: int, done: int) -> bool:
    """How far it is; False when it is not wanted any more."""
    statement = update(DsarCopyTable).where(col(DsarCopyTable.id) == copy_id)
    return await store.change(statement.values(calls=calls, calls_done=done)) > 0


async def note_made(store: TenantStore, copy_id: UUID, now: datetime) -> bool:
    """It can be had from now on, for a day; False when it is not wanted any more."""
    statement = update(DsarCopyTable).where(col(DsarCopyTable.id) == copy_id).values(made_at=now)
    if not await store.change(statement):
        return False
    await defer(store, FORGET_TASK, at=now + KEPT, copy_id=str(copy_id))
    return True


async def sealer_of(store: TenantStore, copy_id: UUID) -> ChunkSealer:
    """What seals the file. Raises `NoCopyError`."""
    key = await _key_of(store, copy_id)
    return ChunkSealer(key, copy_context(str(store.tenant_id), str(copy_id)), os.urandom(24), AESGCM)


async def open_copy(store: TenantStore, blobs: Blobs, case_id: UUID, *, actor: Actor, now: datetime) -> ChunkReader:
    """The file, to be read also after the transaction; who takes it stands in the audit log.

    Raises:
        NoCopyError: There is none, or it is still being made.
        BlobMissingError, policies.chunks.ChunksDamagedError: It is not where it should be, or not what was put there.
    """
    copy = await find_copy(store, case_id, now)
    if copy is None or copy.made_at is None:
        raise NoCopyError(str(case_id))
    key, name = await _key_of(store, copy.id), blob_name(store.tenant_id, copy.id)
    facts = {"copy_made_at": copy.made_at.isoformat()}
    await record(store, actor, Tag.DSAR_COPY_TAKEN, objects={"case": str(case_id)}, facts=facts, at=now)
    context = copy_context(str(store.tenant_id), str(copy.id))

    def opened() -> ChunkReader:
        return ChunkReader(key, context, lambda at, count: blobs.read_at(name, at, count), blobs.size(name), AESGCM)

    return await asyncio.to_thread(opened)


async def drop_copies(store: TenantStore, case_ids: Collection[UUID]) -> None:
    """Make the copies of these requests unreadable with this transaction; their files go in jobs."""
    where = col(DsarCopyTable.case_id).in_(case_ids)
    for copy_id in await store.all(select(DsarCopyTable.id).where(where)):
        await defer(store, FORGET_TASK, copy_id=str(copy_id))
    await store.change(delete(DsarCopyTable).where(where))


async def drop_copies_with(store: TenantStore, session_ids: Collection[UUID]) -> None:
    """The same of every request of the callers of these calls."""
    callers = select(SessionTable.caller_index).where(col(SessionTable.id).in_(session_ids))
    cases = select(DsarCaseTable.id).where(col(DsarCaseTable.caller_index).in_(callers))
    await drop_copies(store, await store.all(cases))


def blob_name(tenant_id: UUID, copy_id: UUID) -> str:
    """Under which name the file lies."""
    return f"copies/{tenant_id}/{copy_id}"


async def forget(work: Work) -> None:
    """The job `FORGET_TASK`."""
    copy_id = work.id_of("copy_id")
    async with work.database.tenant(work.tenant_id) as store:
        await store.change(delete(DsarCopyTable).where(col(DsarCopyTable.id) == copy_id))
    await asyncio.to_thread(work.blobs.delete, blob_name(work.tenant_id, copy_id))


async def _key_of(store: TenantStore, copy_id: UUID) -> bytes:
    sealed = await store.first(select(DsarCopyTable.key_sealed).where(DsarCopyTable.id == copy_id))
    if sealed is None:
        raise NoCopyError(str(copy_id))
    columns = await store.keys.tenant_columns(store)
    return bytes.fromhex(columns.open(sealed, _TABLE, "key", copy_id))


def _copy(row: DsarCopyTable) -> Copy:
    return Copy(
        id=row.id,
        case_id=row.case_id,
        by=Actor(msgspec.convert(row.actor_kind, ActorKind), row.actor_id),
        asked_at=row.asked_at,
        calls=row.calls,
        calls_done=row.calls_done,
        made_at=row.made_at,
    )

"""The erasure ledger: what was erased and must not come back, should an old backup be restored.

Random ids, and nothing else. They lie twice: as rows, and as objects under `ledger/`, which a restored database does
not overwrite and which are written before anything is erased. An entry whose erasure then failed asks for no more than
what somebody who may had asked for.
"""

import asyncio
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlmodel import col, delete, select

from policies.retention import LEDGER_YEARS, years_after
from store.blobs import Blobs
from store.scope import TenantStore
from store.tables.retention import ErasureLedgerTable

Kind = Literal["session", "project"]
_PREFIX: Final = "ledger/"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One object of the ledger."""

    kind: Kind
    subjects: tuple[UUID, ...]
    erased_at: datetime


async def announce(blobs: Blobs, tenant_id: UUID, entry_id: UUID, entry: Entry) -> None:
    """Write down outside the database what is about to be erased. `entry_id` is a UUIDv7.

    Raises:
        BlobsAwayError: It cannot be written now.
    """
    await asyncio.to_thread(blobs.put, f"{_PREFIX}{tenant_id}/{entry_id}", msgspec.json.encode(entry))


async def enter(store: TenantStore, kind: Kind, subjects: Collection[UUID], now: datetime) -> None:
    """The same in the database, in the transaction that erases."""
    rows = [{"kind": kind, "subject": subject, "erased_at": now} for subject in subjects]
    await store.put(ErasureLedgerTable, rows)


async def erased_among(store: TenantStore, session_ids: Collection[UUID]) -> frozenset[UUID]:
    """Which of these calls somebody had erased."""
    statement = select(ErasureLedgerTable.subject).where(
        ErasureLedgerTable.kind == "session", col(ErasureLedgerTable.subject).in_(session_ids)
    )
    return frozenset(await store.all(statement))


async def entries_of(store: TenantStore, blobs: Blobs) -> tuple[Entry, ...]:
    """Every entry of this tenant, from both places. Raises `BlobsAwayError`."""
    rows = await store.all(select(ErasureLedgerTable).order_by(col(ErasureLedgerTable.erased_at)))
    from_rows = (
        Entry(kind=msgspec.convert(row.kind, Kind), subjects=(row.subject,), erased_at=row.erased_at) for row in rows
    )
    return (*from_rows, *await asyncio.to_thread(lambda: tuple(_objects(blobs, store.tenant_id))))


def _objects(blobs: Blobs, tenant_id: UUID) -> Iterator[Entry]:
    for name in blobs.list(f"{_PREFIX}{tenant_id}/"):
        yield msgspec.json.decode(blobs.read_at(name, 0, blobs.size(name)), type=Entry)


async def prune(store: TenantStore, blobs: Blobs, now: datetime) -> int:
    """Remove entries that are older than any backup could be; how many rows."""
    oldest = years_after(now, -LEDGER_YEARS)

    def remove_objects() -> None:
        for name in blobs.list(f"{_PREFIX}{store.tenant_id}/"):
            if _made_at(UUID(name.rpartition("/")[2])) < oldest:
                blobs.delete(name)

    await asyncio.to_thread(remove_objects)
    return await store.change(delete(ErasureLedgerTable).where(col(ErasureLedgerTable.erased_at) < oldest))


def _made_at(entry_id: UUID) -> datetime:
    """A UUIDv7 begins with its time in milliseconds (RFC 9562, section 5.7)."""
    return datetime.fromtimestamp((entry_id.int >> 80) / 1000, UTC)

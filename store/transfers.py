"""What a call sent to places beyond this machine: to whom, where, of which kind, and how much."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlmodel import col, select

from store.scope import TenantStore
from store.tables.registers import SessionTransferTable

_TOTALS: Final = """
SELECT t.host, t.purpose, t.whose, t.countries, t.in_eu, t.transfer,
       count(*) AS calls, sum(t.sent_bytes) AS sent, sum(t.received_bytes) AS received
FROM session_transfers t JOIN sessions s ON s.tenant_id = t.tenant_id AND s.id = t.session_id
WHERE t.tenant_id = :tenant_id AND s.tenant_id = :tenant_id AND t.session_id >= :first AND t.session_id < :last
  AND (CAST(:project_ids AS uuid[]) IS NULL OR s.project_id = ANY (CAST(:project_ids AS uuid[])))
GROUP BY t.host, t.purpose, t.whose, t.countries, t.in_eu, t.transfer
ORDER BY sent DESC, t.host
"""

Purpose = Literal["model", "recording", "books"]
"""The realtime model during the call; the recording, and everything that is written about the call, afterwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One place, and what it got. As the register was when the call was taken in."""

    host: str
    purpose: Purpose
    whose: str
    data: tuple[str, ...]
    """Classes of data (`policies.subprocessors.Data`)."""
    countries: tuple[str, ...]
    """ISO 3166-1 alpha-2; empty where nobody knows, which counts as outside the EU."""
    in_eu: bool
    transfer: str
    """What a transfer out of the European Union rests on."""
    sent_bytes: int
    """Content and headers; without what TLS and TCP add."""
    received_bytes: int


async def write_transfers(store: TenantStore, session_id: UUID, transfers: Sequence[Transfer]) -> None:
    """Keep them with the call. What is there already stays."""
    await store.put(
        SessionTransferTable,
        [{"session_id": session_id, **asdict(transfer)} for transfer in transfers],
    )


async def transfers_of(store: TenantStore, session_id: UUID) -> tuple[Transfer, ...]:
    """Every place beyond this machine that the call's data went to; none when it stayed here, or was erased."""
    rows = await store.all(
        select(SessionTransferTable)
        .where(SessionTransferTable.session_id == session_id)
        .order_by(col(SessionTransferTable.purpose), col(SessionTransferTable.host))
    )
    return tuple(_transfer(row) for row in rows)


async def left_the_eu(store: TenantStore, session_id: UUID) -> tuple[Transfer, ...]:
    """What of the call left the European Union."""
    return tuple(transfer for transfer in await transfers_of(store, session_id) if not transfer.in_eu)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTotal:
    """What all calls of some time sent to one place, for one purpose."""

    host: str
    purpose: Purpose
    whose: str
    countries: tuple[str, ...]
    in_eu: bool
    transfer: str
    calls: int
    sent_bytes: int
    received_bytes: int


async def transfer_totals(
    store: TenantStore, *, since: datetime, until: datetime, project_ids: Collection[UUID] | None = None
) -> tuple[TransferTotal, ...]:
    """Sums over the calls that began from `since` until before `until`, of these projects or all; most sent first.

    A place that was entered in the register otherwise meanwhile is there once for each entry.
    """
    rows = await store.fixed(
        _TOTALS,
        first=first_id(since),
        last=first_id(until),
        project_ids=None if project_ids is None else list(project_ids),
    )
    return tuple(
        TransferTotal(
            host=host,
            purpose=msgspec.convert(purpose, Purpose),
            whose=whose,
            countries=tuple(countries),
            in_eu=in_eu,
            transfer=transfer,
            calls=calls,
            sent_bytes=int(sent),
            received_bytes=int(received),
        )
        for host, purpose, whose, countries, in_eu, transfer, calls, sent, received in rows
    )


def first_id(at: datetime) -> UUID:
    """No id that was made at this moment or later is smaller (UUIDv7, RFC 9562 5.7: the first 48 bits are its ms)."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)


def _transfer(row: SessionTransferTable) -> Transfer:
    return Transfer(
        host=row.host,
        purpose=msgspec.convert(row.purpose, Purpose),
        whose=row.whose,
        data=tuple(row.data),
        countries=tuple(row.countries),
        in_eu=row.in_eu,
        transfer=row.transfer,
        sent_bytes=row.sent_bytes,
        received_bytes=row.received_bytes,
    )

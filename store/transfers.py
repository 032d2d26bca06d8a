"""What a call sent to places beyond this machine: to whom, where, of which kind, and how much."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal
from uuid import UUID

import msgspec
from sqlmodel import col, select

from store.scope import TenantStore
from store.tables.registers import SessionTransferTable

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

"""Usage: what is to be paid for. Outlives the calls it came from."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, func, select

from store.scope import TenantStore
from store.tables.calls import UsageEventTable


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """How much of one kind was used."""

    kind: str
    quantity: int


async def totals(
    store: TenantStore, *, since: datetime, until: datetime, project_id: UUID | None = None
) -> tuple[UsageTotal, ...]:
    """Sums by kind from `since` until before `until`."""
    statement = (
        select(UsageEventTable.kind, func.sum(UsageEventTable.quantity))
        .where(col(UsageEventTable.happened_at) >= since, col(UsageEventTable.happened_at) < until)
        .group_by(col(UsageEventTable.kind))
        .order_by(col(UsageEventTable.kind))
    )
    if project_id is not None:
        statement = statement.where(UsageEventTable.project_id == project_id)
    return tuple(UsageTotal(kind, int(quantity)) for kind, quantity in await store.rows(statement))

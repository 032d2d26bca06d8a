"""Usage: what is to be paid for. Outlives the calls it came from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import col, func, select

from store.scope import TenantStore
from store.tables.calls import UsageEventTable

_BY_MONTH: Final = """
SELECT date_trunc('month', happened_at, 'UTC') AS month, project_id, kind, sum(quantity), count(*)
FROM usage_events
WHERE tenant_id = :tenant_id AND happened_at >= :since AND happened_at < :until
  AND (CAST(:project_ids AS uuid[]) IS NULL OR project_id = ANY (CAST(:project_ids AS uuid[])))
GROUP BY month, project_id, kind ORDER BY month DESC, project_id, kind
"""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthOfUsage:
    """How much of one kind a project used within a month."""

    month: datetime
    """Its first moment, in UTC."""
    project_id: UUID | None
    """None for what is left of projects that were deleted."""
    kind: str
    quantity: int
    calls: int
    """In which it was used."""


async def by_month(
    store: TenantStore, *, since: datetime, until: datetime, project_ids: Collection[UUID] | None = None
) -> tuple[MonthOfUsage, ...]:
    """Sums by month, project and kind from `since` until before `until`, of these projects or all; newest first."""
    rows = await store.fixed(
        _BY_MONTH, since=since, until=until, project_ids=None if project_ids is None else list(project_ids)
    )
    return tuple(
        MonthOfUsage(month=at, project_id=project_id, kind=kind, quantity=int(quantity), calls=calls)
        for at, project_id, kind, quantity, calls in rows
    )


async def of_session(store: TenantStore, session_id: UUID) -> Mapping[str, int]:
    """What one call used, by kind."""
    statement = select(UsageEventTable.kind, UsageEventTable.quantity).where(UsageEventTable.session_id == session_id)
    return {kind: int(quantity) for kind, quantity in await store.rows(statement.order_by(col(UsageEventTable.kind)))}

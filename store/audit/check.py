"""Checking a log where it lies: every entry, every checkpoint, every commitment. The server does it each week.

It finds what was changed in the database by other hands. Whoever does not trust the server verifies an export.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog
from sqlmodel import col, select

from policies.audit_tags import Actor, Tag
from policies.merkle import Edge
from store.audit.checkpoints import all_checkpoints
from store.audit.log import agrees, entries, openings_of, record
from store.jobs import Round
from store.scope import TenantStore
from store.tables.audit import AuditHeadTable, AuditLeafTable
from store.visits import each_tenant

log = structlog.get_logger()

JOB: Final = "audit_check"
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found."""

    at: datetime
    entries: int
    """So many there were."""
    sound: bool
    """Each was what it was when it was written, in its place, and nothing was missing."""


async def check_round(this: Round) -> None:
    """The weekly round."""

    async def visit(store: TenantStore) -> None:
        await check(store, actor=Actor("system", JOB))

    await each_tenant(this.database, JOB, visit)


async def check(store: TenantStore, *, actor: Actor) -> bool:
    """Check the whole log of the tenant, and enter into it what came of that; whether it is sound."""
    head = await store.first(select(AuditHeadTable))
    size = 0 if head is None else head.size
    sound = head is None or await _is_sound(store, head)
    if not sound:
        log.error("audit_log_not_sound", tenant_id=str(store.tenant_id), entries=size)
    await record(store, actor, Tag.AUDIT_CHECKED, facts={"entries": size, "sound": sound})
    return sound


async def newest_check(store: TenantStore) -> Checked | None:
    """What the newest check found; None before the first."""
    found = await entries(store, tag=Tag.AUDIT_CHECKED, limit=1)
    if not found or found[0].pruned:
        return None
    facts = found[0].facts
    return Checked(found[0].at, int(str(facts["entries"])), facts["sound"] is True)


async def _is_sound(store: TenantStore, head: AuditHeadTable) -> bool:
    roots = {one.size: one.root for one in await all_checkpoints(store, at_most=head.size)}
    edge = Edge()
    while edge.size < head.size:
        rows = await store.all(
            select(AuditLeafTable)
            .where(col(AuditLeafTable.idx) >= edge.size, col(AuditLeafTable.idx) < head.size)
            .order_by(col(AuditLeafTable.idx))
            .limit(_AT_ONCE)
        )
        if not rows:
            return False
        openings = await openings_of(store, [row.idx for row in rows])
        for row in rows:
            if row.idx != edge.size or not agrees(row) or openings.get(row.idx, row) is None:
                return False
            edge = edge.appended(row.leaf_hash)
            if edge.size in roots and roots[edge.size] != edge.root:
                return False
    return edge.packed() == head.edge

"""Exporting a tenant's audit log: one file with all that a verifier needs but the public key.

Also pruning, which takes the text of entries that have been kept for as long as they must be, and leaves their hashes.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor, Tag
from policies.merkle import inclusion_proof
from policies.retention import AUDIT_YEARS, years_after
from store.audit.checkpoints import SignedCheckpoint, all_checkpoints, checkpoint, origin_of
from store.audit.log import agrees, forget_unused_keys, openings_of, record, size_of
from store.audit.verify import FORMAT
from store.engine import Database
from store.house import HOUSE
from store.scope import TenantStore
from store.tables.audit import AuditLeafTable, AuditPersonalTable

_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class ServerProof:
    """That the server's own log has an entry of a checkpoint."""

    index: int
    leaf: str
    proof: tuple[bytes, ...]
    checkpoint: SignedCheckpoint


async def export(database: Database, tenant_id: UUID, *, actor: Actor) -> AsyncIterator[str]:
    """The log, line by line, each a JSON object. The export itself is its last entry.

    Raises:
        StoreAwayError: The database is away.
    """
    async with database.tenant(tenant_id) as store:
        await record(store, actor, Tag.AUDIT_EXPORTED)
    made = await checkpoint(database, tenant_id)
    if made is None:
        raise AssertionError("a log with an entry has a checkpoint")
    async with database.tenant(tenant_id) as store:
        known = await all_checkpoints(store, at_most=made.size)
    yield _line(format=FORMAT, origin=origin_of(tenant_id), size=made.size, checkpoints=[found.size for found in known])
    for start in range(0, made.size, _AT_ONCE):
        async with database.tenant(tenant_id) as store:
            lines = await _leaves(store, start, min(start + _AT_ONCE, made.size))
        for line in lines:
            yield line
    for found in known:
        yield _line(checkpoint=found.note)
    proof = await server_proof(database, tenant_id, made)
    if proof is not None:
        yield _line(
            server={
                "index": proof.index,
                "leaf": proof.leaf,
                "proof": [part.hex() for part in proof.proof],
                "checkpoint": proof.checkpoint.note,
            }
        )


async def _leaves(store: TenantStore, start: int, stop: int) -> list[str]:
    rows = await store.all(
        select(AuditLeafTable)
        .where(col(AuditLeafTable.idx) >= start, col(AuditLeafTable.idx) < stop)
        .order_by(col(AuditLeafTable.idx))
    )
    lines = [_line(pruned=row.leaf_hash.hex()) if row.leaf is None else _line(leaf=row.leaf) for row in rows]
    openings = await openings_of(store, list(range(start, stop)))
    lines += [
        _line(personal={"index": index, "salt": opening.salt.hex(), "personal": dict(opening.personal)})
        for index, opening in sorted(openings.items())
        if opening is not None
    ]
    damaged = {row.idx for row in rows if not agrees(row)} | {index for index in openings if openings[index] is None}
    lines += [_line(damaged=index) for index in sorted(damaged)]
    return lines


async def server_proof(database: Database, tenant_id: UUID, made: SignedCheckpoint) -> ServerProof | None:
    """That the server's own log knows this checkpoint; None for the server's own log itself."""
    if tenant_id == HOUSE:
        return None
    whole = await checkpoint(database, HOUSE)
    if whole is None:
        return None
    async with database.tenant(HOUSE) as store:
        hashes = await leaf_hashes(store, whole.size)
        rows = await store.all(
            select(AuditLeafTable)
            .where(AuditLeafTable.tag == str(Tag.CHECKPOINT_MADE), col(AuditLeafTable.idx) < whole.size)
            .order_by(col(AuditLeafTable.idx).desc())
        )
    for row in rows:
        entry = json.loads(row.leaf or "{}")
        if entry.get("objects") == {"tenant": str(tenant_id)} and entry["facts"]["size"] == made.size:
            return ServerProof(row.idx, row.leaf or "", inclusion_proof(hashes, row.idx, whole.size), whole)
    return None


async def leaf_hashes(store: TenantStore, size: int) -> list[bytes]:
    """Hashes of the first so many leaves."""
    statement = select(AuditLeafTable.leaf_hash).where(col(AuditLeafTable.idx) < size).order_by(col(AuditLeafTable.idx))
    return list(await store.all(statement))


async def prune(store: TenantStore, *, actor: Actor, now: datetime | None = None) -> int:
    """Take the text of entries older than `AUDIT_YEARS`; how many. Every proof still holds, for their hashes stay.

    The oldest go first, none before all that are older than it, and the log says up to which. The database itself
    refuses to take younger ones.
    """
    before = years_after(now or datetime.now(UTC), -AUDIT_YEARS)
    kept = await store.first(
        select(AuditLeafTable.idx).where(col(AuditLeafTable.at) >= before).order_by(col(AuditLeafTable.idx)).limit(1)
    )
    up_to = await size_of(store) if kept is None else kept
    await store.change(delete(AuditPersonalTable).where(col(AuditPersonalTable.idx) < up_to))
    pruned = await store.change(
        update(AuditLeafTable)
        .where(col(AuditLeafTable.idx) < up_to, col(AuditLeafTable.leaf).is_not(None))
        .values(leaf=None)
    )
    if pruned:
        await forget_unused_keys(store)
        await record(store, actor, Tag.AUDIT_PRUNED, facts={"up_to": up_to, "before": before.isoformat()})
    return pruned


def _line(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

"""Exporting a tenant's audit log: one file with all that a verifier needs but the public key.

Also pruning, which takes the text of entries that have been kept for as long as they must be, and leaves their hashes.
"""

import base64
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor, Tag
from policies.merkle import inclusion_proof
from policies.retention import AUDIT_YEARS, years_after
from store.audit.anchors import newest_of
from store.audit.checkpoints import SignedCheckpoint, all_checkpoints, checkpoint, of_size, origin_of
from store.audit.log import agrees, forget_unused_keys, openings_of, record, size_of
from store.audit.verify import FORMAT
from store.engine import Database
from store.house import HOUSE
from store.scope import TenantStore
from store.tables.audit import AuditAboutTable, AuditLeafTable, AuditPersonalTable

_AT_ONCE = 2_000


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
    if tenant_id != HOUSE:
        async for line in _server_lines(database, known):
            yield line


async def _server_lines(database: Database, known: Sequence[SignedCheckpoint]) -> AsyncIterator[str]:
    """That the server's own log knows the last checkpoint, and which had been known when that log was last stamped."""
    whole = await checkpoint(database, HOUSE)
    async with database.tenant(HOUSE) as house:
        stamp = await newest_of(house, "time_stamp")
        stamped = None if stamp is None else await of_size(house, stamp.size)
        if whole is not None:
            yield _line(server=await _known_by(house, whole, known[-1]))
        if stamp is None or stamp.proof is None or stamped is None:
            return
        then = [found for found in known if found.server_index is not None and found.server_index < stamped.size]
        if then:
            proof = await _known_by(house, stamped, then[-1])
            yield _line(stamped={**proof, "time_stamp": base64.b64encode(stamp.proof).decode()})


async def _known_by(house: TenantStore, whole: SignedCheckpoint, known: SignedCheckpoint) -> dict[str, object]:
    """That a tree of the server's own log has an entry of a checkpoint."""
    leaf = await house.first(select(AuditLeafTable).where(AuditLeafTable.idx == known.server_index))
    if leaf is None or known.server_index is None:
        raise AssertionError("a tenant's checkpoint is an entry of the server's own log")
    path = inclusion_proof(await leaf_hashes(house, whole.size), known.server_index, whole.size)
    return {
        "index": known.server_index,
        "leaf": leaf.leaf,
        "proof": [part.hex() for part in path],
        "checkpoint": whole.note,
    }


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
    await store.change(delete(AuditAboutTable).where(col(AuditAboutTable.idx) < up_to))
    pruned = await store.change(
        update(AuditLeafTable)
        .where(col(AuditLeafTable.idx) < up_to, col(AuditLeafTable.leaf).is_not(None))
        .values(leaf=None)
    )
    if pruned:
        await forget_unused_keys(store)
        await record(store, actor, Tag.AUDIT_PRUNED, facts={"up_to": up_to, "before": before.isoformat()}, at=now)
    return pruned


def _line(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))

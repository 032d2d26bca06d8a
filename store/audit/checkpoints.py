"""Checkpoints: what a tenant's log was at a moment, signed, and written into the server's own log.

The server's own log is that of the operator's books (`store.house`), and each checkpoint of each tenant is an entry of
it. So no tenant's log can vanish, or be shown in two versions, without that log telling.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import col, select

from policies.audit_tags import Actor, Tag
from policies.merkle import Edge
from store.audit.log import JsonValue, lock, record
from store.audit.notes import Checkpoint, Signer, VerifierKey
from store.engine import Database
from store.house import HOUSE, open_house
from store.scope import TenantStore
from store.tables.audit import AuditCheckpointTable, AuditHeadTable

_AUDITOR = Actor("system", "audit")


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint as it is kept."""

    size: int
    root: bytes
    note: str
    made_at: datetime
    server_index: int | None
    """Of the entry in the server's own log; None for a checkpoint of that log itself."""


def origin_of(tenant_id: UUID) -> str:
    """The name of a tenant's log."""
    return f"aitelier/{tenant_id}"


async def signer_of(database: Database, tenant_id: UUID) -> Signer:
    """The server's keys for signing this tenant's log; made when they are first needed."""
    async with open_house(database) as store:
        await lock(store)  # two processes that need it first agree on one
        seed = await database.keys.signing_seed(store)
    return Signer(seed, origin_of(tenant_id))


async def public_keys(database: Database, tenant_id: UUID) -> tuple[VerifierKey, ...]:
    """What a verifier of this tenant's log needs, to be published and kept apart from exports."""
    return (await signer_of(database, tenant_id)).public


async def checkpoint(database: Database, tenant_id: UUID, *, at: datetime | None = None) -> SignedCheckpoint | None:
    """Sign what the log is now, unless that was done already; None for a log without entries."""
    at = at or datetime.now(UTC)
    signer = await signer_of(database, tenant_id)
    async with database.tenant(tenant_id) as store:
        head = await store.first(select(AuditHeadTable))
        if head is None or not head.size:
            return None
        known = await latest(store)
        if known is not None and known.size == head.size:
            return known
        edge = Edge.unpacked(head.size, head.edge)
    server_index = None
    if tenant_id != HOUSE:  # first, so that no checkpoint is ever handed out that the server's own log does not know
        async with open_house(database) as store:
            facts: dict[str, JsonValue] = {"size": edge.size, "root": edge.root.hex()}
            objects = {"tenant": str(tenant_id)}
            server_index = await record(store, _AUDITOR, Tag.CHECKPOINT_MADE, objects=objects, facts=facts)
    signed = signer.sign(Checkpoint(signer.name, edge.size, edge.root), int(at.timestamp()))
    async with database.tenant(tenant_id) as store:
        row = {"size": edge.size, "root": edge.root, "note": signed, "server_idx": server_index, "made_at": at}
        await store.put(AuditCheckpointTable, [row])
        return await of_size(store, edge.size)


async def checkpoint_all(database: Database) -> int:
    """Checkpoint every log that has grown, and the server's own last; of how many tenants. The hourly job."""
    async with database.platform_jobs() as platform:
        due = [
            row.tenant_id
            for row in await platform.rows(
                "SELECT h.tenant_id FROM audit_heads h WHERE h.size > 0 AND NOT EXISTS "
                "(SELECT FROM audit_checkpoints c WHERE c.tenant_id = h.tenant_id AND c.size = h.size)"
            )
        ]
    made = 0
    for tenant_id in due:
        if tenant_id != HOUSE and await checkpoint(database, tenant_id) is not None:
            made += 1
    if due:
        await checkpoint(database, HOUSE)
    return made


async def latest(store: TenantStore) -> SignedCheckpoint | None:
    """The tenant's newest checkpoint."""
    row = await store.first(select(AuditCheckpointTable).order_by(col(AuditCheckpointTable.size).desc()))
    return None if row is None else _signed(row)


async def all_checkpoints(store: TenantStore, *, at_most: int) -> tuple[SignedCheckpoint, ...]:
    """Those of at most so many leaves, oldest first."""
    rows = await store.all(
        select(AuditCheckpointTable)
        .where(col(AuditCheckpointTable.size) <= at_most)
        .order_by(col(AuditCheckpointTable.size))
    )
    return tuple(_signed(row) for row in rows)


async def of_size(store: TenantStore, size: int) -> SignedCheckpoint | None:
    """The tenant's checkpoint of so many leaves, if one was made then."""
    row = await store.first(select(AuditCheckpointTable).where(AuditCheckpointTable.size == size))
    return None if row is None else _signed(row)


def _signed(row: AuditCheckpointTable) -> SignedCheckpoint:
    return SignedCheckpoint(row.size, row.root, row.note, row.made_at, row.server_idx)

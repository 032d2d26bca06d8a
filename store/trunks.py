"""Trunks: the carriers and telephone systems that may send calls."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlmodel import col, delete, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.engine import Platform
from store.numbers import LastCall
from store.scope import TenantStore
from store.tables.setup import TrunkTable

Srtp = Literal["off", "optional", "mandatory"]
MinTls = Literal["1.2", "1.3"]


class NoTrunkError(LookupError):
    """This tenant has no such trunk."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """Who may send calls, and how."""

    id: UUID
    tenant_id: UUID
    name: str
    networks: tuple[str, ...]
    """CIDR."""
    transports: tuple[str, ...]
    """Of "udp", "tcp", "tls"."""
    srtp: Srtp
    min_tls: MinTls


async def create(
    store: TenantStore,
    *,
    name: str,
    networks: Sequence[str],
    transports: Sequence[str] = ("tls",),
    srtp: Srtp = "mandatory",
    min_tls: MinTls = "1.3",
    actor: Actor,
) -> Trunk:
    """Let a carrier send calls to this tenant.

    Raises:
        ValueError: A network is not in CIDR notation.
    """
    checked = tuple(str(ipaddress.ip_network(network)) for network in networks)
    trunk = Trunk(uuid7(), store.tenant_id, name, checked, tuple(transports), srtp, min_tls)
    await store.add(
        TrunkTable(
            tenant_id=store.tenant_id,
            id=trunk.id,
            name=name,
            networks=list(checked),
            transports=list(transports),
            srtp=srtp,
            min_tls=min_tls,
        )
    )
    await record(
        store,
        actor,
        Tag.TRUNK_ADDED,
        objects={"trunk": str(trunk.id)},
        facts={"transports": list(transports), "srtp": srtp, "min_tls": min_tls},
    )
    return trunk


async def change(
    store: TenantStore,
    trunk_id: UUID,
    *,
    name: str,
    networks: Sequence[str],
    transports: Sequence[str],
    srtp: Srtp,
    min_tls: MinTls,
    actor: Actor,
) -> Trunk:
    """Change the terms of a carrier, for its next call.

    Raises:
        NoTrunkError: This tenant has no such trunk.
        ValueError: A network is not in CIDR notation.
    """
    before = await find(store, trunk_id)
    if before is None:
        raise NoTrunkError("no such trunk")
    checked = tuple(str(ipaddress.ip_network(network)) for network in networks)
    after = Trunk(trunk_id, store.tenant_id, name, checked, tuple(transports), srtp, min_tls)
    terms = {"networks": list(checked), "transports": list(transports), "srtp": srtp, "min_tls": min_tls}
    await store.change(update(TrunkTable).where(col(TrunkTable.id) == trunk_id).values(name=name, **terms))
    await record(
        store,
        actor,
        Tag.TRUNK_CHANGED,
        objects={"trunk": str(trunk_id)},
        facts={
            "changed": [field for field in ("name", *terms) if getattr(before, field) != getattr(after, field)],
            "transports": list(transports),
            "srtp": srtp,
            "min_tls": min_tls,
        },
    )
    return after


async def remove(store: TenantStore, trunk_id: UUID, *, actor: Actor) -> bool:
    """Take no further calls from a carrier; False when this tenant has no such trunk."""
    if not await store.change(delete(TrunkTable).where(col(TrunkTable.id) == trunk_id)):
        return False
    await record(store, actor, Tag.TRUNK_REMOVED, objects={"trunk": str(trunk_id)})
    return True


async def all_of(store: TenantStore) -> tuple[Trunk, ...]:
    """This tenant's trunks, oldest first."""
    return tuple(map(_of_row, await store.all(select(TrunkTable).order_by(col(TrunkTable.id)))))


async def list_trunks(store: TenantStore, *, before: UUID | None = None) -> tuple[Trunk, ...]:
    """This tenant's trunks, newest first; those older than `before` only."""
    statement = select(TrunkTable)
    if before is not None:
        statement = statement.where(col(TrunkTable.id) < before)
    return tuple(map(_of_row, await store.all(statement.order_by(col(TrunkTable.id).desc()))))


async def find(store: TenantStore, trunk_id: UUID) -> Trunk | None:
    """The trunk, if this tenant has it."""
    row = await store.first(select(TrunkTable).where(TrunkTable.id == trunk_id))
    return None if row is None else _of_row(row)


_LAST_CALLS = """
SELECT t.id, s.id, s.planned_at, s.state, s.end_reason
FROM trunks t CROSS JOIN LATERAL (
    SELECT id, planned_at, state, end_reason FROM sessions
    WHERE tenant_id = :tenant_id AND trunk = t.id::text AND state <> 'spare'
    ORDER BY id DESC LIMIT 1
) AS s
WHERE t.tenant_id = :tenant_id
"""


async def last_calls(store: TenantStore) -> Mapping[UUID, LastCall]:
    """The newest call that came by each trunk, as far as there was one."""
    return {
        row[0]: LastCall(session_id=row[1], planned_at=row[2], state=row[3], end_reason=row[4])
        for row in await store.fixed(_LAST_CALLS)
    }


async def all_trunks(platform: Platform) -> tuple[Trunk, ...]:
    """Every tenant's trunks, oldest first: what the edge has to know."""
    rows = await platform.rows(
        "SELECT id, tenant_id, name, networks, transports, srtp, min_tls FROM trunks ORDER BY id"
    )
    return tuple(_trunk(row) for row in rows)


def _of_row(row: TrunkTable) -> Trunk:
    return _trunk((row.id, row.tenant_id, row.name, row.networks, row.transports, row.srtp, row.min_tls))


def _trunk(row: Sequence[Any]) -> Trunk:
    number, tenant_id, name, networks, transports, srtp, min_tls = row
    return Trunk(
        number,
        tenant_id,
        name,
        tuple(networks),
        tuple(transports),
        msgspec.convert(srtp, Srtp),
        msgspec.convert(min_tls, MinTls),
    )

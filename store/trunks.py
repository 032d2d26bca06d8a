"""Trunks: the carriers and telephone systems that may send calls."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlmodel import col, delete, select
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.engine import Platform
from store.scope import TenantStore
from store.tables.setup import TrunkTable

Srtp = Literal["off", "optional", "mandatory"]
MinTls = Literal["1.2", "1.3"]


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


async def remove(store: TenantStore, trunk_id: UUID, *, actor: Actor) -> bool:
    """Take no further calls from a carrier; False when this tenant has no such trunk."""
    if not await store.change(delete(TrunkTable).where(col(TrunkTable.id) == trunk_id)):
        return False
    await record(store, actor, Tag.TRUNK_REMOVED, objects={"trunk": str(trunk_id)})
    return True


async def all_of(store: TenantStore) -> tuple[Trunk, ...]:
    """This tenant's trunks, oldest first."""
    rows = await store.all(select(TrunkTable).order_by(col(TrunkTable.id)))
    return tuple(
        _trunk((row.id, row.tenant_id, row.name, row.networks, row.transports, row.srtp, row.min_tls)) for row in rows
    )


async def all_trunks(platform: Platform) -> tuple[Trunk, ...]:
    """Every tenant's trunks, oldest first: what the edge has to know."""
    rows = await platform.rows(
        "SELECT id, tenant_id, name, networks, transports, srtp, min_tls FROM trunks ORDER BY id"
    )
    return tuple(_trunk(row) for row in rows)


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

"""Tenants: who pays and who is isolated from all others."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import select, update

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.engine import Platform
from store.house import HOUSE
from store.scope import TenantStore
from store.tables.setup import TenantTable


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer."""

    id: UUID
    name: str
    max_calls: int
    """Calls that may be up at once; a further one is answered with 486."""
    second_factor_for_all: bool = False
    """Every member has to show a second factor, not only owners."""


async def create(store: TenantStore, name: str, *, max_calls: int = 10, actor: Actor) -> Tenant:
    """Make the tenant that `store` is bound to, with its keys."""
    await store.add(TenantTable(tenant_id=store.tenant_id, name=name, max_calls=max_calls))
    await store.keys.new_tenant_keys(store)
    await record(store, actor, Tag.TENANT_CREATED, facts={"max_calls": max_calls})
    return Tenant(store.tenant_id, name, max_calls)


async def rename(store: TenantStore, name: str, *, actor: Actor) -> None:
    """Call the tenant otherwise from now on."""
    await store.change(update(TenantTable).values(name=name))
    await record(store, actor, Tag.TENANT_CHANGED, facts={"changed": ["name"]})


async def find(store: TenantStore) -> Tenant | None:
    """The tenant that `store` is bound to."""
    row = await store.first(select(TenantTable))
    return None if row is None else Tenant(row.tenant_id, row.name, row.max_calls, row.second_factor_for_all)


async def all_tenants(platform: Platform) -> tuple[Tenant, ...]:
    """Every customer, oldest first; for the operator's own command line. The operator's own books are none."""
    rows = await platform.rows(
        "SELECT tenant_id, name, max_calls FROM tenants WHERE tenant_id <> :house ORDER BY tenant_id", house=HOUSE
    )
    return tuple(Tenant(*row) for row in rows)

"""Visits of platform jobs: work that goes through the tenants one after the other, and leaves a trace in each.

A job finds the tenants with `Database.platform_jobs`, whose role sees a few columns and nothing else, and then looks
into each as that tenant. Before it looks, the look is in the tenant's audit log, and stays there whatever follows.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.engine import Database, Platform, StoreAwayError
from store.scope import TenantStore

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Visits:
    """What came of one run."""

    done: tuple[UUID, ...]
    failed: tuple[UUID, ...]
    """Tenants whose visit was rolled back; the log says why."""


async def each_tenant(
    database: Database,
    job: str,
    visit: Callable[[TenantStore], Awaitable[None]],
    *,
    tenant_ids: Sequence[UUID] | None = None,
) -> Visits:
    """Visit every tenant, or these, each in a transaction of its own; one that fails does not keep us from the next.

    `job` names the run in the audit logs. Long work is deferred from within `visit` (`store.jobs.defer`), as a job of
    that tenant.

    Raises:
        StoreAwayError: The database is away; the tenants that are left were not visited.
    """
    if tenant_ids is None:
        async with database.platform_jobs() as platform:
            tenant_ids = await all_tenant_ids(platform)
    done, failed = [], []
    for tenant_id in tenant_ids:
        try:
            async with database.tenant(tenant_id) as store:
                await record(store, Actor("system", job), Tag.PLATFORM_LOOKED, facts={"job": job})
            async with database.tenant(tenant_id) as store:
                await visit(store)
        except StoreAwayError:
            raise
        except Exception as error:  # noqa: BLE001 - one tenant's trouble must not hold up the others'
            # Only its type: its text may hold what belongs to the tenant.
            log.warning("visit_failed", job=job, tenant_id=str(tenant_id), error=type(error).__name__)
            failed.append(tenant_id)
        else:
            done.append(tenant_id)
    return Visits(tuple(done), tuple(failed))


async def all_tenant_ids(platform: Platform) -> tuple[UUID, ...]:
    """Every tenant, oldest first."""
    return tuple(row.tenant_id for row in await platform.rows("SELECT tenant_id FROM tenants ORDER BY tenant_id"))

"""Visits of platform jobs: every tenant once, each with a trace, whatever happens in one of them."""

import pytest
from sqlmodel import select
from structlog.testing import capture_logs
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store import projects
from store.audit import log
from store.engine import Database, StoreAwayError
from store.scope import TenantStore
from store.tables.base import now
from store.tables.calls import UsageEventTable
from store.visits import each_tenant
from tests.database import Shop

JOB = "count_projects"


async def looks(database: Database, shop: Shop) -> list[log.Entry]:
    """What the tenant's audit log says of looks into it."""
    async with database.tenant(shop.tenant_id) as store:
        return list(await log.entries(store, tag=Tag.PLATFORM_LOOKED))


async def test_each_tenant_is_visited_once_and_told(database: Database, bakery: Shop, florist: Shop) -> None:
    """A run visits every tenant, as that tenant, and leaves one entry in each one's audit log that names the job."""
    seen = {}

    async def visit(store: TenantStore) -> None:
        seen[store.tenant_id] = [project.id for project in await projects.all_projects(store)]

    visits = await each_tenant(database, JOB, visit)
    assert visits.done == (bakery.tenant_id, florist.tenant_id)
    assert visits.failed == ()
    assert seen == {shop.tenant_id: [shop.project_id] for shop in (bakery, florist)}
    for shop in (bakery, florist):
        (look,) = await looks(database, shop)
        assert (look.actor, look.facts) == (Actor("system", JOB), {"job": JOB})


async def test_a_visit_that_fails_holds_nobody_up(database: Database, bakery: Shop, florist: Shop) -> None:
    """What fails in one tenant is rolled back there and logged without its text; the look stays, and others go on."""

    async def visit(store: TenantStore) -> None:
        await store.put(UsageEventTable, [{"id": uuid7(), "kind": "call_ms", "quantity": 5, "happened_at": now()}])
        if store.tenant_id == bakery.tenant_id:
            raise ValueError("+493012345")

    with capture_logs() as logs:
        visits = await each_tenant(database, JOB, visit)
    assert (visits.done, visits.failed) == ((florist.tenant_id,), (bakery.tenant_id,))
    assert "ValueError" in str(logs)
    assert "+493012345" not in str(logs)
    for shop, count in ((bakery, 0), (florist, 1)):
        async with database.tenant(shop.tenant_id) as store:
            assert len(await store.all(select(UsageEventTable))) == count
        assert len(await looks(database, shop)) == 1


async def test_only_the_named_tenants_are_visited(database: Database, bakery: Shop, florist: Shop) -> None:
    """A job that knows whose work is due looks at nobody else."""

    async def visit(store: TenantStore) -> None:
        assert store.tenant_id == florist.tenant_id

    assert (await each_tenant(database, JOB, visit, tenant_ids=[florist.tenant_id])).done == (florist.tenant_id,)
    assert await looks(database, bakery) == []


async def test_a_database_that_goes_ends_the_run(database: Database, bakery: Shop, florist: Shop) -> None:
    """Without a database there is nothing to go on with; whoever runs the job tries again."""

    async def visit(store: TenantStore) -> None:
        raise StoreAwayError("OperationalError")

    with pytest.raises(StoreAwayError):
        await each_tenant(database, JOB, visit)
    assert (len(await looks(database, bakery)), len(await looks(database, florist))) == (1, 0)

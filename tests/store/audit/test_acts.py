"""Every privileged act of the store leaves its entry, in the same transaction."""

from collections.abc import Awaitable, Callable

import pytest

from policies.audit_tags import Actor, Tag
from store import numbers, projects, scenarios, trunks
from store.audit import log
from store.engine import Database
from store.scenarios import Scenario
from store.scope import TenantStore
from tests.database import Shop

ANNA = Actor("user", "0192-anna")
Act = Callable[[TenantStore, Shop], Awaitable[object]]

ACTS: dict[Tag, Act] = {
    Tag.PROJECT_CREATED: lambda store, _: projects.create(
        store, name="x", business_name="x", jurisdiction="DE", language="de", actor=ANNA
    ),
    Tag.SCENARIO_PUBLISHED: lambda store, shop: scenarios.publish(
        store, shop.scenario_id, Scenario(name="x", instructions="y"), actor=ANNA
    ),
    Tag.NUMBER_ADDED: lambda store, shop: numbers.create(
        store, project_id=shop.project_id, scenario_id=shop.scenario_id, called="+4930111", actor=ANNA
    ),
    Tag.TRUNK_ADDED: lambda store, _: trunks.create(store, name="x", networks=["192.0.2.1/32"], actor=ANNA),
}


@pytest.mark.parametrize("tag", ACTS)
async def test_an_act_is_logged(database: Database, bakery: Shop, tag: Tag) -> None:
    """By whom and what, and nothing of it when the act is undone."""
    async with database.tenant(bakery.tenant_id) as store:
        before = await log.size_of(store)
        await ACTS[tag](store, bakery)
        (entry,) = await log.entries(store, limit=1)
        assert (entry.tag, entry.actor, entry.index) == (tag, ANNA, before)


async def test_a_trunk_that_goes_is_logged_once(database: Database, bakery: Shop) -> None:
    """Removing what is not there is no act."""
    async with database.tenant(bakery.tenant_id) as store:
        trunk = await trunks.create(store, name="x", networks=["192.0.2.1/32"], actor=ANNA)
        assert await trunks.remove(store, trunk.id, actor=ANNA)
        assert not await trunks.remove(store, trunk.id, actor=ANNA)
        first, second = await log.entries(store, limit=2)
    assert (first.tag, second.tag) == (Tag.TRUNK_REMOVED, Tag.TRUNK_ADDED)

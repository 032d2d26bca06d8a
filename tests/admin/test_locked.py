"""A project that is being deleted, as people and programs find its calls."""

import pytest

from policies.audit_tags import OPERATOR
from store.erasure.projects import delete_project, take_back
from tests.admin.whole_call import add_whole_call
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = ("transcript", "timeline", "recording", "recording/wave")


async def test_its_calls_are_closed_until_it_is_taken_back(world: World) -> None:
    """409 with the way out for whoever asks, owner and program alike; what tells nothing of the caller stays."""
    shop = world.bakery_second
    call = await add_whole_call(world, shop)
    page = f"/t/{shop.tenant_id}/calls/{call}"
    people = world.browser("olga") | {"Accept": "text/html"}

    async def statuses() -> set[int]:
        found = set()
        for path in CONTENT:
            async with world.client.get(f"/api/v1/sessions/{call}/{path}", headers=world.program("all")) as answer:
                found.add(answer.status)
        async with world.client.get(page, headers=people) as answer:
            found.add(answer.status)
        return found

    assert await statuses() == {200}
    async with world.services.database.tenant(shop.tenant_id) as store:
        await delete_project(store, shop.project_id, actor=OPERATOR)
    assert await statuses() == {409}
    async with world.client.get(f"/api/v1/sessions/{call}/transcript", headers=world.program("all")) as answer:
        problem = await answer.json(content_type=None)
    assert "being deleted" in problem["detail"]
    assert "aitelier projects undelete" in problem["remedy"]
    async with world.client.get(page, headers=people) as answer:
        assert "Take its deletion back first" in await answer.text()
    for path in ("", "/consent", "/metrics"):
        async with world.client.get(f"/api/v1/sessions/{call}{path}", headers=world.program("all")) as answer:
            assert answer.status == 200, path
    async with world.services.database.tenant(shop.tenant_id) as store:
        await take_back(store, shop.project_id, actor=OPERATOR)
    assert await statuses() == {200}

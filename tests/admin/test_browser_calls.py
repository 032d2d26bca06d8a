"""Asking for calls from a browser through the API: a real process of browsers' calls behind it, no telephone line."""

import asyncio
import functools
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from admin import browser_calls
from admin.browser_calls import BrowserCalls
from admin.live_feed import LiveFeed
from policies.audit_tags import Actor
from scripts.browser_line import place
from scripts.operators import connect
from scripts.run_browser import SOCKET_NAME
from sip.browser.service import BrowserService
from sip.settings import BrowserSettings
from store.audit.log import entries
from store.settings import StoreSettings
from tests.admin.world import World, open_world
from tests.database import Shop, open_folder
from tests.peers.web_offer import OFFER

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Scene:
    """The admin, and the process that it asks."""

    world: World
    service: BrowserService
    calls: BrowserCalls

    async def begin(self, who: str, called: str, offer: str = OFFER) -> tuple[int, dict[str, Any]]:
        answer = await self.world.client.post(
            "/api/v1/browser-calls",
            headers=self.world.program(who),
            params=self.of(who),
            json={"called": called, "offer": offer},
        )
        return answer.status, await answer.json()

    async def end(self, who: str, call_id: str) -> int:
        path = f"/api/v1/browser-calls/{call_id}"
        answer = await self.world.client.delete(path, headers=self.world.program(who), params=self.of(who))
        return answer.status

    async def states(self, who: str, call_id: str) -> AsyncIterator[dict[str, Any]]:
        """How far the call is, as its page is told."""
        async with self.world.client.get(
            f"/api/v1/browser-calls/{call_id}/events", headers=self.world.program(who), params=self.of(who)
        ) as answer:
            yield {"status": answer.status}
            name = ""
            async for line in answer.content:
                if line.startswith(b"event: "):
                    name = line.decode().removeprefix("event: ").strip()
                elif line.startswith(b"data: ") and name == "state":
                    yield json.loads(line.removeprefix(b"data: "))

    def of(self, who: str) -> dict[str, str]:
        shop = self.world.stranger if who == "stan" else self.world.bakery
        return {} if who in self.world.keys else {"tenant_id": str(shop.tenant_id)}

    async def nobody_calls(self) -> None:
        """Wait until the process has no call any more."""
        async with asyncio.timeout(10):
            while self.service._of_owner:  # noqa: ASYNC110 - another task's state has no event
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(world_settings: StoreSettings) -> AsyncIterator[Scene]:
    """One for all tests of this file."""
    async with AsyncExitStack() as opened:
        folder = opened.enter_context(open_folder())
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(str(folder / SOCKET_NAME))
        settings = BrowserSettings(
            edge_address=("127.0.0.1", 9), media_host="127.0.0.1", addresses=("127.0.0.1",), most_per_owner=2
        )
        service = BrowserService(settings, listening)
        calls = BrowserCalls(functools.partial(place, folder))
        feed = LiveFeed(functools.partial(connect, folder))
        group = await opened.enter_async_context(asyncio.TaskGroup())
        for task in (group.create_task(service.run()), group.create_task(calls.run())):
            opened.callback(task.cancel)
        await service.ready.wait()
        world = await opened.enter_async_context(open_world(world_settings, folder, live=feed, browser_calls=calls))
        yield Scene(world, service, calls)


async def test_one_s_own_numbers_can_be_rung(scene: Scene) -> None:
    """Of one's project, by those who may; the log knows who did, and what the browser is answered is SDP."""
    world = scene.world
    status, begun = await scene.begin("edgar", world.bakery.called)
    assert (status, begun["answer"][:5]) == (201, "v=0\r\n")
    assert await scene.end("edgar", begun["id"]) == 204
    assert await _placed(scene, world.bakery) == [Actor("user", str(world.people["edgar"].user_id))]
    for who, called, refused in (
        ("edgar", world.bakery_second.called, 404),
        ("edgar", world.stranger.called, 422),
        ("edgar", "+4930999999999", 422),
        ("vera", world.bakery.called, 403),
        ("sessions", world.bakery.called, 403),
        ("stan", world.bakery.called, 422),
    ):
        assert (await scene.begin(who, called))[0] == refused, (who, called)
    assert len(await _placed(scene, world.bakery)) == 1
    await scene.nobody_calls()


async def test_what_is_no_offer_is_told_so(scene: Scene) -> None:
    """The field and the remedy are named."""
    status, problem = await scene.begin("edgar", scene.world.bakery.called, OFFER.replace("a=rtcp-mux\r\n", ""))
    assert (status, problem["field"]) == (422, "offer")
    assert problem["remedy"]


async def test_a_call_is_its_maker_s(scene: Scene) -> None:
    """Nobody else follows or ends it; its end is told to who follows."""
    status, begun = await scene.begin("olga", scene.world.bakery.called)
    assert status == 201
    for who in ("ada", "all", "stan"):
        assert await scene.end(who, begun["id"]) == 404
        assert [one["status"] async for one in scene.states(who, begun["id"])] == [404]
    seen = []
    async with asyncio.timeout(10):
        async for state in scene.states("olga", begun["id"]):
            seen.append(state.get("state", state["status"]))
            if state.get("state") == "connecting":
                assert await scene.end("olga", begun["id"]) == 204
    assert seen == [200, "connecting", "ended"]
    await scene.nobody_calls()


async def test_there_are_at_most_a_few_at_once(scene: Scene) -> None:
    """The third call of a tenant waits for one of the others to end."""
    called = scene.world.bakery.called
    begun = [await scene.begin(who, called) for who in ("olga", "edgar")]
    assert [status for status, _ in begun] == [201, 201]
    status, problem = await scene.begin("ada", called)
    assert (status, "End one" in problem["remedy"]) == (409, True)
    for who, (_, call) in zip(("olga", "edgar"), begun, strict=True):
        assert await scene.end(who, call["id"]) == 204
    await scene.nobody_calls()
    status, call = await scene.begin("ada", called)
    assert status == 201
    await scene.end("ada", call["id"])
    await scene.nobody_calls()


async def test_a_call_that_nobody_follows_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tab that died before it could say so leaves no call behind."""
    monkeypatch.setattr(browser_calls, "UNWATCHED_S", 0.1)
    status, begun = await scene.begin("olga", scene.world.bakery.called)
    assert status == 201
    await scene.nobody_calls()
    assert UUID(begun["id"]).version == 7


async def test_the_page_says_what_can_be_rung(scene: Scene) -> None:
    """Numbers of one's projects, the wished one chosen, the microphone allowed on this page alone."""
    world = scene.world
    page = await world.client.get(
        f"{world.tenant}/try", params={"scenario": str(world.bakery.scenario_id)}, headers=world.browser("edgar")
    )
    text = await page.text()
    assert page.status == 200, text
    assert f'<option value="{world.bakery.called}" selected>' in text
    assert world.bakery_second.called not in text
    assert "microphone=(self)" in page.headers["Permissions-Policy"]
    other = await world.client.get(f"{world.tenant}/live", headers=world.browser("edgar"))
    assert "microphone=()" in other.headers["Permissions-Policy"]


async def test_without_its_process_there_is_no_call(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it does not answer, that is said, and not waited for."""
    with open_folder() as empty:
        monkeypatch.setattr(scene.calls, "_place", functools.partial(place, empty))
        status, problem = await scene.begin("olga", scene.world.bakery.called)
    assert (status, bool(problem["remedy"])) == (503, True)


async def _placed(scene: Scene, shop: Shop) -> list[Actor]:
    async with scene.world.services.database.tenant(shop.tenant_id) as store:
        return [one.actor for one in await entries(store, tag="project:call:placed_from_browser")]

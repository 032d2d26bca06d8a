"""Calls that are up, seen and steered through the admin: a real desk, a worker's end of its socket, a real database."""

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from admin import event_stream, live_feed
from admin.live_feed import DeskChanged, LiveFeed, TooSlowError, Viewer
from policies.audit_tags import OPERATOR, Actor
from scripts.operators import ask, connect
from store import bounds, projects
from store.audit.log import entries
from store.blobs import FolderBlobs
from store.engine import Database
from store.people import memberships
from store.settings import StoreSettings
from tests.admin.world import World, open_world
from tests.database import Shop, open_folder
from tests.voice.desk.conftest import Worker, connected, open_desk, running, settings_in, stock, until
from voice.desk.settings import DeskSettings
from voice.waist.messages import CallClosed, CallStateChanged, HangUpOrdered, TurnHeard, TurnSounding

pytestmark = pytest.mark.asyncio(loop_scope="module")


NUMBER = "My number is 0301234567."


@dataclass
class Scene:
    """The admin, the desk of its machine, and a worker."""

    world: World
    feed: LiveFeed
    settings: DeskSettings
    worker: Worker
    desk: AsyncExitStack
    database: Database

    async def start_desk(self) -> None:
        """The desk as its process runs it, with a worker."""
        desk = await self.desk.enter_async_context(
            open_desk(self.settings, self.database, FolderBlobs(self.settings.home / "blobs"))
        )
        await self.desk.enter_async_context(running(desk))
        self.worker = await self.desk.enter_async_context(connected(self.settings))
        await until(lambda: self.feed.is_up)

    @asynccontextmanager
    async def call(self, shop: Shop) -> AsyncIterator[str]:
        """A call that is up; its session's id."""
        plan = await self.worker.granted(shop.called)
        self.worker.client.notify(CallStateChanged(session_id=plan.session_id, state="conversing"))
        session_id = UUID(plan.session_id)
        await until(lambda: self.feed.find(session_id) is not None)
        yield plan.session_id
        self.worker.client.notify(CallClosed(session_id=plan.session_id))
        await until(lambda: self.feed.find(session_id) is None)

    def say(self, session_id: str, text: str) -> None:
        self.worker.client.notify(TurnHeard(session_id=session_id, role="caller", text=text))

    async def get(self, who: str, path: str) -> tuple[int, Any]:
        answer = await self.world.client.get(f"/api/v1{path}", headers=self.world.program(who), params=self._of(who))
        return answer.status, await answer.json()

    async def post(self, who: str, path: str, body: object = None) -> tuple[int, str]:
        answer = await self.world.client.post(
            f"/api/v1{path}", headers=self.world.program(who), params=self._of(who), json=body
        )
        return answer.status, await answer.text()

    def _of(self, who: str) -> dict[str, str]:
        if who in self.world.keys:
            return {}
        shop = self.world.stranger if who == "stan" else self.world.bakery
        return {"tenant_id": str(shop.tenant_id)}

    @asynccontextmanager
    async def following(self, who: str, path: str = "/live/events") -> AsyncIterator["Followed"]:
        async with self.world.client.get(
            f"/api/v1{path}", headers=self.world.program(who), params=self._of(who)
        ) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.content_type == "text/event-stream"
            yield Followed(answer)


class Followed:
    """A stream of events as a browser reads it."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def next(self, *wanted: str, within_s: float = 5.0) -> tuple[str, dict[str, Any]]:
        """The next event of these names."""
        async with asyncio.timeout(within_s):
            name = ""
            while True:
                line = (await self._answer.content.readline()).decode()
                assert line, "the stream has ended"
                if line.startswith("event: "):
                    name = line.removeprefix("event: ").strip()
                elif line.startswith("data: ") and name in wanted:
                    return name, json.loads(line.removeprefix("data: "))

    async def turn(self) -> str:
        _, data = await self.next("turn")
        return str(data["text"])

    async def ends(self) -> None:
        async with asyncio.timeout(5):
            await self._answer.content.read()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(world_settings: StoreSettings) -> AsyncIterator[Scene]:
    """One for all tests of this file."""
    async with AsyncExitStack() as opened:
        folder = opened.enter_context(open_folder())
        settings = settings_in(folder)
        feed = LiveFeed(functools.partial(connect, settings.run))
        world = await opened.enter_async_context(
            open_world(world_settings, folder, live=feed, ask_desk=functools.partial(ask, settings.run))
        )
        database = await Database.open(world_settings)
        opened.push_async_callback(database.close)
        await stock(settings, database, world.bakery, world.bakery_second, world.stranger)
        group = await opened.enter_async_context(asyncio.TaskGroup())
        following = group.create_task(feed.run())
        opened.callback(following.cancel)
        desk = await opened.enter_async_context(AsyncExitStack())
        made = Scene(world, feed, settings, Worker(None), desk, database)  # type: ignore[arg-type]  # comes with the desk
        await made.start_desk()
        yield made


async def test_everyone_sees_the_calls_of_their_own(scene: Scene) -> None:
    """Owners see all of a tenant's calls, others those of their projects, strangers none."""
    world = scene.world
    async with scene.call(world.bakery) as first, scene.call(world.bakery_second) as second:
        for who, seen in (
            ("olga", {first, second}), ("ada", {first, second}), ("edgar", {first}), ("vera", {first}),
            ("sessions", {first}), ("all", {first, second}), ("stan", set()), ("stranger", set()),
        ):  # fmt: skip  # who sees what
            status, found = await scene.get(who, "/live")
            assert (status, {call["session_id"] for call in found["items"]}) == (200, seen), who


async def test_states_and_words_come_as_they_happen(scene: Scene) -> None:
    """What was said is told first, then what is being said, growing; then the end. The admin is behind by no second."""
    world = scene.world
    async with scene.following("olga") as olga:
        _, desk = await olga.next("desk")
        assert desk == {"is_up": True, "session_ids": []}
        async with scene.call(world.bakery) as session_id:
            _, call = await olga.next("call")
            assert (call["session_id"], call["state"]) == (session_id, "conversing")
            began = asyncio.get_running_loop().time()
            scene.worker.client.notify(TurnSounding(session_id=session_id, text="Good"))
            _, growing = await olga.next("turn")
            assert (growing["number"], growing["text"], growing["is_whole"]) == (0, "Good", False)
            scene.worker.client.notify(TurnHeard(session_id=session_id, role="agent", text="Good day."))
            _, whole = await olga.next("turn")
            assert (whole["number"], whole["role"], whole["text"], whole["is_whole"]) == (0, "agent", "Good day.", True)
            assert asyncio.get_running_loop().time() - began < 1.0
            async with scene.following("olga", f"/sessions/{session_id}/live") as late:
                assert await late.turn() == "Good day."
                scene.say(session_id, "Two rolls, please.")
                assert await late.turn() == "Two rolls, please."
                scene.worker.client.notify(CallClosed(session_id=session_id))
                _, over = await late.next("call")
                assert over["state"] == "ended"
                await late.ends()


async def test_words_are_for_those_who_may_read_them(scene: Scene) -> None:
    """A key without transcripts:read gets states only; viewers get what the project lets them see."""
    world = scene.world
    for viewers_see, seen in (
        ("all", NUMBER),
        ("redacted", "My number is [number]."),
        ("none", ""),
    ):
        async with scene.database.tenant(world.bakery.tenant_id) as store:
            changes = projects.Changes(viewers_see=viewers_see)  # type: ignore[arg-type]  # one of the three
            await projects.change(store, world.bakery.project_id, changes, actor=OPERATOR)
        async with (
            scene.call(world.bakery) as session_id,
            scene.following("vera") as vera,
            scene.following("edgar") as edgar,
            scene.following("sessions") as key,
        ):
            for stream in (vera, edgar, key):
                await stream.next("call")
            scene.say(session_id, NUMBER)
            assert await edgar.turn() == NUMBER
            scene.worker.client.notify(CallStateChanged(session_id=session_id, state="closing"))
            assert (await key.next("turn", "call"))[0] == "call"
            name, data = await vera.next("turn", "call")
            assert (data["text"] if name == "turn" else "") == seen, viewers_see
    async with scene.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, projects.Changes(viewers_see="all"), actor=OPERATOR)


async def test_a_role_that_is_taken_ends_what_it_let_follow(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is under way ends when what it needs is granted no more; the others' go on."""
    monkeypatch.setattr(event_stream, "ASKED_AGAIN_S", 0.3)
    world = scene.world
    vera, bakery = world.people["vera"].user_id, world.bakery
    async with scene.call(bakery) as session_id, scene.following("vera") as fired, scene.following("edgar") as edgar:
        await fired.next("call")
        async with scene.database.tenant(bakery.tenant_id) as store:
            await memberships.remove_member(store, vera, actor=OPERATOR)
        try:
            await fired.ends()
        finally:
            async with scene.database.tenant(bakery.tenant_id) as store:
                await memberships.grant_role(store, vera, "viewer", project_id=bakery.project_id, actor=OPERATOR)
        scene.say(session_id, "Still there?")
        assert await edgar.turn() == "Still there?"


async def test_following_for_long_uses_no_sign_in_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream cannot hand its browser new tokens: it ends when the access token does, and spends no refresh token."""
    monkeypatch.setattr(event_stream, "ASKED_AGAIN_S", 0.3)
    client, clock, path = scene.world.client, scene.world.clock, f"{scene.world.tenant}/live"
    cookies = "; ".join(f"{name}={value}" for name, value in scene.world.people["vera"].cookies.items())
    try:
        async with client.get(
            f"/api/v1/live/events?tenant_id={scene.world.bakery.tenant_id}", headers={"Cookie": cookies}
        ) as answer:
            assert answer.status == 200
            clock.ahead_s += 16 * 60
            await Followed(answer).ends()
        clock.ahead_s += 60
        async with client.get(path, headers={"Cookie": cookies}) as answer:
            assert answer.status == 200
    finally:
        clock.ahead_s = 0.0


async def test_reading_along_in_health_care_is_in_the_log(scene: Scene) -> None:
    """Of a project for health care each reader is written down, once for a call however often their page comes back."""
    world = scene.world
    shop = world.bakery_second
    async with scene.database.tenant(shop.tenant_id) as store:
        await bounds.set_hipaa(store, shop.project_id, on=True, kept_at=(), actor=OPERATOR)
    async with scene.call(shop) as session_id:
        for _ in range(2):
            async with scene.following("olga") as olga:
                await olga.next("call")
                scene.say(session_id, "It hurts.")
                assert await olga.turn() == "It hurts."
        assert await _read(scene, shop, session_id) == [Actor("user", str(world.people["olga"].user_id))]


async def test_an_order_reaches_the_worker_and_the_log(scene: Scene) -> None:
    """Hang up, pause, resume and transfer are carried out, and the log knows by whom."""
    world = scene.world
    async with scene.call(world.bakery) as session_id:
        for act, body in (("pause", None), ("resume", None), ("transfer", {"target_id": "desk"}), ("hang-up", None)):
            assert await scene.post("edgar", f"/sessions/{session_id}/{act}", body) == (204, "")
        kinds = [type(order).__name__ for order in scene.worker.orders[-4:]]
        assert kinds == ["PauseOrdered", "ResumeOrdered", "TransferOrdered", "HangUpOrdered"]
        async with scene.database.tenant(world.bakery.tenant_id) as store:
            written = [one for one in await entries(store) if one.objects.get("session") == session_id]
        edgar = Actor("user", str(world.people["edgar"].user_id))
        assert [(one.tag, one.actor) for one in reversed(written)] == [
            ("session:recording:paused", edgar),
            ("session:recording:resumed", edgar),
            ("session:call:transferred", edgar),
            ("session:call:hung_up", edgar),
        ]


async def test_only_those_who_may_give_orders(scene: Scene) -> None:
    """A viewer is refused, a stranger finds nothing, an editor of one project finds nothing of another's."""
    world = scene.world
    async with scene.call(world.bakery_second) as other, scene.call(world.bakery) as own:
        before = len(scene.worker.orders)
        for who, session_id, status in (
            ("vera", own, 403), ("stan", own, 404), ("edgar", other, 404), ("sessions", own, 403),
            ("stranger", own, 404),
        ):  # fmt: skip  # who is answered what
            assert (await scene.post(who, f"/sessions/{session_id}/hang-up"))[0] == status, who
        assert scene.worker.orders[before:] == []


async def test_a_call_that_is_over_takes_no_order(scene: Scene) -> None:
    """It is known, so the answer says what it is: over."""
    async with scene.call(scene.world.bakery) as session_id:
        pass
    status, text = await scene.post("edgar", f"/sessions/{session_id}/hang-up")
    assert (status, "not up" in text) == (409, True)


async def test_the_page_reads_without_script(scene: Scene) -> None:
    """Cards with what was said, forms that redirect with a word about what came of them."""
    world = scene.world
    async with scene.call(world.bakery) as session_id:
        scene.say(session_id, "<b>Rolls</b>")
        await until(lambda: bool(scene.feed.find(UUID(session_id)).turns))  # type: ignore[union-attr]  # it is up
        headers = world.browser("edgar")
        page = await world.client.get(f"{world.tenant}/live", headers=headers)
        text = await page.text()
        assert page.status == 200, text
        assert "&lt;b&gt;Rolls&lt;/b&gt;" in text
        assert "<b>Rolls</b>" not in text
        assert "+49 30 23125001" in text
        card = await world.client.get(f"{world.tenant}/live/{session_id}/card", headers=headers)
        assert card.status == 200
        assert "<html" not in await card.text()
        done = await world.client.post(
            f"{world.tenant}/live/{session_id}/hang-up",
            headers={**headers, "Content-Type": "application/x-www-form-urlencoded"},
            allow_redirects=False,
        )
        assert (done.status, done.headers["Location"]) == (303, f"{world.tenant}/live")
        assert isinstance(scene.worker.orders[-1], HangUpOrdered)
        seen = await (await world.client.get(f"{world.tenant}/live", headers=world.browser("vera"))).text()
        assert "hang-up" not in seen


async def test_the_page_heals_when_the_desk_was_away(scene: Scene) -> None:
    """Whoever looks on is told that the desk is away, and is told anew of everything once it is back."""
    world = scene.world
    async with scene.following("olga") as olga:
        await olga.next("desk")
        await scene.desk.aclose()
        assert (await olga.next("desk"))[1] == {"is_up": False, "session_ids": []}
        assert (await scene.post("olga", "/sessions/00000000-0000-7000-8000-000000000001/hang-up"))[0] == 404
        page = await world.client.get(f"{world.tenant}/live", headers=world.browser("olga"))
        assert page.status == 200
        scene.desk = AsyncExitStack()
        await scene.start_desk()
        assert (await olga.next("desk"))[1] == {"is_up": True, "session_ids": []}
        async with scene.call(world.bakery) as session_id:
            assert (await olga.next("call"))[1]["session_id"] == session_id
    await scene.desk.aclose()


async def test_who_is_too_slow_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer who does not take what they are told costs a bounded amount of memory, and learns of it."""
    monkeypatch.setattr(live_feed, "MOST_WAITING", 3)
    viewer = Viewer(UUID(int=0))
    for _ in range(3):
        viewer.tell(None, DeskChanged(is_up=True))
    assert len(await viewer.take(0.01)) == 3
    for _ in range(4):
        viewer.tell(None, DeskChanged(is_up=True))
    with pytest.raises(TooSlowError):
        await viewer.take(0.01)


async def _read(scene: Scene, shop: Shop, session_id: str) -> list[Actor]:
    async with scene.database.tenant(shop.tenant_id) as store:
        found = await entries(store, tag="session:phi:read")
    return [
        one.actor for one in found if one.objects.get("session") == session_id and one.facts["what"] == "transcript"
    ]

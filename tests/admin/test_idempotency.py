"""A POST that is sent again is not done again."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient

from admin.ask import Ask
from admin.problems import BadRequestError
from admin.route import Operation
from policies.access import Scope
from store import postgres
from store.settings import StoreSettings
from tests.admin.test_hardening import serving
from tests.admin.world import World
from tests.database import connected

pytestmark = pytest.mark.asyncio(loop_scope="module")
Client = TestClient[Any, Any]


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class Made(msgspec.Struct, frozen=True):
    name: str
    number: int


class Maker:
    """Makes things, and counts them."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.begun: asyncio.Queue[str] = asyncio.Queue()
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def make(self, _ask: Ask, body: Wish) -> Made:
        """Make a thing."""
        self.made.append(body.name)
        self.begun.put_nowait(body.name)
        await self.goes_on.wait()
        if body.name == "wrong":
            raise BadRequestError("There is no such thing.", field="name")
        if body.name == "broken":
            raise RuntimeError
        return Made(body.name, len(self.made))

    async def touch(self, _ask: Ask) -> None:
        """Do something that has no answer."""
        self.made.append("touched")


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest_asyncio.fixture(loop_scope="module")
async def client(world: World, maker: Maker) -> AsyncIterator[Client]:
    routes = (
        Operation("POST", "/api/v1/made", maker.make, Scope.SESSIONS_READ, status=201),
        Operation("POST", "/api/v1/secrets", maker.make, Scope.SESSIONS_READ, status=201, shown_once=True),
        Operation("POST", "/api/v1/touched", maker.touch, Scope.SESSIONS_READ),
    )
    async with serving(world, *routes) as started:
        yield started


@pytest.fixture
def say(world: World, client: Client) -> Any:
    async def send(
        name: str | None, key: str | None, who: str = "all", path: str = "/api/v1/made"
    ) -> tuple[int, Any, bool]:
        headers = {**world.program(who), **({"Idempotency-Key": key} if key is not None else {})}
        body = None if name is None else {"name": name}
        async with client.post(path, json=body, headers=headers) as answer:
            text = await answer.text()
            told = msgspec.json.decode(text) if text else None
            return answer.status, told, "Idempotency-Replayed" in answer.headers

    return send


async def test_the_same_request_is_done_once(say: Any, maker: Maker) -> None:
    """It gets the same answer, with or without the quotes of a structured field; without a key it is done each time."""
    first = await say("cake", "once")
    assert first == (201, {"name": "cake", "number": 1}, False)
    assert await say("cake", "once") == (201, {"name": "cake", "number": 1}, True)
    assert await say("cake", '"once"') == (201, {"name": "cake", "number": 1}, True)
    assert maker.made == ["cake"]
    for _ in range(2):
        assert (await say("cake", None))[0] == 201
    assert len(maker.made) == 3


async def test_what_has_no_answer_is_done_once(say: Any, maker: Maker) -> None:
    """204 is given again, too."""
    for again in (False, True):
        assert await say(None, "touch", path="/api/v1/touched") == (204, None, again)
    assert maker.made == ["touched"]


async def test_a_key_stands_for_one_request(say: Any, maker: Maker) -> None:
    """Another body or path under it is refused by name."""
    await say("bread", "mine")
    status, told, _ = await say("rolls", "mine")
    assert (status, told["field"]) == (422, "Idempotency-Key")
    assert (await say("bread", "mine", path="/api/v1/secrets"))[0] == 422
    assert maker.made == ["bread"]


async def test_keys_belong_to_who_sends_them(say: Any, maker: Maker) -> None:
    """Neither another key of the tenant nor another tenant gets an answer that was somebody else's."""
    for who in ("all", "sessions", "stranger"):
        status, _, again = await say("tea", "shared", who)
        assert (status, again) == (201, False)
    assert maker.made == ["tea"] * 3


async def test_what_was_refused_may_be_sent_again(say: Any, maker: Maker) -> None:
    """A refusal or a failure has done nothing that would have to be remembered."""
    for name, status in (("wrong", 422), ("broken", 500)):
        for _ in range(2):
            assert (await say(name, f"again-{name}"))[0] == status
    assert maker.made == ["wrong", "wrong", "broken", "broken"]


async def test_while_it_is_being_done_it_is_not_done_twice(say: Any, maker: Maker) -> None:
    """A dozen at once: one does it, the others are told to wait, and get its answer afterwards."""
    maker.goes_on.clear()
    sent = [asyncio.ensure_future(say("pie", "race")) for _ in range(12)]
    done, _ = await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
    while len(done) < 11:
        more, _ = await asyncio.wait(
            [one for one in sent if one not in done], return_when=asyncio.FIRST_COMPLETED, timeout=20
        )
        done |= more
    maker.goes_on.set()
    statuses = sorted(status for status, _, _ in await asyncio.gather(*sent))
    assert statuses == [201] + [409] * 11
    assert maker.made == ["pie"]
    assert (await say("pie", "race"))[2] is True


async def test_what_is_shown_once_is_not_kept(
    say: Any, maker: Maker, world: World, world_settings: StoreSettings
) -> None:
    """A secret is neither shown again nor lies anywhere; other answers lie sealed, and keys as hashes."""
    assert (await say("a-secret", "new-key", path="/api/v1/secrets"))[0] == 201
    status, told, _ = await say("a-secret", "new-key", path="/api/v1/secrets")
    assert status == 409
    assert "only once" in told["detail"]
    await say("an-answer", "plain-key")
    assert maker.made == ["a-secret", "an-answer"]
    with connected(world_settings, world_settings.home, postgres.SUPERUSER) as connection:
        rows = connection.execute("SELECT one::text FROM kept_answers one").fetchall()
    text = str(rows)
    assert len(rows) > 1
    for word in ("a-secret", "an-answer", "new-key", "plain-key"):
        assert word not in text
        assert word.encode().hex() not in text


async def test_after_a_day_it_is_forgotten(say: Any, maker: Maker, world: World) -> None:
    """What is older than 24 hours goes with the next request or the nightly round, and the key is free again."""
    await say("milk", "daily")
    world.clock.ahead_s += timedelta(hours=23).total_seconds()
    try:
        assert (await say("milk", "daily"))[2] is True
        world.clock.ahead_s += timedelta(hours=1, seconds=1).total_seconds()
        assert (await say("milk", "daily"))[2] is False
        assert maker.made == ["milk", "milk"]
    finally:
        world.clock.ahead_s = 0.0


async def test_who_died_while_doing_it_does_not_block_it(say: Any, maker: Maker, world: World) -> None:
    """A request that nobody can be doing any more is done by who sends it next."""
    maker.goes_on.clear()
    sent = [asyncio.ensure_future(say("egg", "lost"))]
    await maker.begun.get()
    assert (await say("egg", "lost"))[0] == 409
    world.clock.ahead_s += 61
    try:
        sent.append(asyncio.ensure_future(say("egg", "lost")))
        await maker.begun.get()
    finally:
        world.clock.ahead_s -= 61
        maker.goes_on.set()
    assert [status for status, _, _ in await asyncio.gather(*sent)] == [201, 201]
    assert maker.made == ["egg", "egg"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "ü", '"'])
async def test_a_key_that_is_none_is_refused(say: Any, maker: Maker, key: str) -> None:
    """1 to 255 visible ASCII characters."""
    if key == '"':
        assert (await say("x", key))[0] == 201  # one quote is a character like others
        return
    status, told, _ = await say("x", key)
    assert (status, told["field"]) == (422, "Idempotency-Key")
    assert maker.made == []

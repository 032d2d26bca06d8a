"""The routes that ask for no role: those of one's own account, tried by everyone, and those for anyone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from admin.auth.identify import now_of
from admin.route import Open, Route
from admin.routes import ROUTES
from policies.audit_tags import OPERATOR
from store.house import open_house
from store.people import devices, passkeys
from store.people.passkeys import NewPasskey
from tests.admin.matrix_ids import Ids
from tests.admin.people import SignedInPerson
from tests.admin.test_matrix import NOT_PUBLISHED_HERE, Cast, make_cast, name_of, status_of
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

OF_AN_ACCOUNT: Final = [route for route in ROUTES if route.needs is Open.SIGNED_IN]
FOR_ANYONE: Final = [route for route in ROUTES if route.needs is Open.ANYONE]
ONES_OWN: Final = ("device_id", "passkey_id")
"""What stands in a path and belongs to one person."""
LEADS_ON: Final = {"GET /", "GET /sign-in"}
"""Who is a member of something, or is signed in, is led further than who is not."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cast(world: World) -> Cast:
    return await make_cast(world)


def headers_of(world: World, route: Route, person: SignedInPerson) -> Mapping[str, str]:
    """What their browser sends to a page, and a program of theirs to the API."""
    return person.headers if route.is_operation else replace(world, people={"them": person}).browser("them")


async def answers(cast: Cast, route: Route, headers: Mapping[str, str], ids: Ids | None = None) -> tuple[int, str]:
    """Status and answer; what changes something is asked for in earnest."""
    return await status_of(cast, route, headers, ids=ids, tried=False)


@pytest.mark.parametrize("route", OF_AN_ACCOUNT, ids=name_of)
async def test_ones_own_account(cast: Cast, route: Route) -> None:
    """Whoever is signed in gets the same there, whatever they are elsewhere; nobody and no key gets anything."""
    world, statuses = cast.world, {}
    for name in world.people:
        person = await world.sign_in(world.people[name].email)
        status, text = await answers(cast, route, headers_of(world, route, person))
        may_be = {200, 303, 404} if route.method == "GET" else {200, 201, 204, 303, 404, 409, 422}
        assert status in may_be, f"{name}: {status} {text[:300]}"
        statuses[name] = status
    assert len(set(statuses.values())) == 1 or name_of(route) in LEADS_ON, statuses
    for headers in ({}, *(world.program(name) for name in world.keys)):
        assert (await answers(cast, route, headers))[0] == 401


@pytest.mark.parametrize(
    "route", [one for one in OF_AN_ACCOUNT if any("{" + name + "}" in one.path for name in ONES_OWN)], ids=name_of
)
async def test_things_of_another_account(cast: Cast, route: Route) -> None:
    """To everybody else somebody's devices and passkeys do not exist; who has them can end them."""
    world, now = cast.world, now_of(cast.world.services)
    owner = await world.sign_in(f"{uuid7()}@accounts.example", second_factor=True)
    lost = await world.sign_in(owner.email)
    made = NewPasskey(
        relying_party="localhost", credential_id=uuid7().bytes, public_key=b"\xa0", sign_count=0, transports=[],
        backed_up=False, label="Telephone",
    )  # fmt: skip  # close together
    async with open_house(world.services.database) as house:
        passkey_id = await passkeys.add_passkey(house, owner.user_id, made, now, actor=OPERATOR)
    ids = Ids({**cast.own.by_name, "device_id": lost.device_id, "passkey_id": passkey_id})

    async def is_there() -> bool:
        async with open_house(world.services.database) as house:
            if "{device_id}" in route.path:
                return await devices.find_live(house, lost.device_id, now, is_use=False) is not None
            return any(one.id == passkey_id for one in await passkeys.passkeys_of(house, owner.user_id))

    for name in ("olga", "stan", "nora"):
        person = await world.sign_in(world.people[name].email, second_factor=True)
        status, text = await answers(cast, route, headers_of(world, route, person), ids)
        assert status == 404, f"{name}: {status} {text[:300]}"
    assert await is_there()
    status, text = await answers(cast, route, headers_of(world, route, owner), ids)
    assert status in {200, 204, 303}, text[:300]
    assert not await is_there()


@pytest.mark.parametrize("route", FOR_ANYONE, ids=name_of)
async def test_for_anyone(cast: Cast, route: Route) -> None:
    """All get the same, known or not, and nothing in it is of a customer or of whoever asks."""
    world = cast.world
    askers: dict[str, Mapping[str, str]] = {"nobody": {}, "a bad key": {"Authorization": "Bearer ait_live_x"}}
    askers |= {f"key {name}": world.program(name) for name in world.keys}
    askers |= {name: world.browser(name) for name in world.people}
    shops = (world.bakery, world.bakery_second, world.florist, world.stranger)
    of_somebody = [str(one) for shop in shops for one in (shop.tenant_id, shop.project_id, shop.scenario_id)]
    of_somebody += [one.email for one in world.people.values()]
    statuses = {}
    for name, headers in askers.items():
        statuses[name], text = await answers(cast, route, headers)
        assert [one for one in of_somebody if one in text] == [], name
    here = {503} if name_of(route) in NOT_PUBLISHED_HERE else {200, 204, 303, 404, 422}
    assert set(statuses.values()) <= here, statuses
    assert len(set(statuses.values())) == 1 or name_of(route) in LEADS_ON, statuses

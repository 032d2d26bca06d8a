"""Every route, tried by everyone: who is let in, who is told that it is not theirs, and who that there is nothing.

What each may is written here once more, from what roles are promised to be, and not read from `policies.access`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from admin.examples import example_of
from admin.openapi import resolved, schemas_of_handler
from admin.route import Open, Operation, Route
from admin.routes import ROUTES
from policies.access import Scope
from policies.audit_tags import OPERATOR
from store.people.memberships import grant_role, remove_member
from tests.admin.matrix_ids import NAMES, Ids, make_ids
from tests.admin.planted import plant, shown_in
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


VIEWER: Final = words(
    "numbers:read projects:read recordings:read scenarios:read sessions:read transcripts:read usage:read"
)
EDITOR: Final = VIEWER | words(
    """dsar:read knowledge:write numbers:write outbound:trigger plugins:write projects:write retention:read
    scenarios:write sessions:write webhooks:write"""
)
OF_THE_TENANT: Final = words(
    """audit:export audit:read billing:write keys:read keys:write members:read members:write settings:write trunks:read
    trunks:write"""
)
"""Of no project: whoever has a role on one project only has none of these."""
EDITOR_OF_ALL: Final = EDITOR | {"members:read", "trunks:read"}
ALL: Final = frozenset(one.value for one in Scope)

ASKS_FOR_ALL_OF_THE_TENANT: Final = frozenset({"GET /api/v1/requests/contact"})
"""Routes whose scope can be had on one project, but which are about all of them."""
SEEN_BY_WHO_SEES_ALL: Final = frozenset(
    {
        "GET /t/{tenant_id}/erasures/{erasure_id}",
        "GET /t/{tenant_id}/erasures/{erasure_id}/progress",
        "GET /t/{tenant_id}/erasures/{erasure_id}/receipt",
        "GET /api/v1/erasures/{erasure_id}",
        "GET /api/v1/erasures/{erasure_id}/receipt",
    }
)
"""Of which project calls were that are erased is not known any more: it is there for who sees all of them only."""
NO_CALLS_HERE: Final = frozenset(
    {
        "GET /api/v1/live",
        "GET /api/v1/live/events",
        "GET /api/v1/sessions/{session_id}/live",
        "GET /t/{tenant_id}/live/{session_id}/card",
        "GET /api/v1/scenarios/{scenario_id}/speech",
        "GET /api/v1/browser-calls/{call_id}/events",
        "DELETE /api/v1/browser-calls/{call_id}",
        "POST /t/{tenant_id}/live/{session_id}/hang-up",
        "POST /t/{tenant_id}/live/{session_id}/transfer",
        "POST /t/{tenant_id}/live/{session_id}/pause",
        "POST /t/{tenant_id}/live/{session_id}/resume",
    }
)
"""Answered 409 or 503 here, where no calls are taken, to those who are let in."""

NOT_PUBLISHED_HERE: Final = frozenset({"GET /subprocessors.json"})
"""Answered 503 here, where there is no published register."""
NOTHING_YET: Final = frozenset(
    {
        "GET /api/v1/projects/{project_id}/deletion",
        "GET /api/v1/projects/{project_id}/deletion/receipt",
        "GET /api/v1/requests/{request_id}/copy",
        "GET /api/v1/requests/{request_id}/copy/file",
        "GET /api/v1/requests/{request_id}/receipt",
        "GET /api/v1/scenarios/{scenario_id}/diff",
        "GET /t/{tenant_id}/projects/{project_id}/receipt",
        "POST /t/{tenant_id}/projects/{project_id}/take-back",
        "GET /t/{tenant_id}/requests/{request_id}/copy",
        "GET /t/{tenant_id}/requests/{request_id}/receipt",
    }
)
"""Of a project that is not being deleted, a request that is open and without a copy, a scenario without a draft."""

OF_A_PROJECT: Final = (
    "session_id", "scenario_id", "number_id", "project_id", "case_id", "request_id", "hold_id",
)  # fmt: skip  # close together
"""What stands in a path and belongs to one project."""


@dataclass(frozen=True)
class Who:
    """Somebody who asks."""

    name: str
    scopes: frozenset[str]
    is_of_all: bool = True
    """Whether these are granted on all of the tenant."""


PEOPLE: Final = (
    Who("olga", ALL),
    Who("ada", EDITOR_OF_ALL),
    Who("edgar", EDITOR, is_of_all=False),
    Who("vera", VIEWER, is_of_all=False),
)


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@dataclass
class Cast:
    world: World
    own: Ids
    """Of the Bakery's first receptionist, which Edgar and Vera may see."""
    second: Ids
    """Of its second one, which they may not."""
    needles: Mapping[str, bytes]
    """Secrets, of which no answer may hold one."""


async def make_cast(world: World) -> Cast:
    own, second = await make_ids(world, world.bakery), await make_ids(world, world.bakery_second)
    return Cast(world, own, second, await plant(world))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cast(world: World) -> Cast:
    return await make_cast(world)


def address(route: Route, ids: Ids, world: World) -> str:
    """The route's path with real ids in it; one that has a name which nobody knows fails here."""
    known: Mapping[str, object] = {**ids.by_name, "tenant_id": world.bakery.tenant_id}
    return re.sub(r"\{(\w+)\}", lambda found: str(known[found[1]]), route.path)


async def status_of(
    cast: Cast, route: Route, headers: Mapping[str, str], *, ids: Ids | None = None, tried: bool = True
) -> tuple[int, str]:
    """What is answered, once no secret was found in it; `tried`: what would change a thing is refused at last."""
    world = cast.world
    path = address(route, ids or cast.own, world)
    query = {}
    if route.is_operation and "Cookie" in headers:
        query["tenant_id"] = str(world.bakery.tenant_id)
    more: dict[str, Any] = {}
    if isinstance(route, Operation):
        asked, body, _, components = schemas_of_handler(route)
        query |= needed(asked, components)
    if route.method != "GET":
        if route.is_operation and tried:
            query["nothing_that_is_known"] = "1"
        if isinstance(route, Operation):
            if body is not None:
                more["json"] = example_of(body, components)
        else:
            more["data"] = {"nothing": "1"}
    async with world.client.request(
        route.method, path, params=query, headers=headers, allow_redirects=False, **more
    ) as answer:
        told = b"" if answer.content_type == "text/event-stream" else await answer.read()
    assert shown_in([(name_of(route), str(answer.headers).encode() + b"\n\n" + told)], cast.needles) == []
    return answer.status, told.decode("utf-8", "replace")


def needed(asked: dict[str, Any] | None, components: dict[str, Any]) -> dict[str, str]:
    """What of the query cannot be left out."""
    if asked is None:
        return {}
    schema = resolved(asked, components)
    return {name: str(example_of(schema["properties"][name], components, name)) for name in schema.get("required", ())}


def is_let_in(route: Route, status: int) -> bool:
    """Whether the door and the handler have said yes."""
    if name_of(route) in NO_CALLS_HERE and status in {409, 503}:
        return True
    if name_of(route) in NOT_PUBLISHED_HERE and status == 503:
        return True
    if name_of(route) in NOTHING_YET and status in {404, 409}:
        return True
    if route.method == "GET":
        return status in {200, 206, 303}
    if route.is_operation and route.needs is not Open.ANYONE:
        return status == 422
    return status in {200, 201, 204, 303, 400, 409, 415, 422}


WITH_SCOPE: Final = sorted(
    (route for route in ROUTES if isinstance(route.needs, Scope)), key=lambda route: route.method != "GET"
)
"""What changes things comes last."""


async def test_every_name_in_a_path_is_known() -> None:
    """Whoever adds a route with a new kind of id says in `tests/admin/matrix_ids.py` how to get a real one."""
    names = {name for route in ROUTES for name in re.findall(r"\{(\w+)\}", route.path)}
    assert names - {"tenant_id"} <= NAMES


@pytest.mark.parametrize("route", WITH_SCOPE, ids=name_of)
async def test_roles(cast: Cast, route: Route) -> None:
    """Owner, editors and viewer are let in exactly where their role says so; a reader who may not is told 403."""
    assert isinstance(route.needs, Scope)
    for who in PEOPLE:
        status, text = await status_of(cast, route, cast.world.browser(who.name))
        may = route.needs.value in who.scopes and (who.is_of_all or name_of(route) not in ASKS_FOR_ALL_OF_THE_TENANT)
        if may and name_of(route) in SEEN_BY_WHO_SEES_ALL and not who.is_of_all:
            assert status == 404
        elif may:
            assert is_let_in(route, status), f"{who.name}: {status} {text[:300]}"
        else:
            assert status == 403, f"{who.name}: {status} {text[:300]}"
            assert route.needs.value in text or "whole tenant" in text


@pytest.mark.parametrize("route", WITH_SCOPE, ids=name_of)
async def test_strangers(cast: Cast, route: Route) -> None:
    """To the owner of another tenant, and to who is a member of nothing, nothing exists; nobody is asked to sign in."""
    browsers = [cast.world.browser(name) for name in ("stan", "nora")]
    assert [(await status_of(cast, route, headers))[0] for headers in browsers] == [404, 404]
    assert (await status_of(cast, route, {}))[0] == 401
    page = await status_of(cast, route, {"Accept": "text/html"})
    assert page[0] == (401 if route.is_operation else 303)


@pytest.mark.parametrize("route", WITH_SCOPE, ids=name_of)
async def test_keys(cast: Cast, route: Route) -> None:
    """A key opens what its scope says and nothing else; a page it opens never; of another tenant it finds nothing."""
    assert isinstance(route.needs, Scope)
    world = cast.world
    others = [one for one in Scope if one is not route.needs]
    with_scope = {"Authorization": f"Bearer {await world.key_with(route.needs)}"}
    without = {"Authorization": f"Bearer {await world.key_with(*others)}"}
    if not route.is_operation:
        assert (await status_of(cast, route, with_scope))[0] == 401
        return
    status, text = await status_of(cast, route, with_scope)
    assert is_let_in(route, status), f"{status} {text[:300]}"
    assert (await status_of(cast, route, without))[0] == 403
    if re.search(r"\{(\w+)\}", route.path):
        await find_nothing(cast, route, world.program("stranger"), cast.own)


async def find_nothing(cast: Cast, route: Route, headers: Mapping[str, str], ids: Ids) -> None:
    """404; or, where what was sent is looked at first, the same as for ids that nobody has."""
    status, text = await status_of(cast, route, headers, ids=ids, tried=False)
    nobodys = {name: uuid7() if isinstance(one, UUID) else one for name, one in ids.by_name.items()}
    same, _ = await status_of(cast, route, headers, ids=Ids(nobodys), tried=False)
    assert status == same, text[:300]
    assert status == 404 or (route.method != "GET" and status == 422) or name_of(route) in NO_CALLS_HERE, text[:300]


@pytest.mark.parametrize(
    "route",
    [route for route in WITH_SCOPE if any("{" + name + "}" in route.path for name in OF_A_PROJECT)],
    ids=name_of,
)
async def test_another_project(cast: Cast, route: Route) -> None:
    """Of a project in which somebody has no role nothing exists for them, whatever they may do elsewhere."""
    assert isinstance(route.needs, Scope)
    world = cast.world
    askers = [world.browser(who.name) for who in PEOPLE if not who.is_of_all and route.needs.value in who.scopes]
    if route.is_operation and route.needs.value not in OF_THE_TENANT:
        key = await world.key_with(route.needs, project_id=world.bakery.project_id)
        askers.append({"Authorization": f"Bearer {key}"})
    for headers in askers:
        await find_nothing(cast, route, headers, cast.second)


async def test_what_a_role_loses_ends_at_once(cast: Cast) -> None:
    """Who signs in with no role sees nothing, gets one and sees, loses it and sees nothing, all with the same token."""
    world = cast.world
    somebody = await world.sign_in("late@bakery.example", second_factor=True)
    path = f"/api/v1/numbers?tenant_id={world.bakery.tenant_id}"

    async def status() -> int:
        async with world.client.get(path, headers=somebody.headers) as answer:
            return answer.status

    assert await status() == 404
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await grant_role(store, somebody.user_id, "viewer", actor=OPERATOR)
    assert await status() == 200
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await remove_member(store, somebody.user_id, actor=OPERATOR)
    assert await status() == 404

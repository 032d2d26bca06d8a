"""Ids that are sent in a body or a query: whoever may not see what they name is told what is told of none at all.

What stands in a path is tried in `test_matrix`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from admin.api_routes import API
from admin.examples import example_of
from admin.openapi import resolved, schemas_of_handler
from admin.route import Operation
from policies.access import Scope
from tests.admin.matrix_ids import Ids, make_ids
from tests.admin.test_matrix import OF_THE_TENANT, PEOPLE, address, name_of, needed
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMED = {
    "project_id": "project_id",
    "scenario_id": "scenario_id",
    "session_id": "session_id",
    "session_ids": "session_id",
}
"""Fields that name one thing or several, and which of `Ids` that is. Positions in a list (`cursor`) name nothing."""


@dataclass(frozen=True)
class Place:
    """A field that names something, of a body or a query."""

    operation: Operation
    within: str
    field: str

    def __str__(self) -> str:
        return f"{name_of(self.operation)} {self.within} {self.field}"


def places() -> Iterator[Place]:
    for operation in API:
        query, body, _, components = schemas_of_handler(operation)
        for within, schema in (("query", query), ("body", body)):
            for field, one in {} if schema is None else resolved(schema, components).get("properties", {}).items():
                if '"uuid"' in repr(one).replace("'", '"') and field not in {"cursor", "tenant_id"}:
                    yield Place(operation, within, field)


PLACES = [place for place in places() if isinstance(place.operation.needs, Scope)]


@dataclass
class Scene:
    world: World
    own: Ids
    second: Ids
    strangers: Ids


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(world: World) -> Scene:
    bakery, second, stranger = world.bakery, world.bakery_second, world.stranger
    return Scene(world, await make_ids(world, bakery), await make_ids(world, second), await make_ids(world, stranger))


async def sent(scene: Scene, place: Place, headers: Mapping[str, str], *, named: object, rest: Ids) -> tuple[int, str]:
    """Status and answer, without the id, of a request that names this in this place and is right in the rest."""
    operation, world = place.operation, scene.world
    query_schema, body_schema, _, components = schemas_of_handler(operation)
    query = needed(query_schema, components)
    if "Cookie" in headers:
        query["tenant_id"] = str(world.bakery.tenant_id)
    body: Any = None if body_schema is None else filled(body_schema, components, rest)
    if place.within == "query":
        query[place.field] = str(named)
    else:
        body[place.field] = [str(named)] if isinstance(body[place.field], list) else str(named)
    async with world.client.request(
        operation.method, address(operation, rest, world), params=query, json=body, headers=headers
    ) as answer:
        told = (await answer.read()).decode("utf-8", "replace")
    told = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", told)
    return answer.status, told.replace(str(named), "NAMED")


def filled(schema: dict[str, Any], components: dict[str, Any], ids: Ids) -> dict[str, Any]:
    """The example, with real ids in it, and with what a schema cannot say."""
    body: dict[str, Any] = example_of(schema, components)
    for field, name in NAMED.items():
        if field in body:
            body[field] = [str(ids.by_name[name])] if isinstance(body[field], list) else str(ids.by_name[name])
    now = datetime.now(UTC)
    with_words = {
        "expires_at": (now + timedelta(days=9)).isoformat(),
        "received_at": (now - timedelta(days=1)).isoformat(),
        "contact": "anna@example.org",
        "content": {"name": "Bakery", "instructions": "Take orders."},
        "label": "Shop",
        "scopes": ["sessions:read"],
    }
    return {field: with_words.get(field, one) for field, one in body.items()}


async def is_told_nothing(scene: Scene, place: Place, headers: Mapping[str, str], *, others: Ids) -> None:
    """The answer is the same, to the letter, as for an id that nobody has, and no writing comes of it."""
    foreign = await sent(scene, place, headers, named=others.by_name[NAMED[place.field]], rest=scene.own)
    nobodys = await sent(scene, place, headers, named=uuid7(), rest=scene.own)
    assert foreign == nobodys
    status, told = foreign
    assert status in ({200, 404} if place.operation.method == "GET" else {404, 422}), f"{status} {told[:300]}"


async def test_every_place_is_known() -> None:
    """Whoever adds a field with a new kind of id says above what it names."""
    assert {place.field for place in places()} <= NAMED.keys()
    assert len(PLACES) > 15


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_of_another_project(scene: Scene, place: Place) -> None:
    """People with a role on one project, and its keys, reach nothing of another one by naming it."""
    needs = place.operation.needs
    assert isinstance(needs, Scope)
    world = scene.world
    askers = [world.browser(who.name) for who in PEOPLE if not who.is_of_all and needs.value in who.scopes]
    if needs.value not in OF_THE_TENANT:
        key = await world.key_with(needs, project_id=world.bakery.project_id)
        askers.append({"Authorization": f"Bearer {key}"})
    for headers in askers:
        await is_told_nothing(scene, place, headers, others=scene.second)


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_of_another_tenant(scene: Scene, place: Place) -> None:
    """The owner of a tenant, and a key that may everything, reach nothing of another tenant by naming it."""
    for headers in (scene.world.browser("olga"), scene.world.program("all")):
        await is_told_nothing(scene, place, headers, others=scene.strangers)


@pytest.mark.parametrize("place", PLACES, ids=str)
async def test_of_ones_own(scene: Scene, place: Place) -> None:
    """The same requests are let in where they name what the owner has: it was the id that they were refused for."""
    named = scene.second.by_name[NAMED[place.field]]
    assert isinstance(named, UUID)
    status, told = await sent(scene, place, scene.world.browser("olga"), named=named, rest=scene.second)
    assert status in {200, 201, 202, 204, 409}, f"{status} {told[:300]}"

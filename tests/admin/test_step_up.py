"""What asks for a second factor of the last quarter of an hour, and what becomes of a form that comes too late."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from uuid import uuid4

import pytest
from aiohttp import ClientResponse

from admin.ask import STEP_UP
from policies.audit_tags import OPERATOR
from policies.secret import Secret
from store import bounds, projects
from store.people.memberships import grant_role
from store.people.second_factors import Person
from store.scope import TenantStore
from store.secrets_vault import list_secrets, set_secret
from tests.admin.asking import api
from tests.admin.people import SignedInPerson
from tests.admin.test_second_factors import Browser, code_now, with_app
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
async def later(world: World) -> AsyncIterator[World]:
    """The world, whose clock goes right again afterwards."""
    yield world
    world.clock.ahead_s = 0.0


async def owner(world: World) -> SignedInPerson:
    """Another owner of the Bakery, who has shown a second factor a moment ago."""
    person = await world.sign_in(f"{uuid4()}@bakery.example", second_factor=True)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await grant_role(store, person.user_id, "owner", actor=OPERATOR)
    return person


SETTINGS = [
    ("PATCH", "settings", {"second_factor_for_all": False}),
    ("PUT", "secrets", {"name": "plugin/calendar", "value": "another"}),
    ("DELETE", "secrets?name=plugin/calendar", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SETTINGS)
async def test_settings_and_secrets_want_a_fresh_one(later: World, method: str, path: str, body: object) -> None:
    """Sixteen minutes after it was shown, neither what members must have nor a secret is changed."""
    world, olga = later, await owner(later)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await set_secret(store, "plugin/calendar", Secret("the first of all"), actor=OPERATOR)
        before = await list_secrets(store)
    world.clock.ahead_s = 16 * 60
    world.people = {**world.people, "olga lately": olga}
    query = {"tenant_id": str(world.bakery.tenant_id)}
    headers = {**world.browser("olga lately"), "Origin": str(world.client.make_url("/")).rstrip("/")}
    async with world.client.request(method, f"/api/v1/{path}", params=query, headers=headers, json=body) as answer:
        assert (answer.status, (await answer.json(content_type=None))["type"]) == (403, STEP_UP)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        assert await list_secrets(store) == before


async def is_for_health_care(world: World, store: TenantStore) -> bool:
    """Whether the Bakery's first project is."""
    project = await projects.find(store, world.bakery.project_id)
    assert project is not None
    return project.bounds.hipaa


async def test_an_editor_does_not_lift_what_health_care_forces(later: World) -> None:
    """They may begin it; to end it takes an owner of the tenant who shows a second factor, over API and page."""
    world, olga = later, await owner(later)
    path, database = f"projects/{world.bakery.project_id}/hipaa", world.services.database
    page = f"{world.tenant}/data-flows/{world.bakery.project_id}"
    try:
        assert (await api(world, "edgar", "PUT", path, {"on": True}))[0] == 200
        for who in ("edgar", "ada"):
            assert (await api(world, who, "PUT", path, {"on": False}))[0] == 403
            async with world.client.post(
                f"{page}/hipaa", headers=world.browser(who), data={"on": "no"}, allow_redirects=False
            ) as answer:
                assert "Ask an owner" in await answer.text()
            async with world.client.get(page, headers=world.browser(who)) as answer:
                assert "It is not for health care" not in await answer.text()
        async with world.client.post(f"{page}/hipaa", headers=world.browser("olga"), data={"x": "y"}) as answer:
            assert answer.status == 422, "a form that says neither ends nothing"
        world.people = {**world.people, "olga lately": olga}
        world.clock.ahead_s = 14 * 60
        async with world.client.get(page, headers=world.browser("olga lately")) as answer:
            assert "It is not for health care" in await answer.text()
        world.clock.ahead_s = 16 * 60
        async with world.client.post(
            f"{page}/hipaa",
            headers={**world.browser("olga lately"), "Accept": "text/html"},
            data={"on": "no"},
            allow_redirects=False,
        ) as answer:
            assert answer.status == 303
            assert answer.headers["Location"].startswith("/account/security"), "they have none that they could show"
        async with database.tenant(world.bakery.tenant_id) as store:
            assert await is_for_health_care(world, store)
        world.clock.ahead_s = 0
        assert (await api(world, "olga", "PUT", path, {"on": False}))[0] == 200
        async with database.tenant(world.bakery.tenant_id) as store:
            assert not await is_for_health_care(world, store)
    finally:
        async with database.tenant(world.bakery.tenant_id) as store:
            await bounds.set_hipaa(store, world.bakery.project_id, on=False, kept_at=(), actor=OPERATOR)


async def fields_on(answer: ClientResponse, action: str) -> list[tuple[str, str]]:
    """The hidden fields of the form that goes there."""
    there = rf'<form method="post" action="{re.escape(action)}">(.*?)</form>'
    (form,) = re.findall(there, await answer.text(), re.DOTALL)
    return [
        (unescape(name), unescape(value))
        for name, value in re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', form)
    ]


async def test_what_was_typed_waits_for_the_second_factor(later: World) -> None:
    """Nothing is done before it is shown, a wrong code loses nothing, and then one button sends it all."""
    world, person = later, await owner(later)
    secret = await with_app(world, Person(person.user_id, person.device_id), datetime.fromtimestamp(world.clock(), UTC))
    olga, path = Browser(world, person), f"{world.tenant}/keys"
    typed = {"name": 'Till "<b>', "networks": "192.0.2.0/24\r\n198.51.100.7", "life_days": "30", "project_id": ""}
    scopes = [("scopes", "sessions:read"), ("scopes", "numbers:read")]
    world.clock.ahead_s = 16 * 60
    headers = {**world.browser(str(person.device_id)), "Accept": "text/html"}
    form = [*typed.items(), *scopes]
    async with world.client.post(path, headers=headers, data=form, allow_redirects=False) as answer:
        assert answer.status == 403
        kept = dict(await fields_on(answer, "/account/confirm"))
    kept.pop("csrf_token")
    wrong = await olga.post("/account/confirm", **kept, code="000000")
    assert wrong.status == 422
    kept = dict(await fields_on(wrong, "/account/confirm"))
    kept.pop("csrf_token")
    right = await olga.post("/account/confirm", **kept, code=code_now(world, secret))
    assert right.status == 200
    waiting = await fields_on(right, path)
    assert waiting[1:] == form
    _, known = await api(world, "all", "GET", "keys")
    assert typed["name"] not in {key["name"] for key in known["items"]}
    async with world.client.post(path, headers=headers, data=waiting, allow_redirects=False) as answer:
        assert answer.status == 201
    _, known = await api(world, "all", "GET", "keys")
    (key,) = [key for key in known["items"] if key["name"] == typed["name"]]
    assert (set(key["scopes"]), len(key["networks"])) == ({"sessions:read", "numbers:read"}, 2)


async def test_nobody_is_led_to_send_a_form_of_somebody_else(later: World) -> None:
    """An address with a form in it keeps none, and what waits goes to this server only."""
    world, person = later, await owner(later)
    secret = await with_app(world, Person(person.user_id, person.device_id), datetime.fromtimestamp(world.clock(), UTC))
    olga = Browser(world, person)
    page = await olga.get("/account/confirm?next=/&form=/t/x/leave&typed=confirmation%3Dleave")
    assert "leave" not in await page.text()
    done = await olga.post(
        "/account/confirm", next="/", form="//evil.example", typed="a=b", code=code_now(world, secret, 1)
    )
    assert (done.status, done.headers["Location"]) == (303, "/")

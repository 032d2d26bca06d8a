"""API keys, over HTTP and on a real database."""

import asyncio
import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select
from uuid_utils.compat import uuid7

from admin.pages.keys import GROUPS, WORDS
from policies.access import Scope
from policies.api_keys import PATTERN, complete
from policies.audit_tags import Tag
from store.api_keys import find_key, list_keys
from store.audit.log import entries
from store.engine import Database
from store.outbox import find_mail
from store.tables.api import ApiKeyTable
from store.tables.registers import MailTable
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

SOON = (datetime.now(UTC) + timedelta(days=30)).isoformat()
READS = {"name": "Booking", "scopes": ["sessions:read"]}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def make(world: World, who: str = "olga", **wanted: object) -> tuple[int, Any]:
    """Make a key of the Bakery; the status and what was answered."""
    params = {"tenant_id": str(world.bakery.tenant_id)}
    body = {**READS, **wanted}
    answer = await world.client.post("/api/v1/keys", params=params, headers=world.program(who), json=body)
    return answer.status, await answer.json()


async def tried(world: World, key: str, path: str = "sessions", **headers: str) -> int:
    """What a request with this key is answered."""
    return (await world.client.get(f"/api/v1/{path}", headers={**bearer(key), **headers})).status


async def key_id_of(world: World, key: str) -> UUID:
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        hashed = hashlib.sha256(key.encode()).digest()
        found = await store.first(select(ApiKeyTable.id).where(ApiKeyTable.key_hash == hashed))
    assert found is not None
    return found


async def test_a_key_is_shown_once(world: World) -> None:
    """It stands in the answer that nobody keeps, and in no list; what is stored is its hash."""
    answer = await world.client.post(
        "/api/v1/keys", params={"tenant_id": str(world.bakery.tenant_id)}, headers=world.program("olga"), json=READS
    )
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    made = await answer.json()
    key = made["key"]
    assert re.fullmatch(PATTERN, key)
    assert (made["prefix"], made["last_four"]) == ("ait_live_", key[-4:])
    assert await tried(world, key) == 200
    params = {"tenant_id": str(world.bakery.tenant_id)}
    listed = await (await world.client.get("/api/v1/keys", params=params, headers=world.program("olga"))).text()
    one = await (
        await world.client.get(f"/api/v1/keys/{made['id']}", params=params, headers=world.program("olga"))
    ).text()
    page = await (await world.client.get(f"{world.tenant}/keys", headers=world.browser("olga"))).text()
    for text in (listed, one, page):
        assert made["id"] in text
        assert key not in text
        assert key[9:-4] not in text
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        row = await store.first(select(ApiKeyTable).where(ApiKeyTable.id == UUID(made["id"])))
    assert row is not None
    assert row.key_hash == hashlib.sha256(key.encode()).digest()
    assert key[9:-4] not in repr(row)


async def test_a_bad_key_never_reaches_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a wrong checksum is refused before anything is looked up; a right one that nobody made, after."""
    looked = []
    original = Database.platform

    def counted(database: Database) -> Any:
        looked.append(1)
        return original(database)

    monkeypatch.setattr(Database, "platform", counted)
    good = complete("A" * 30)
    assert await tried(world, good[:-1] + ("x" if good[-1] != "x" else "y")) == 401
    assert not looked
    assert await tried(world, good) == 401
    assert looked


async def test_a_bad_key_is_not_made_up_for_by_a_cookie(world: World) -> None:
    """Who sends a key acts as that key or not at all, whoever is signed in in the same browser."""
    headers = {**world.browser("olga"), **bearer(complete("A" * 30))}
    answer = await world.client.get(
        "/api/v1/sessions", params={"tenant_id": str(world.bakery.tenant_id)}, headers=headers
    )
    assert answer.status == 401
    assert (await answer.json())["field"] == "Authorization"


async def test_a_key_in_the_address_opens_nothing(world: World) -> None:
    """Addresses end up in logs: a key is taken from the header only."""
    answer = await world.client.get("/api/v1/sessions", params={"key": world.keys["all"]})
    assert answer.status == 401


REFUSED = [
    ({"scopes": []}, 422, "scopes"),
    ({"scopes": ["sessions:all"]}, 422, "scopes"),
    ({"name": ""}, 422, "name"),
    ({"name": "   "}, 422, "name"),
    ({"networks": ["office"]}, 422, "networks"),
    ({"expires_at": "2020-01-01T00:00:00Z"}, 422, "expires_at"),
    ({"expires_at": "2099-01-01T00:00:00"}, 422, "expires_at"),
    ({"scopes": ["members:write"]}, 422, "expires_at"),
    ({"scopes": ["keys:read"], "project_id": "PROJECT"}, 422, "scopes"),
    ({"project_id": "0192f0c1-7b1e-7cc0-8a52-0123456789ab"}, 422, "project_id"),
    ({"project_id": "STRANGER"}, 422, "project_id"),
]


@pytest.mark.parametrize(("wanted", "status", "field"), REFUSED)
async def test_what_no_key_can_be(world: World, wanted: dict[str, object], status: int, field: str) -> None:
    """The answer names the field that is wrong."""
    places = {"PROJECT": str(world.bakery.project_id), "STRANGER": str(world.stranger.project_id)}
    answered, problem = await make(world, **{key: places.get(str(one), one) for key, one in wanted.items()})
    assert answered == status
    assert field in problem["field"] + problem["detail"]


async def test_who_makes_keys(world: World) -> None:
    """Owners do, editors and viewers do not; a key makes keys of its own scopes, and none that make keys."""
    assert (await make(world, "olga", scopes=["members:write", "keys:write"], expires_at=SOON))[0] == 201
    for who, status in (("ada", 403), ("edgar", 403), ("vera", 403), ("sessions", 403), ("stan", 404), ("nora", 404)):
        assert (await make(world, who))[0] == status, who
    assert (await make(world, "all", scopes=["sessions:read", "scenarios:write"]))[0] == 201
    for scope in ("members:write", "keys:write", "billing:write"):
        assert (await make(world, "all", scopes=[scope], expires_at=SOON))[0] == 403
    world.keys = {**world.keys, "maker": await world.key_with(Scope.KEYS_WRITE, Scope.SESSIONS_READ)}
    assert (await make(world, "maker"))[0] == 201
    assert (await make(world, "maker", scopes=["sessions:read", "transcripts:read"]))[0] == 403


async def test_a_key_may_its_scope_and_no_other(world: World) -> None:
    """One that triggers calls reads none; one that reads calls starts none and reads no transcript."""
    reads = await world.key_with(Scope.SESSIONS_READ)
    dials = await world.key_with(Scope.OUTBOUND_TRIGGER)
    nobody = uuid7()
    assert await tried(world, reads) == 200
    assert await tried(world, dials) == 403
    assert await tried(world, reads, f"sessions/{nobody}/transcript") == 403
    assert await tried(world, await world.key_with(Scope.TRANSCRIPTS_READ), f"sessions/{nobody}/transcript") == 404


async def test_a_key_ends(world: World) -> None:
    """At its time, to the second, and when it is revoked, at once; the answer says which."""
    _, made = await make(world, expires_at=(datetime.now(UTC) + timedelta(seconds=600)).isoformat())
    assert await tried(world, made["key"]) == 200
    world.clock.ahead_s = 601
    try:
        ended = await world.client.get("/api/v1/sessions", headers=bearer(made["key"]))
    finally:
        world.clock.ahead_s = 0
    assert (ended.status, (await ended.json())["detail"]) == (401, "This key has ended.")
    path = f"/api/v1/keys/{made['id']}"
    params = {"tenant_id": str(world.bakery.tenant_id)}
    assert (await world.client.delete(path, params=params, headers=world.program("stan"))).status == 404
    elsewhere = {"tenant_id": str(world.stranger.tenant_id)}
    assert (await world.client.delete(path, params=elsewhere, headers=world.program("stan"))).status == 404
    assert await tried(world, made["key"]) == 200
    assert (await world.client.delete(path, params=params, headers=world.program("olga"))).status == 204
    gone = await world.client.get("/api/v1/sessions", headers=bearer(made["key"]))
    assert (gone.status, (await gone.json())["detail"]) == (401, "This key was revoked.")
    assert (await world.client.delete(path, params=params, headers=world.program("olga"))).status == 204


async def test_a_key_works_from_its_networks_only(world: World) -> None:
    """By the address of the connection; what a header says of it counts for nothing."""
    _, near = await make(world, networks=["127.0.0.0/8"])
    _, far = await make(world, networks=["192.0.2.0/24"])
    assert await tried(world, near["key"]) == 200
    assert await tried(world, far["key"]) == 401
    assert await tried(world, far["key"], **{"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"}) == 401


async def test_the_use_of_a_key_is_noted_once_a_minute(world: World) -> None:
    """Many requests are one write."""
    key = await world.key_with(Scope.SESSIONS_READ)
    key_id = await key_id_of(world, key)

    async def last_used() -> datetime | None:
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            found = await find_key(store, key_id)
        assert found is not None
        return found.last_used_at

    assert await last_used() is None
    assert await tried(world, key) == 200
    first = await last_used()
    assert first is not None
    assert await tried(world, key) == 200
    assert await last_used() == first
    world.clock.ahead_s = 61
    try:
        assert await tried(world, key) == 200
    finally:
        world.clock.ahead_s = 0
    later = await last_used()
    assert later is not None
    assert later > first


@pytest.mark.parametrize(("hours", "old_goes_on"), [(0, False), (24, True)])
async def test_a_key_is_rotated(world: World, hours: int, *, old_goes_on: bool) -> None:
    """The new one may the same for as long; the old one ends at once, or when the overlap does."""
    _, made = await make(world, scopes=["sessions:read", "numbers:read"], expires_at=SOON, networks=["127.0.0.0/8"])
    path, params = f"/api/v1/keys/{made['id']}/rotate", {"tenant_id": str(world.bakery.tenant_id)}
    answer = await world.client.post(path, params=params, headers=world.program("olga"), json={"overlap_hours": hours})
    new = await answer.json()
    assert answer.status == 201
    assert (new["scopes"], new["networks"]) == (made["scopes"], made["networks"])
    lives = [datetime.fromisoformat(one["expires_at"]) - datetime.fromisoformat(one["made_at"]) for one in (made, new)]
    assert lives[0] == lives[1]
    assert await tried(world, new["key"]) == 200
    assert (await tried(world, made["key"]) == 200) is old_goes_on
    world.clock.ahead_s = hours * 3600 + 1
    try:
        assert await tried(world, made["key"]) == 401
        assert await tried(world, new["key"]) == 200
    finally:
        world.clock.ahead_s = 0
    again = await world.client.post(path, params=params, headers=world.program("olga"), json={})
    assert again.status == (201 if old_goes_on else 409)


async def test_whoever_finds_a_key_revokes_it(world: World) -> None:
    """Without being signed in; what is no key is answered the same; the log says that it had leaked."""
    key = await world.key_with(Scope.SESSIONS_READ)
    key_id = await key_id_of(world, key)
    for found in (key, key, complete("A" * 30), "nonsense"):
        answer = await world.client.post("/api/v1/keys/report-leak", json={"key": found})
        assert (answer.status, await answer.read()) == (204, b"")
    assert await tried(world, key) == 401
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        (entry,) = [
            one for one in await entries(store, tag=Tag.KEY_REVOKED, limit=200) if one.objects["api_key"] == str(key_id)
        ]
    assert (entry.facts, entry.actor.kind, entry.actor.id) == ({"leaked": True}, "key", str(key_id))
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        written = [await find_mail(store, one) for one in await store.all(select(MailTable.id))]
    (mail,) = [one for one in written if one is not None and one.kind == "key_leak" and key[-4:] in one.body]
    assert mail.to == "olga@bakery.example"
    assert key not in mail.body


async def test_what_is_done_to_keys_is_logged(world: World) -> None:
    """Made, rotated and revoked, each by whom, and never with the key itself."""
    _, made = await make(world)
    params = {"tenant_id": str(world.bakery.tenant_id)}
    headers = world.program("olga")
    rotated = await world.client.post(f"/api/v1/keys/{made['id']}/rotate", params=params, headers=headers, json={})
    new = await rotated.json()
    await world.client.delete(f"/api/v1/keys/{new['id']}", params=params, headers=headers)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        log = (await entries(store, tag="tenant:api_key:", limit=200))[:3]
    assert [one.tag for one in log] == [Tag.KEY_REVOKED, Tag.KEY_ROTATED, Tag.KEY_CREATED]
    assert {one.actor.id for one in log} == {str(world.people["olga"].user_id)}
    assert log[1].objects == {"api_key": new["id"], "replaced_key": made["id"]}
    assert log[2].facts["scopes"] == ["sessions:read"]
    assert made["key"][9:-4] not in repr(log)


async def test_many_uses_at_once(world: World) -> None:
    """Twenty requests with a new key at the same moment are all answered."""
    key = await world.key_with(Scope.SESSIONS_READ)
    assert await asyncio.gather(*(tried(world, key) for _ in range(20))) == [200] * 20


async def test_a_key_of_one_project_sees_that_project(world: World) -> None:
    """And of the other that there is none."""
    key = await world.key_with(Scope.PROJECTS_READ, project_id=world.bakery.project_id)
    answer = await world.client.get("/api/v1/projects", headers=bearer(key))
    assert [one["id"] for one in (await answer.json())["items"]] == [str(world.bakery.project_id)]
    assert await tried(world, key, f"projects/{world.bakery_second.project_id}") == 404


async def test_each_scope_has_its_words_and_its_place() -> None:
    """So that nobody ticks a box without knowing what it does."""
    assert set(WORDS) == set(Scope)
    nouns = [noun for _, group in GROUPS for noun in group]
    assert sorted(nouns) == sorted({scope.partition(":")[0] for scope in Scope})


async def test_a_key_from_the_page(world: World) -> None:
    """Made with ticked boxes, shown once on the page that answers; what is wrong comes back with the form filled in."""
    browser = world.browser("olga")
    page = await (await world.client.get(f"{world.tenant}/keys/new", headers=browser)).text()
    assert page.count('name="scopes"') == len(Scope)
    form = [("name", "From the page"), ("scopes", "sessions:read"), ("scopes", "numbers:read"), ("life_days", "90")]
    answer = await world.client.post(f"{world.tenant}/keys", headers=browser, data=form)
    text = await answer.text()
    found = re.search(PATTERN, text)
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    assert found is not None
    assert await tried(world, found[0]) == 200
    assert await tried(world, found[0], "trunks") == 403
    form = [("name", "Twice"), ("scopes", "keys:write"), ("life_days", "365")]
    wrong = await world.client.post(f"{world.tenant}/keys", headers=browser, data=form)
    text = await wrong.text()
    assert wrong.status == 422
    assert "ends within 90 days" in text
    assert 'value="Twice"' in text
    assert re.search(r'value="keys:write"\s+checked', text)


async def test_a_key_is_revoked_and_rotated_from_the_page(world: World) -> None:
    """Revoked by typing its last four characters, rotated by saying how long the old one goes on."""
    browser, key = world.browser("olga"), await world.key_with(Scope.SESSIONS_READ)
    home = f"{world.tenant}/keys/{await key_id_of(world, key)}"
    assert (await world.client.get(f"{home}/rotate", headers=browser)).status == 200
    rotated = await world.client.post(f"{home}/rotate", headers=browser, data={"overlap_hours": "24"})
    assert rotated.status == 201
    assert re.search(PATTERN, await rotated.text())
    assert (await world.client.post(f"{home}/revoke", headers=browser, data={"confirmation": "no"})).status == 422
    assert await tried(world, key) == 200
    word = {"confirmation": key[-4:]}
    done = await world.client.post(f"{home}/revoke", headers=browser, data=word, allow_redirects=False)
    assert done.status == 303
    assert await tried(world, key) == 401
    assert (await world.client.get(f"{world.tenant}/keys", headers=world.browser("ada"))).status == 403
    text = await (await world.client.get(f"{world.tenant}/keys.csv", headers=browser)).text()
    assert f"ait_live_…{key[-4:]}" in text
    assert key not in text


async def test_no_key_is_kept_in_the_clear(world: World) -> None:
    """Nothing in the table holds more of a key than its last four characters."""
    _, made = await make(world)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        kept = repr(await store.all(select(ApiKeyTable))) + repr(await list_keys(store))
    assert made["key"][:13] not in kept
    assert made["key"][9:-4] not in kept

"""Members and their roles, over HTTP and on a real database."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from uuid_utils.compat import uuid7

from policies.access import Scope
from policies.audit_tags import OPERATOR, Tag
from store import tenants
from store.house import HOUSE
from store.people.memberships import (
    LastOwnerError,
    all_memberships,
    ask_second_factor_of_all,
    grant_role,
    memberships_of,
    remove_member,
    take_role,
)
from tests.admin.asking import acts, api, newcomer
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")

READERS = [("olga", 200), ("ada", 200), ("all", 200), ("edgar", 403), ("vera", 403), ("sessions", 403), ("nora", 404),
           ("stan", 404), ("stranger", 404)]  # fmt: skip  # the cast


@pytest.mark.parametrize(("who", "status"), READERS)
async def test_who_sees_members(world: World, who: str, status: int) -> None:
    """Owners and editors of the whole tenant; a stranger learns not even that it exists."""
    answered, body = await api(world, who, "GET", "members")
    assert answered == status
    if status == 200:
        people = {one["email"]: one for one in body["items"]}
        assert people["olga@bakery.example"]["roles"][0]["role"] == "owner"
        assert people["vera@bakery.example"]["roles"][0]["project_id"] == str(world.bakery.project_id)
        assert people["olga@bakery.example"]["has_second_factor"] is False
        assert "stan@stranger.example" not in people


async def test_pages_of_members(world: World) -> None:
    """Each member stands on exactly one page."""
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"tenant_id": str(world.bakery.tenant_id), "limit": "2", **({"cursor": cursor} if cursor else {})}
        answer = await world.client.get("/api/v1/members", params=params, headers=world.program("olga"))
        page = await answer.json()
        assert len(page["items"]) <= 2
        seen += [one["user_id"] for one in page["items"]]
        cursor = page["next_cursor"]
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        everyone = {str(one.user_id) for one in await all_memberships(store)}
    assert sorted(seen) == sorted(everyone)


async def test_last_seen_is_noted(world: World) -> None:
    """Of each member within this tenant, and of nobody elsewhere."""
    person = await newcomer(world, "viewer")
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        assert (await memberships_of(store, person.user_id))[0].last_seen_at is None
    assert (await api(world, person, "GET", "projects"))[0] == 200
    _, shown = await api(world, "olga", "GET", f"members/{person.user_id}")
    assert datetime.now(UTC) - datetime.fromisoformat(shown["last_seen_at"]) < timedelta(minutes=1)


async def test_a_project_of_another_tenant_is_none(world: World) -> None:
    """Nobody is invited to, or made a member of, what is not the tenant's."""
    elsewhere = str(world.stranger.project_id)
    wanted = {"email": "a@b.example", "role": "viewer", "project_id": elsewhere}
    assert (await api(world, "olga", "POST", "invitations", wanted))[0] == 422
    vera = world.people["vera"].user_id
    role = {"role": "viewer", "project_id": elsewhere}
    assert (await api(world, "olga", "PUT", f"members/{vera}/roles", role))[0] == 422


async def test_a_role_ends_at_once(world: World) -> None:
    """With the very next request; and one that was changed counts at once."""
    person = await newcomer(world, "viewer")
    draft = {"role": "editor"}
    assert (await api(world, person, "GET", "members"))[0] == 403
    assert (await api(world, "olga", "PUT", f"members/{person.user_id}/roles", draft))[0] == 200
    assert (await api(world, person, "GET", "members"))[0] == 200
    assert (await api(world, "olga", "DELETE", f"members/{person.user_id}"))[0] == 204
    assert (await api(world, person, "GET", "members"))[0] == 404
    assert (await api(world, "olga", "DELETE", f"members/{person.user_id}"))[0] == 404


async def test_roles_of_one_person_end_one_by_one(world: World) -> None:
    """The last one ends the membership, and is logged as such."""
    person = await newcomer(world, "viewer", project_id=world.bakery.project_id)
    role = {"role": "editor", "project_id": str(world.bakery_second.project_id)}
    _, shown = await api(world, "olga", "PUT", f"members/{person.user_id}/roles", role)
    assert len(shown["roles"]) == 2
    for one, tag in zip(shown["roles"], (Tag.MEMBER_ROLE_CHANGED, Tag.MEMBER_REMOVED), strict=True):
        path = f"members/{person.user_id}/roles/{one['id']}"
        assert (await api(world, "olga", "DELETE", path))[0] == 204
        assert (await acts(world))[0][0] == tag
        assert (await api(world, "olga", "DELETE", path))[0] == 404
    assert (await api(world, "olga", "GET", f"members/{person.user_id}"))[0] == 404


async def test_leaving(world: World) -> None:
    """Whoever views can go by themselves; the log says that they left."""
    person = await newcomer(world, "viewer")
    assert (await api(world, person, "POST", "members/leave"))[0] == 204
    assert (await acts(world))[0] == (Tag.MEMBER_LEFT, "user", str(person.user_id))
    assert (await api(world, "all", "POST", "members/leave"))[0] == 409


async def test_the_last_owner_stays(world: World) -> None:
    """Neither removed, nor made less, nor leaving; and the Florist, whose owner is of an agency, neither."""
    ada, tenant_id = world.people["ada"].user_id, world.florist.tenant_id
    async with world.services.database.tenant(tenant_id) as store:
        (held,) = await memberships_of(store, ada)
    for method, path, body in (
        ("PUT", f"members/{ada}/roles", {"role": "editor"}),
        ("DELETE", f"members/{ada}/roles/{held.id}", None),
        ("DELETE", f"members/{ada}", None),
        ("POST", "members/leave", None),
    ):
        status, problem = await api(world, "ada", method, path, body, tenant_id)
        assert (status, "last owner" in problem["detail"]) == (409, True), path
    async with world.services.database.tenant(tenant_id) as store:
        assert [one.role for one in await memberships_of(store, ada)] == ["owner"]


async def test_owners_who_end_each_other_leave_one(world: World) -> None:
    """Ten owners take each other's roles in ten ways at the same moment: one is left, whoever was quickest."""
    database = world.services.database
    people = [uuid7() for _ in range(10)]
    async with database.tenant(uuid7()) as store:
        await tenants.create(store, "Race", actor=OPERATOR)
        tenant_id = store.tenant_id
        held = [await grant_role(store, one, "owner", actor=OPERATOR) for one in people]

    async def end(number: int) -> None:
        async with database.tenant(tenant_id) as store:
            match number % 3:
                case 0:
                    await remove_member(store, people[number], actor=OPERATOR)
                case 1:
                    await take_role(store, people[number], held[number].id, actor=OPERATOR)
                case _:
                    await grant_role(store, people[number], "viewer", actor=OPERATOR)

    ended = await asyncio.gather(*(end(number) for number in range(10)), return_exceptions=True)
    assert [type(one) for one in ended if one is not None] == [LastOwnerError]
    async with database.tenant(tenant_id) as store:
        assert [one.role for one in await all_memberships(store)].count("owner") == 1


async def test_one_role_is_given_by_many_at_once(world: World) -> None:
    """The same grant by ten hands at the same moment is one grant."""
    database, person = world.services.database, uuid7()

    async def give() -> None:
        async with database.tenant(world.bakery.tenant_id) as store:
            await grant_role(store, person, "viewer", actor=OPERATOR)

    await asyncio.gather(*(give() for _ in range(10)))
    async with database.tenant(world.bakery.tenant_id) as store:
        assert len(await memberships_of(store, person)) == 1


async def test_a_key_gives_no_role_above_its_own(world: World) -> None:
    """A key that may change members, and view, makes viewers; it makes and unmakes no editors and owners."""
    viewing = {Scope.MEMBERS_WRITE, Scope.MEMBERS_READ, Scope.SESSIONS_READ, Scope.TRANSCRIPTS_READ,
               Scope.RECORDINGS_READ, Scope.PROJECTS_READ, Scope.SCENARIOS_READ, Scope.NUMBERS_READ,
               Scope.TRUNKS_READ, Scope.USAGE_READ}  # fmt: skip  # a set
    headers = {"Authorization": f"Bearer {await world.key_with(*viewing)}"}
    person, olga = (await newcomer(world, "viewer")).user_id, world.people["olga"].user_id

    async def tried(method: str, path: str, json: object = None) -> int:
        return (await world.client.request(method, f"/api/v1/{path}", headers=headers, json=json)).status

    assert await tried("POST", "invitations", {"email": "v@b.example", "role": "viewer"}) == 201
    assert await tried("POST", "invitations", {"email": "e@b.example", "role": "editor"}) == 403
    assert await tried("PUT", f"members/{person}/roles", {"role": "owner"}) == 403
    assert await tried("PUT", f"members/{olga}/roles", {"role": "viewer"}) == 403
    assert await tried("DELETE", f"members/{olga}") == 403
    assert await tried("DELETE", f"members/{person}") == 204


async def test_people_have_to_show_a_second_factor(world: World) -> None:
    """Owners have to have one; and to change members, to have shown it within the last quarter of an hour."""
    without = await newcomer(world, "owner", second_factor=False)
    status, problem = await api(world, without, "GET", "members")
    assert (status, problem["type"]) == (403, "tag:aitelier.org,2026:enrol")
    with_one = await newcomer(world, "owner")
    world.clock.ahead_s = 899
    try:
        assert (await api(world, with_one, "POST", "invitations", {"email": "s@b.example", "role": "viewer"}))[0] == 201
        world.clock.ahead_s = 0
        old = await newcomer(world, "owner")
        world.clock.ahead_s = 840
        fresh = await world.sign_in(old.email)
        status, problem = await api(world, fresh, "GET", "members")
        assert (status, problem["type"]) == (403, "tag:aitelier.org,2026:enrol")
    finally:
        world.clock.ahead_s = 0


async def test_a_tenant_asks_everyone_for_a_second_factor(world: World) -> None:
    """Once it does, a viewer without one may do nothing; once it does not any more, may again."""
    viewer = await newcomer(world, "viewer", second_factor=False)
    assert (await api(world, viewer, "GET", "projects"))[0] == 200
    for wanted, status in ((True, 403), (False, 200)):
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            assert await ask_second_factor_of_all(store, wanted=wanted, actor=OPERATOR)
            assert not await ask_second_factor_of_all(store, wanted=wanted, actor=OPERATOR)
        assert (await api(world, viewer, "GET", "projects"))[0] == status


async def test_an_agency_acts_in_the_books_of_its_client(world: World) -> None:
    """What Ada does at the Bakery stands in the Bakery's log, under her id, and in nobody else's."""
    me = str(world.people["ada"].user_id)
    _, mine = await api(world, "ada", "GET", "tenants")
    assert [one["name"] for one in mine["items"]] == ["Bakery", "Florist"]
    body = {"email": f"{uuid7()}@new.example", "role": "viewer"}
    assert (await api(world, "ada", "POST", "invitations", body))[0] == 403, "an editor invites nobody"
    assert (await api(world, "ada", "POST", "invitations", body, world.florist.tenant_id))[0] == 201
    assert (Tag.MEMBER_INVITED, "user", me) in await acts(world, world.florist.tenant_id)
    for other in (world.bakery.tenant_id, world.stranger.tenant_id, HOUSE):
        assert (Tag.MEMBER_INVITED, "user", me) not in await acts(world, other)
    assert (await api(world, "ada", "GET", "members", None, world.stranger.tenant_id))[0] == 404


async def test_the_page_of_people(world: World) -> None:
    """Everybody is on it; an invitation is sent by its form, and what is wrong in one is said beside the field."""
    browser = world.browser("olga")
    page = await (await world.client.get(f"{world.tenant}/people", headers=browser)).text()
    for word in ("olga@bakery.example", "ada@agency.example", "Invite somebody", "Second factor"):
        assert word in page
    assert (await world.client.get(f"{world.tenant}/people", headers=world.browser("vera"))).status == 403
    email = f"{uuid7()}@new.example"
    form = {"email": email, "role": "viewer", "project_id": ""}
    path = f"{world.tenant}/people/invitations"
    answer = await world.client.post(path, headers=browser, data=form, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"{world.tenant}/people")
    assert email in await (await world.client.get(f"{world.tenant}/people", headers=browser)).text()
    answer = await world.client.post(path, headers=browser, data={**form, "email": "nobody"}, allow_redirects=False)
    assert answer.status == 422
    assert "that is no mail address" in await answer.text()


async def test_people_as_a_file(world: World) -> None:
    """A role a line."""
    text = await (await world.client.get(f"{world.tenant}/people.csv", headers=world.browser("olga"))).text()
    assert text.splitlines()[0].endswith("person,role,on,since,second factor,last here")
    assert any(line.startswith("vera@bakery.example,viewer,Bakery,") for line in text.splitlines())


async def test_somebody_is_removed_by_typing_their_address(world: World) -> None:
    """Anything else that is typed removes nobody."""
    person, browser = await newcomer(world, "viewer"), world.browser("olga")
    path = f"{world.tenant}/people/{person.user_id}/remove"
    assert person.email in await (await world.client.get(path, headers=browser)).text()
    wrong = await world.client.post(path, headers=browser, data={"confirmation": "yes"}, allow_redirects=False)
    assert wrong.status == 422
    assert (await api(world, person, "GET", "projects"))[0] == 200
    right = await world.client.post(path, headers=browser, data={"confirmation": person.email}, allow_redirects=False)
    assert right.status == 303
    assert (await api(world, person, "GET", "projects"))[0] == 404


async def test_roles_on_the_page_of_a_member(world: World) -> None:
    """Changed and ended by forms; the last owner's is not."""
    person, browser = await newcomer(world, "viewer"), world.browser("olga")
    home = f"{world.tenant}/people/{person.user_id}"
    form = {"role": "editor", "project_id": ""}
    answer = await world.client.post(f"{home}/roles", headers=browser, data=form, allow_redirects=False)
    assert answer.status == 303
    assert "Editor" in await (await world.client.get(home, headers=browser)).text()
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        (held,) = await memberships_of(store, person.user_id)
    ended = await world.client.post(f"{home}/roles/{held.id}/end", headers=browser, data={}, allow_redirects=False)
    assert (ended.status, ended.headers["Location"]) == (303, f"{world.tenant}/people")
    ada = world.people["ada"].user_id
    florist = f"/t/{world.florist.tenant_id}/people/{ada}/roles"
    refused = await world.client.post(florist, headers=world.browser("ada"), data={"role": "viewer"})
    assert refused.status == 409
    assert "last owner" in await refused.text()


async def test_the_switcher(world: World) -> None:
    """Whoever is a member of several tenants finds the others on every page; nobody finds one that is not theirs."""
    page = await (await world.client.get(f"{world.tenant}/people", headers=world.browser("ada"))).text()
    assert f'href="/t/{world.florist.tenant_id}/"' in page
    assert str(world.stranger.tenant_id) not in page
    page = await (await world.client.get(f"{world.tenant}/people", headers=world.browser("olga"))).text()
    assert str(world.florist.tenant_id) not in page


async def test_leaving_by_the_page(world: World) -> None:
    """Typed, it is done; the last owner is told why not."""
    person = await newcomer(world, "viewer")
    world.people = {**world.people, "leaving": person}
    path, browser = f"{world.tenant}/leave", world.browser("leaving")
    assert "Leave Bakery" in await (await world.client.get(path, headers=browser)).text()
    assert (await world.client.post(path, headers=browser, data={"confirmation": "no"})).status == 422
    done = await world.client.post(path, headers=browser, data={"confirmation": "leave"}, allow_redirects=False)
    assert done.status == 303
    assert (await world.client.get(path, headers=browser)).status == 404
    florist = f"/t/{world.florist.tenant_id}/leave"
    kept = await world.client.post(florist, headers=world.browser("ada"), data={"confirmation": "leave"})
    assert (kept.status, "last owner" in await kept.text()) == (409, True)

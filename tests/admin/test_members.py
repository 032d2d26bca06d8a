"""Members and invitations, over HTTP and on a real database."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select
from uuid_utils.compat import uuid7

from policies.access import Role, Scope
from policies.audit_tags import OPERATOR, Actor, Tag
from store import tenants
from store.audit.log import entries
from store.house import HOUSE
from store.outbox import Mail, find_mail
from store.people import invitations
from store.people.invitations import NoInvitationError
from store.people.memberships import (
    LastOwnerError,
    all_memberships,
    ask_second_factor_of_all,
    grant_role,
    memberships_of,
    remove_member,
    take_role,
)
from store.tables.registers import MailTable
from tests.admin.people import SignedInPerson
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def api(
    world: World, who: str | SignedInPerson, method: str, path: str, json: object = None, tenant_id: UUID | None = None
) -> tuple[int, Any]:
    """Ask the API about the Bakery, or about another tenant; the status and what was answered."""
    headers = who.headers if isinstance(who, SignedInPerson) else world.program(who)
    params = {"tenant_id": str(tenant_id or world.bakery.tenant_id)}
    answer = await world.client.request(method, f"/api/v1/{path}", params=params, headers=headers, json=json)
    return answer.status, await answer.json(content_type=None) if await answer.read() else None


async def newcomer(
    world: World, role: Role | None = None, *, project_id: UUID | None = None, second_factor: bool = True
) -> SignedInPerson:
    """Somebody new, with a role at the Bakery or without."""
    person = await world.sign_in(f"{uuid7()}@new.example", second_factor=second_factor)
    if role is not None:
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            await grant_role(store, person.user_id, role, project_id=project_id, actor=OPERATOR)
    return person


async def mails(world: World, to: str) -> Sequence[Mail]:
    """What the Bakery has written to this address, newest last."""
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        ids = await store.all(select(MailTable.id).order_by(MailTable.id))
        found = [await find_mail(store, one) for one in ids]
    return [one for one in found if one is not None and one.to == to]


async def link_of(world: World, to: str) -> str:
    """The path in the last invitation to this address."""
    found = re.search(r"http://127\.0\.0\.1:8080(/invitations/\S+)", (await mails(world, to))[-1].body)
    assert found is not None
    return found[1]


async def acts(world: World, tenant_id: UUID | None = None) -> list[tuple[str, str, str]]:
    """Tag, kind and id of who has acted, newest first."""
    async with world.services.database.tenant(tenant_id or world.bakery.tenant_id) as store:
        return [(one.tag, one.actor.kind, one.actor.id) for one in await entries(store, tag="tenant:", limit=200)]


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


async def test_an_invitation_from_mail_to_member(world: World) -> None:
    """Opened by another address it is refused, accepted by the right one once; all of it is in the log."""
    invited, other = await newcomer(world), await newcomer(world)
    wanted = {"email": invited.email.upper(), "role": "editor", "project_id": str(world.bakery.project_id)}
    status, sent = await api(world, "olga", "POST", "invitations", wanted)
    assert (status, sent["email"], sent["invited_by"]["name"]) == (201, invited.email, "olga@bakery.example")
    assert "token" not in str(sent)
    _, tenant_id, token = (await link_of(world, invited.email)).strip("/").split("/")
    link = {"tenant_id": tenant_id, "token": token}
    assert (await api(world, other, "POST", "invitations/accept", link))[0] == 403
    assert (await api(world, invited, "GET", "projects"))[0] == 404
    assert (await api(world, invited, "POST", "invitations/accept", link))[0] == 204
    assert (await api(world, invited, "POST", "invitations/accept", link))[0] == 404
    status, shown = await api(world, invited, "GET", "projects")
    assert (status, [one["id"] for one in shown["items"]]) == (200, [str(world.bakery.project_id)])
    olga = str(world.people["olga"].user_id)
    assert (await acts(world))[:3] == [
        (Tag.MEMBER_ADDED, "user", olga),
        (Tag.INVITATION_ACCEPTED, "user", str(invited.user_id)),
        (Tag.MEMBER_INVITED, "user", olga),
    ]


async def test_an_invitation_tells_nothing_of_whom_it_is_for(world: World) -> None:
    """Whether the address has an account or not, the answer is the same, and the account is not among the members."""
    known = await newcomer(world)
    answers = []
    for email in (known.email, f"{uuid7()}@nobody.example"):
        _, sent = await api(world, "olga", "POST", "invitations", {"email": email, "role": "viewer"})
        answers.append(
            {key: value for key, value in sent.items() if key not in {"id", "email", "invited_at", "expires_at"}}
        )
        _, members = await api(world, "olga", "GET", "members")
        assert email not in {one["email"] for one in members["items"]}
    assert answers[0] == answers[1]


async def test_an_invitation_ends(world: World) -> None:
    """After a week, when it is taken back, when it is sent again, and when its inviter goes."""
    email, now = f"{uuid7()}@new.example", datetime.now(UTC)
    database = world.services.database
    second = await newcomer(world, "owner")

    async def invited() -> tuple[UUID, str]:
        async with database.tenant(world.bakery.tenant_id) as store:
            actor = Actor("user", str(second.user_id))
            sent = await invitations.invite(store, email, "viewer", base_url="http://x", actor=actor, now=now)
            return sent.invitation.id, sent.link.rpartition("/")[2]

    async def is_good(token: str, at: datetime) -> bool:
        async with database.tenant(world.bakery.tenant_id) as store:
            try:
                return bool(await invitations.find_by_link(store, token, at))
            except NoInvitationError:
                return False

    _, token = await invited()
    assert await is_good(token, now + timedelta(days=7) - timedelta(seconds=1))
    assert not await is_good(token, now + timedelta(days=7))
    invitation_id, newer = await invited()
    assert await is_good(newer, now)
    assert not await is_good(token, now), "the address was invited to the same once more"
    assert (await api(world, "olga", "POST", f"invitations/{invitation_id}/send"))[0] == 200
    assert not await is_good(newer, now)
    assert (await api(world, "olga", "DELETE", f"invitations/{invitation_id}"))[0] == 204
    assert (await api(world, "olga", "DELETE", f"invitations/{invitation_id}"))[0] == 404
    _, last = await invited()
    async with database.tenant(world.bakery.tenant_id) as store:
        await remove_member(store, second.user_id, actor=OPERATOR)
    assert not await is_good(last, now)


async def test_expired_addresses_are_forgotten(world: World) -> None:
    """A month after an invitation has ended, the address is gone."""
    email, now = f"{uuid7()}@new.example", datetime.now(UTC)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await invitations.invite(
            store, email, "viewer", base_url="http://x", actor=OPERATOR, now=now - timedelta(days=36)
        )
        assert await invitations.end_expired(store, now) == 0
        assert await invitations.end_expired(store, now + timedelta(days=2)) == 1
        assert email not in {one.email for one in await invitations.list_invitations(store)}


async def test_accepting_lowers_nobody(world: World) -> None:
    """An owner who accepts to view is an owner still."""
    person, now = await newcomer(world, "owner"), datetime.now(UTC)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        sent = await invitations.invite(store, person.email, "viewer", base_url="http://x", actor=OPERATOR, now=now)
        token = sent.link.rpartition("/")[2]
        held = await invitations.accept(store, token, user_id=person.user_id, email=person.email, now=now)
    assert held.role == "owner"


BAD = [
    ({"email": "nobody", "role": "viewer"}, 422, "email"),
    ({"email": "a@b.example", "role": "king"}, 422, "role"),
    (
        {"email": "a@b.example", "role": "viewer", "project_id": "0192f0c1-7b1e-7cc0-8a52-0123456789ab"},
        422,
        "project_id",
    ),
    ({"email": "a@b.example"}, 422, "role"),
]


@pytest.mark.parametrize(("wanted", "status", "field"), BAD)
async def test_a_bad_invitation_is_named(world: World, wanted: object, status: int, field: str) -> None:
    """The field that is wrong is in the answer."""
    answered, problem = await api(world, "olga", "POST", "invitations", wanted)
    assert answered == status
    assert field in problem["field"] + problem["detail"]


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


async def test_the_page_of_an_invitation(world: World) -> None:
    """It says who invites to what; opening it accepts nothing, its button does; to others it is no use."""
    invited, other = await newcomer(world), await newcomer(world)
    await api(world, "olga", "POST", "invitations", {"email": invited.email, "role": "viewer"})
    path = await link_of(world, invited.email)
    people = {**world.people, "invited": invited, "other": other}
    world.people = people
    page = await world.client.get(path, headers=world.browser("invited"))
    assert page.status == 200
    assert "Bakery" in await page.text()
    assert (await api(world, invited, "GET", "projects"))[0] == 404
    refused = await world.client.get(path, headers=world.browser("other"))
    assert refused.status == 403
    text = await refused.text()
    assert "Bakery" not in text
    assert invited.email not in text
    answer = await world.client.post(path, headers=world.browser("invited"), data={}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, f"{world.tenant}/")
    assert (await world.client.get(path, headers=world.browser("invited"))).status == 404


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

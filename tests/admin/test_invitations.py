"""Invitations, over HTTP and on a real database."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from policies.access import Scope
from policies.api_keys import KeyWish
from policies.audit_tags import OPERATOR, Actor, Tag
from store.api_keys import make_key, revoke_key
from store.people import invitations
from store.people.invitations import NoInvitationError
from store.people.memberships import grant_role, memberships_of, remove_member, take_role
from tests.admin.asking import acts, api, link_of, newcomer
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


@pytest.mark.parametrize("lost", ["demoted", "role taken", "key revoked"])
async def test_nobody_comes_in_by_a_role_that_was_taken_away(world: World, lost: str) -> None:
    """What somebody may give no more, their invitations give no more; sent again by an owner they do."""
    database, tenant_id = world.services.database, world.bakery.tenant_id
    inviter, invited = await newcomer(world, "owner"), await newcomer(world)
    async with database.tenant(tenant_id) as store:
        wish = KeyWish(name="Of invitations", scopes=frozenset(Scope), expires_at=datetime.now(UTC) + timedelta(days=9))
        key = await make_key(store, wish, actor=OPERATOR)
    wanted = {"email": invited.email, "role": "editor"}
    if lost == "key revoked":
        world.keys = {**world.keys, "of invitations": key.secret.reveal()}
    by = "of invitations" if lost == "key revoked" else inviter
    status, sent = await api(world, by, "POST", "invitations", wanted)
    assert status == 201
    async with database.tenant(tenant_id) as store:
        (held,) = await memberships_of(store, inviter.user_id)
        if lost == "demoted":
            await grant_role(store, inviter.user_id, "editor", actor=OPERATOR)
        elif lost == "role taken":
            await grant_role(store, inviter.user_id, "viewer", project_id=world.bakery.project_id, actor=OPERATOR)
            await take_role(store, inviter.user_id, held.id, actor=OPERATOR)
        else:
            assert await revoke_key(store, key.key.id, actor=OPERATOR)
    link = await link_of(world, invited.email)
    body = {"tenant_id": str(tenant_id), "token": link.rpartition("/")[2]}
    world.people = {**world.people, "invited": invited}
    assert (await world.client.get(link, headers=world.browser("invited"))).status == 404
    assert (await api(world, invited, "POST", "invitations/accept", body))[0] == 404
    assert (await api(world, invited, "GET", "projects"))[0] == 404
    _, again = await api(world, "olga", "POST", f"invitations/{sent['id']}/send")
    assert again["invited_by"]["name"] == "olga@bakery.example"
    body["token"] = (await link_of(world, invited.email)).rpartition("/")[2]
    assert (await api(world, invited, "POST", "invitations/accept", body))[0] == 204
    assert (await api(world, invited, "GET", "projects"))[0] == 200


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

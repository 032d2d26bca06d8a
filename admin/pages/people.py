"""People: who may do what here, who is invited, and how somebody goes."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api import invitations as invitations_api
from admin.api import members as api
from admin.api.invitations import InvitationListQuery, NewInvitation, PendingInvitation
from admin.api.members import Member, MemberListQuery, RoleWanted
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.forms import check_typed
from admin.pages.lists import around, every
from admin.pages.names import Names, names_for
from admin.pages.queries import filled, id_in, query_of
from admin.pages.render import go_to, page
from admin.problems import BadRequestError, ConflictError, ProblemError
from policies.access import Scope
from store import tenants

ROLES: Final[Sequence[tuple[str, str]]] = (
    ("viewer", "Viewer: reads calls, changes nothing"),
    ("editor", "Editor: scenarios, numbers and calls, but neither people nor billing"),
    ("owner", "Owner: everything, also people, keys, billing and erasure"),
)


class People(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows."""

    members: Sequence[Member]
    invitations: Sequence[PendingInvitation]
    names: Names

    def where(self, project_id: UUID | None) -> str:
        """Of a role."""
        return "everything" if project_id is None else self.names.project(project_id)


async def people(ask: Ask) -> web.Response:
    """Everybody, and who is invited."""
    return await _page(ask)


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file, a role a line."""
    names = await names_for(ask)
    query = query_of(ask.request, MemberListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_members, ask), query):
            for role in one.roles:
                where = "everything" if role.project_id is None else names.project(role.project_id)
                yield one.email, role.role, where, role.granted_at, one.has_second_factor, one.last_seen_at

    return await send_csv(ask, "people", ("person", "role", "on", "since", "second factor", "last here"), rows())


async def list_invitations(ask: Ask) -> web.Response:
    """Who is invited."""
    query = query_of(ask.request, InvitationListQuery)
    found = await invitations_api.list_invitations(ask, query)
    return page(
        ask,
        "invitations.html",
        people=People(members=(), invitations=found.items, names=await names_for(ask)),
        **around(ask.request, f"{_home(ask)}/invitations", found.next_cursor),
        query=query,
        roles=ROLES,
        now=ask.now,
        may_change=ask.may(Scope.MEMBERS_WRITE),
    )


async def invitations_as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file."""
    names = await names_for(ask)
    query = query_of(ask.request, InvitationListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(invitations_api.list_invitations, ask), query):
            where = "everything" if one.project_id is None else names.project(one.project_id)
            yield one.email, one.role, where, one.invited_at, str(one.invited_by), one.expires_at

    return await send_csv(ask, "invitations", ("address", "role", "on", "invited", "by", "good until"), rows())


async def invite(ask: Ask) -> web.Response:
    """Send an invitation."""
    form = await form_of(ask.request)
    try:
        sent = await invitations_api.invite(ask, filled(form, NewInvitation))
    except (BadRequestError, ConflictError) as error:
        return await _page(ask, error, form)
    return go_to(ask.request, _home(ask), f"The invitation is on its way. It is good until {sent.expires_at:%d %B}.")


async def send_again(ask: Ask) -> web.Response:
    """Send a new link."""
    await invitations_api.send_invitation_again(ask, id_in(ask.request, "invitation_id"))
    return go_to(ask.request, _home(ask), "A new link is on its way; the old one is over.")


async def revoke_invitation(ask: Ask) -> web.Response:
    """Take an invitation back."""
    await invitations_api.revoke_invitation(ask, id_in(ask.request, "invitation_id"))
    return go_to(ask.request, _home(ask), "The invitation is taken back.")


async def member(ask: Ask) -> web.Response:
    """One person, and their roles."""
    return await _member_page(ask)


async def set_role(ask: Ask) -> web.Response:
    """Give a role, or change one."""
    user_id = id_in(ask.request, "user_id")
    try:
        await api.set_role(ask, user_id, filled(await form_of(ask.request), RoleWanted))
    except (BadRequestError, ConflictError) as error:
        return await _member_page(ask, error)
    return go_to(ask.request, f"{_home(ask)}/{user_id}", "The role is changed, from the next click on.")


async def take_role(ask: Ask) -> web.Response:
    """End one role."""
    user_id, membership_id = id_in(ask.request, "user_id"), id_in(ask.request, "membership_id")
    was_last = len((await api.get_member(ask, user_id)).roles) == 1
    try:
        await api.take_role(ask, user_id, membership_id)
    except ConflictError as error:
        return await _member_page(ask, error)
    url = _home(ask) if was_last else f"{_home(ask)}/{user_id}"
    return go_to(ask.request, url, "The role has ended.")


async def ask_removal(ask: Ask) -> web.Response:
    """Say what happens when somebody is removed, and ask for a word."""
    return await _removal_page(ask)


async def remove(ask: Ask) -> web.Response:
    """Remove somebody."""
    user_id = id_in(ask.request, "user_id")
    found = await api.get_member(ask, user_id)
    try:
        check_typed(await form_of(ask.request), found.email or "remove")
        await api.remove_member(ask, user_id)
    except (BadRequestError, ConflictError) as error:
        return await _removal_page(ask, error)
    return go_to(ask.request, _home(ask), "They are no member any more.")


async def ask_leaving(ask: Ask) -> web.Response:
    """Say what leaving means, and ask for a word."""
    return await _leaving_page(ask)


async def leave(ask: Ask) -> web.Response:
    """End one's own membership."""
    try:
        check_typed(await form_of(ask.request), "leave")
        await api.leave(ask)
    except (BadRequestError, ConflictError) as error:
        return await _leaving_page(ask, error)
    return go_to(ask.request, "/", "You have left.")


def _home(ask: Ask) -> str:
    return f"/t/{ask.tenant_id}/people"


async def _page(ask: Ask, error: ProblemError | None = None, form: object = None) -> web.Response:
    query = MemberListQuery() if ask.request.method == "POST" else query_of(ask.request, MemberListQuery)
    found = await api.list_members(ask, query)
    invited = await invitations_api.list_invitations(ask, InvitationListQuery())
    shown = People(members=found.items, invitations=invited.items, names=await names_for(ask))
    return page(
        ask,
        "people.html",
        status=200 if error is None else error.status.value,
        people=shown,
        **around(ask.request, _home(ask), found.next_cursor),
        invited=around(ask.request, f"{_home(ask)}/invitations", invited.next_cursor),
        query=query,
        roles=ROLES,
        where=_where(shown.names),
        now=ask.now,
        own_id=ask.actor.id,
        may_change=ask.may(Scope.MEMBERS_WRITE),
        error=None if error is None else error.problem,
        form=form or {},
    )


async def _member_page(ask: Ask, error: ProblemError | None = None) -> web.Response:
    found = await api.get_member(ask, id_in(ask.request, "user_id"))
    names = await names_for(ask)
    return page(
        ask,
        "member.html",
        status=200 if error is None else error.status.value,
        member=found,
        people=People(members=(), invitations=(), names=names),
        roles=ROLES,
        where=_where(names),
        own_id=ask.actor.id,
        may_change=ask.may(Scope.MEMBERS_WRITE),
        error=None if error is None else error.problem,
    )


async def _removal_page(ask: Ask, error: ProblemError | None = None) -> web.Response:
    found = await api.get_member(ask, id_in(ask.request, "user_id"))
    return page(
        ask,
        "member_remove.html",
        status=200 if error is None else error.status.value,
        member=found,
        word=found.email or "remove",
        error="" if error is None else f"{error.problem.detail} {error.problem.remedy}",
    )


async def _leaving_page(ask: Ask, error: ProblemError | None = None) -> web.Response:
    async with ask.store() as store:
        tenant = await tenants.find(store)
    return page(
        ask,
        "leave.html",
        status=200 if error is None else error.status.value,
        tenant_name="" if tenant is None else tenant.name,
        error="" if error is None else f"{error.problem.detail} {error.problem.remedy}",
    )


def _where(names: Names) -> Sequence[tuple[str, str]]:
    return [("", "Everything, also projects to come"), *((str(key), name) for key, name in names.projects.items())]

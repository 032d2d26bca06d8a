"""Invitations to the tenant: sent, seen, taken back; and accepted by whoever they are for."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.members import check_may_give
from admin.api.shown import Limit, Search, ShownActor, holds_part, shown_actors
from admin.ask import Ask
from admin.auth.identify import now_of
from admin.problems import BadRequestError, ConflictError, NotThereError, RefusedError
from admin.route import Visit
from policies.access import Role
from store import projects, tenants
from store.dsar.contacts import BadAddressError
from store.house import open_house
from store.people import accounts, invitations
from store.people.invitations import Invitation, InvitationRefusedError, NoInvitationError, NotInvitedError
from store.people.memberships import NoSuchProjectError


class PendingInvitation(msgspec.Struct, frozen=True, kw_only=True):
    """One that was not accepted yet."""

    id: UUID
    email: str
    role: Role
    project_id: UUID | None
    """None: on all of the tenant."""
    invited_by: ShownActor
    invited_at: datetime
    expires_at: datetime


class InvitationPage(msgspec.Struct, frozen=True, kw_only=True):
    """Invitations that were not accepted yet, newest first."""

    items: tuple[PendingInvitation, ...]
    next_cursor: UUID | None


class InvitationListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which invitations."""

    search: Search | None = None
    """In the mail address."""
    role: Role | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class NewInvitation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is invited, and to what."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    role: Role
    project_id: UUID | None = None
    """None: on all of the tenant."""


class InvitationLink(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stands in the link of an invitation: `/invitations/{tenant_id}/{token}`."""

    tenant_id: UUID
    token: Annotated[str, Meta(min_length=1, max_length=100)]


class OfferedRole(msgspec.Struct, frozen=True, kw_only=True):
    """What an invitation is to."""

    tenant_id: UUID
    tenant_name: str
    project_name: str | None
    """None: all of the tenant."""
    role: Role
    expires_at: datetime


async def list_invitations(ask: Ask, query: InvitationListQuery) -> InvitationPage:
    """List invitations that were not accepted yet, also those that ended in the last thirty days."""
    async with ask.store() as store:
        found = await invitations.list_invitations(store)
    some = [
        one
        for one in found
        if (query.cursor is None or one.id < query.cursor)
        and query.role in {None, one.role}
        and holds_part(query.search, one.email)
    ]
    shown = some[: query.limit]
    actors = await shown_actors(ask, (one.invited_by for one in shown))
    items = tuple(_pending(one, actors[one.invited_by]) for one in shown)
    return InvitationPage(items=items, next_cursor=items[-1].id if len(some) > query.limit else None)


async def invite(ask: Ask, body: NewInvitation) -> PendingInvitation:
    """Invite somebody by mail; they have a week to accept.

    The answer is the same whether the address has an account or not. Nobody invites to more than they may themselves.
    """
    check_may_give(ask, body.role, body.project_id)
    try:
        email = accounts.read_email(body.email)
    except BadAddressError as error:
        raise BadRequestError(f"{error}.", field="email") from None
    async with ask.store() as store:
        try:
            sent = await invitations.invite(
                store,
                email,
                body.role,
                project_id=body.project_id,
                base_url=ask.services.base_url,
                actor=ask.actor,
                now=ask.now,
            )
        except NoSuchProjectError:
            raise BadRequestError("There is no such project.", field="project_id") from None
        except InvitationRefusedError as error:
            raise ConflictError(str(error)) from None
    return await _shown(ask, sent.invitation)


async def send_invitation_again(ask: Ask, invitation_id: UUID) -> PendingInvitation:
    """Send a new link, good for another week; the old one is over."""
    async with ask.store() as store:
        try:
            found = await invitations.find_invitation(store, invitation_id)
            check_may_give(ask, found.role, found.project_id)
            sent = await invitations.send_again(
                store, invitation_id, base_url=ask.services.base_url, actor=ask.actor, now=ask.now
            )
        except NoInvitationError:
            raise NotThereError from None
    return await _shown(ask, sent.invitation)


async def revoke_invitation(ask: Ask, invitation_id: UUID) -> None:
    """Take an invitation back, at once."""
    async with ask.store() as store:
        try:
            await invitations.revoke_invitation(store, invitation_id, actor=ask.actor)
        except NoInvitationError:
            raise NotThereError from None


async def look_at_invitation(visit: Visit, link: InvitationLink) -> OfferedRole:
    """What somebody is invited to, who has its link and reads the mail of its address.

    Raises:
        ProblemError: 404 where it is over, 403 where it is for another address.
    """
    email = await _own_email(visit)
    async with visit.services.database.tenant(link.tenant_id) as store:
        try:
            found = await invitations.find_by_link(store, link.token, now_of(visit.services))
        except NoInvitationError:
            raise _over() from None
        if found.email != email:
            raise _not_yours()
        tenant = await tenants.find(store)
        project = None if found.project_id is None else await projects.find(store, found.project_id)
    return OfferedRole(
        tenant_id=link.tenant_id,
        tenant_name="" if tenant is None else tenant.name,
        project_name=None if project is None else project.name,
        role=found.role,
        expires_at=found.expires_at,
    )


async def accept_invitation(visit: Visit, body: InvitationLink) -> None:
    """Accept an invitation, signed in with the address that it was sent to."""
    email = await _own_email(visit)
    async with visit.services.database.tenant(body.tenant_id) as store:
        try:
            await invitations.accept(
                store, body.token, user_id=visit.identity.user_id, email=email, now=now_of(visit.services)
            )
        except NoInvitationError:
            raise _over() from None
        except NotInvitedError:
            raise _not_yours() from None


async def _own_email(visit: Visit) -> str:
    async with open_house(visit.services.database) as house:
        account = await accounts.find(house, visit.identity.user_id)
    if account is None:
        raise NotThereError
    return account.email


def _over() -> NotThereError:
    return NotThereError(
        "There is no such invitation, or it is over.", field="token", remedy="Ask whoever invited you for another one"
    )


def _not_yours() -> RefusedError:
    return RefusedError(
        "This invitation is for another mail address.",
        field="token",
        remedy="Sign out, and sign in with the address that the invitation came to",
    )


async def _shown(ask: Ask, invitation: Invitation) -> PendingInvitation:
    actors = await shown_actors(ask, [invitation.invited_by])
    return _pending(invitation, actors[invitation.invited_by])


def _pending(invitation: Invitation, invited_by: ShownActor) -> PendingInvitation:
    return PendingInvitation(
        id=invitation.id,
        email=invitation.email,
        role=invitation.role,
        project_id=invitation.project_id,
        invited_by=invited_by,
        invited_at=invitation.invited_at,
        expires_at=invitation.expires_at,
    )

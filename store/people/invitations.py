"""Invitations: a role that waits for whoever reads the mail of an address.

Nothing of the person is known to the tenant before they accept but what the inviter typed: not their name, nor whether
they have an account, nor where else they are a member. Accepted is one while signed in with that very address, once,
within a week.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlmodel import col, delete, func, select, update
from uuid_utils.compat import uuid7

from policies.access import SCOPES_OF, Grant, Principal, Role, Scope
from policies.audit_tags import Actor, ActorKind, Tag
from store.api_keys import find_key
from store.audit.log import JsonValue, lock, record
from store.outbox import queue_mail
from store.people.challenges import hash_of, new_secret
from store.people.memberships import Membership, NoSuchProjectError, grant_role, grants_of, memberships_of
from store.scope import TenantStore
from store.tables.people import InvitationTable
from store.tables.setup import ProjectTable, TenantTable

LIFE: Final = timedelta(days=7)
_SHOWN_FOR: Final = timedelta(days=30)
"""Ended ones stay in the list so long, so that the inviter sees what became of them."""
MOST_PENDING: Final = 100
"""Of one tenant: nobody uses it to send mail to many."""
_TABLE: Final = "invitations"
_COLUMN: Final = "email"
_ORDER: Final[Sequence[Role]] = ("viewer", "editor", "owner")


class InvitationRefusedError(ValueError):
    """Nobody can be invited like this; says why."""


class NoInvitationError(LookupError):
    """There is none, or it is over."""


class NotInvitedError(Exception):
    """The invitation is for another address than that of whoever is signed in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """One that waits, or that nobody took up in time."""

    id: UUID
    email: str
    project_id: UUID | None
    """None: all of the tenant."""
    role: Role
    invited_by: Actor
    invited_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Sent:
    """An invitation whose mail is on its way, and what is in that mail."""

    invitation: Invitation
    link: str


async def invite(
    store: TenantStore,
    email: str,
    role: Role,
    *,
    project_id: UUID | None = None,
    base_url: str,
    actor: Actor,
    now: datetime,
) -> Sent:
    """Invite somebody, by mail; in place of an invitation to the same that the address has already.

    Args:
        store: The tenant.
        email: As `store.people.accounts.read_email` gives it.
        role: Which they will have.
        project_id: Where; None: on all of the tenant.
        base_url: Under which the server is reached, without a slash at the end.
        actor: Who invites.
        now: The moment.

    Raises:
        NoSuchProjectError: The tenant has no such project.
        InvitationRefusedError: Too many wait already.
    """
    await lock(store)
    if project_id is not None and await _project_name(store, project_id) is None:
        raise NoSuchProjectError(str(project_id))
    for known in await list_invitations(store):
        if (known.email, known.project_id) == (email, project_id):
            await store.change(delete(InvitationTable).where(col(InvitationTable.id) == known.id))
    waiting = select(func.count()).select_from(InvitationTable).where(col(InvitationTable.expires_at) > now)
    if (await store.first(waiting) or 0) >= MOST_PENDING:
        raise InvitationRefusedError(f"{MOST_PENDING} invitations wait already. Revoke some first.")
    token = new_secret()
    invitation = Invitation(
        id=uuid7(),
        email=email,
        project_id=project_id,
        role=role,
        invited_by=actor,
        invited_at=now,
        expires_at=now + LIFE,
    )
    await store.add(
        InvitationTable(
            tenant_id=store.tenant_id,
            id=invitation.id,
            email_sealed=(await store.keys.tenant_columns(store)).seal(email, _TABLE, _COLUMN, invitation.id),
            token_hash=hash_of(token),
            project_id=project_id,
            role=role,
            invited_by_kind=actor.kind,
            invited_by_id=actor.id,
            invited_at=now,
            expires_at=invitation.expires_at,
        )
    )
    await record(store, actor, Tag.MEMBER_INVITED, objects=_objects(invitation), facts={"role": str(role)})
    return await _send(store, invitation, token, base_url)


async def send_again(store: TenantStore, invitation_id: UUID, *, base_url: str, actor: Actor, now: datetime) -> Sent:
    """Send a new link, good for another week, in place of whoever sent the one before, which is over.

    Raises:
        NoInvitationError: There is none.
    """
    found = await _find(store, InvitationTable.id == invitation_id)
    token = new_secret()
    expires_at = now + LIFE
    await store.change(
        update(InvitationTable)
        .where(col(InvitationTable.id) == invitation_id)
        .values(token_hash=hash_of(token), expires_at=expires_at, invited_by_kind=actor.kind, invited_by_id=actor.id)
    )
    facts: dict[str, JsonValue] = {"role": str(found.role), "again": True}
    await record(store, actor, Tag.MEMBER_INVITED, objects=_objects(found), facts=facts)
    return await _send(store, replace(found, expires_at=expires_at, invited_by=actor), token, base_url)


async def list_invitations(store: TenantStore) -> tuple[Invitation, ...]:
    """Those that were not accepted, newest first."""
    rows = await store.all(select(InvitationTable).order_by(col(InvitationTable.id).desc()))
    return tuple([await _invitation(store, row) for row in rows])


async def find_invitation(store: TenantStore, invitation_id: UUID) -> Invitation:
    """One that was not accepted. Raises `NoInvitationError`."""
    return await _find(store, InvitationTable.id == invitation_id)


async def find_by_link(store: TenantStore, token: str, now: datetime) -> Invitation:
    """The invitation of a link. Raises `NoInvitationError` where there is none, or it is over.

    Over it is, too, once whoever has sent it could not send it any more: what they may not do, nobody does for them.
    """
    found = await _find(store, InvitationTable.token_hash == hash_of(token), col(InvitationTable.expires_at) > now)
    if not await _may_still_invite(store, found):
        raise NoInvitationError
    return found


async def accept(store: TenantStore, token: str, *, user_id: UUID, email: str, now: datetime) -> Membership:
    """Become a member. A role that is less than the person has there already changes nothing.

    Args:
        store: The tenant.
        token: Of the link.
        user_id: Who is signed in.
        email: With which address.
        now: The moment.

    Raises:
        NoInvitationError: There is none, or it is over.
        NotInvitedError: It is for another address.
    """
    await find_by_link(store, token, now)  # of a tenant that there is not, nothing can be locked
    await lock(store)
    found = await find_by_link(store, token, now)
    if found.email != email:
        raise NotInvitedError
    await store.change(delete(InvitationTable).where(col(InvitationTable.id) == found.id))
    person = Actor("user", str(user_id))
    await record(store, person, Tag.INVITATION_ACCEPTED, objects={**_objects(found), "user": str(user_id)})
    for held in await memberships_of(store, user_id):
        if held.project_id == found.project_id and _ORDER.index(held.role) >= _ORDER.index(found.role):
            return held
    return await grant_role(store, user_id, found.role, project_id=found.project_id, actor=found.invited_by)


async def revoke_invitation(store: TenantStore, invitation_id: UUID, *, actor: Actor) -> None:
    """Take it back: its link is over at once. Raises `NoInvitationError`."""
    found = await _find(store, InvitationTable.id == invitation_id)
    await store.change(delete(InvitationTable).where(col(InvitationTable.id) == invitation_id))
    await record(store, actor, Tag.INVITATION_REVOKED, objects=_objects(found))


async def end_expired(store: TenantStore, now: datetime) -> int:
    """Forget the addresses of those who did not come; how many."""
    return await store.change(delete(InvitationTable).where(col(InvitationTable.expires_at) < now - _SHOWN_FOR))


async def _send(store: TenantStore, invitation: Invitation, token: str, base_url: str) -> Sent:
    link = f"{base_url}/invitations/{store.tenant_id}/{token}"
    tenant = await store.first(select(TenantTable.name)) or ""
    project = None if invitation.project_id is None else await _project_name(store, invitation.project_id)
    where = tenant if project is None else f"{project} of {tenant}"
    body = (
        f"You are invited to {where} on Aitelier, as {invitation.role}.\n\n"
        f"Open this link by {invitation.expires_at:%Y-%m-%d %H:%M} UTC and sign in with this mail address:"
        f"\n\n{link}\n\n"
        "If you do not know who this is from, do nothing: nothing happens until you accept."
    )
    await queue_mail(
        store, to=invitation.email, subject=f"Your invitation to {where}", body=body, kind="member_invitation"
    )
    return Sent(invitation, link)


async def _may_still_invite(store: TenantStore, invitation: Invitation) -> bool:
    """Whether whoever has sent it holds all that it gives now, and may invite; of the operator nobody asks."""
    by = invitation.invited_by
    match by.kind:
        case "user":
            grants = await grants_of(store, UUID(by.id))
        case "key":
            key = await find_key(store, UUID(by.id))
            grants = () if key is None or key.revoked_at is not None else (Grant(key.scopes, key.project_id),)
        case _:
            return True
    inviter = Principal(actor=by, tenant_id=store.tenant_id, grants=grants)
    may_invite = any(grant.carries(Scope.MEMBERS_WRITE) for grant in grants)
    return may_invite and inviter.may_pass_on(SCOPES_OF[invitation.role], invitation.project_id)


async def _find(store: TenantStore, *which: Any) -> Invitation:
    row = await store.first(select(InvitationTable).where(*which))
    if row is None:
        raise NoInvitationError
    return await _invitation(store, row)


async def _project_name(store: TenantStore, project_id: UUID) -> str | None:
    return await store.first(select(ProjectTable.name).where(ProjectTable.id == project_id))


async def _invitation(store: TenantStore, row: InvitationTable) -> Invitation:
    columns = await store.keys.tenant_columns(store)
    return Invitation(
        id=row.id,
        email=columns.open(row.email_sealed, _TABLE, _COLUMN, row.id),
        project_id=row.project_id,
        role=msgspec.convert(row.role, Role),
        invited_by=Actor(msgspec.convert(row.invited_by_kind, ActorKind), row.invited_by_id),
        invited_at=row.invited_at,
        expires_at=row.expires_at,
    )


def _objects(invitation: Invitation) -> dict[str, str]:
    project = {} if invitation.project_id is None else {"project": str(invitation.project_id)}
    return {"invitation": str(invitation.id), **project}

"""Memberships: who has which role in a tenant, on one project or on all of it.

People are the server's; what they may do is written down with the tenant, and read anew for each request, so a role
that was taken away ends at once. Somebody of an agency has a row in each of its customers' books, and is nobody
special: what they do there stands in that customer's audit log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlmodel import col, delete, select, update
from uuid_utils.compat import uuid7

from policies.access import SCOPES_OF, Grant, Role
from policies.audit_tags import Actor, ActorKind, Tag
from policies.hipaa import handling
from store.audit.log import lock, record
from store.engine import Platform
from store.scope import TenantStore
from store.tables.people import InvitationTable, MembershipTable
from store.tables.setup import ProjectTable, TenantTable

_STANDING: Final = """
SELECT m.project_id, m.role, m.last_seen_at, t.second_factor_for_all,
       EXISTS (SELECT 1 FROM projects p WHERE p.tenant_id = :tenant_id AND p.hipaa) AS hipaa
FROM memberships m JOIN tenants t ON t.tenant_id = m.tenant_id
WHERE m.tenant_id = :tenant_id AND m.user_id = :user_id
"""


class LastOwnerError(Exception):
    """The tenant would be left without anybody who owns all of it."""

    def __init__(self) -> None:
        super().__init__("This is the last owner of the tenant. Make somebody else an owner first")


class NoMemberError(LookupError):
    """There is no such member, or no such role of one."""


class NoSuchProjectError(LookupError):
    """The tenant has no such project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One role of one person."""

    id: UUID
    user_id: UUID
    project_id: UUID | None
    """None: on all of the tenant, also on projects to come."""
    role: Role
    granted_by: Actor
    granted_at: datetime
    last_seen_at: datetime | None
    """When the person was last here, to the hour."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody may do in a tenant, and what it asks of them."""

    grants: Sequence[Grant]
    must_have_second_factor: bool
    """Owners; and everyone, where the tenant asks for it or has a project for health care."""
    last_seen_at: datetime | None
    """To the hour."""
    idle_minutes: int | None
    """Whoever does nothing for so long is signed out; None: they are not."""


@dataclass(frozen=True, slots=True)
class TenantOfPerson:
    """Where somebody is a member."""

    id: UUID
    name: str


async def tenants_of(platform: Platform, user_id: UUID) -> tuple[TenantOfPerson, ...]:
    """Every tenant in which the person has a role, by name."""
    rows = await platform.rows(
        "SELECT t.tenant_id, t.name FROM tenants t"
        " WHERE t.tenant_id IN (SELECT m.tenant_id FROM memberships m WHERE m.user_id = :user_id)"
        " ORDER BY lower(t.name), t.tenant_id",
        user_id=user_id,
    )
    return tuple(TenantOfPerson(*row) for row in rows)


async def standing_of(store: TenantStore, user_id: UUID) -> Standing:
    """The person's grants, none where they are no member."""
    rows = await store.fixed(_STANDING, user_id=user_id)
    grants = tuple(Grant(SCOPES_OF[row.role], row.project_id, row.role) for row in rows)
    handled = handling(hipaa=any(row.hipaa for row in rows))
    for_all = handled.mfa_for_all or any(row.second_factor_for_all for row in rows)
    seen = max((row.last_seen_at for row in rows if row.last_seen_at is not None), default=None)
    must_have_one = for_all or any(grant.role == "owner" for grant in grants)
    return Standing(grants, must_have_one, seen, handled.idle_minutes)


async def note_seen(store: TenantStore, user_id: UUID, now: datetime) -> None:
    """Write down that a member was here; asked for once an hour, so that looking at pages costs no writes."""
    await store.change(update(MembershipTable).where(col(MembershipTable.user_id) == user_id).values(last_seen_at=now))


async def grants_of(store: TenantStore, user_id: UUID) -> Sequence[Grant]:
    """What the person may do here; nothing where they are no member."""
    return (await standing_of(store, user_id)).grants


async def all_memberships(store: TenantStore) -> tuple[Membership, ...]:
    """Every role of every member, oldest first."""
    rows = await store.all(select(MembershipTable).order_by(col(MembershipTable.id)))
    return tuple(_membership(row) for row in rows)


async def owners_of(store: TenantStore) -> Sequence[UUID]:
    """Who owns all of the tenant."""
    return await store.all(
        select(MembershipTable.user_id)
        .where(MembershipTable.role == "owner", col(MembershipTable.project_id).is_(None))
        .order_by(col(MembershipTable.id))
    )


async def memberships_of(store: TenantStore, user_id: UUID) -> tuple[Membership, ...]:
    """The person's roles here, oldest first."""
    statement = select(MembershipTable).where(MembershipTable.user_id == user_id).order_by(col(MembershipTable.id))
    return tuple(_membership(row) for row in await store.all(statement))


async def grant_role(
    store: TenantStore, user_id: UUID, role: Role, *, project_id: UUID | None = None, actor: Actor
) -> Membership:
    """Give somebody a role, in place of the one they have on the same project, or on all of the tenant.

    Raises:
        NoSuchProjectError: The tenant has no such project.
        LastOwnerError: It would take the last owner's place.
    """
    if (
        project_id is not None
        and await store.first(select(ProjectTable.id).where(ProjectTable.id == project_id)) is None
    ):
        raise NoSuchProjectError(str(project_id))
    await lock(store)  # one change after the other, so that two cannot take each other's place
    held = next((one for one in await memberships_of(store, user_id) if one.project_id == project_id), None)
    if held is not None and held.role == role:
        return held
    if held is None:
        membership_id = uuid7()
        row = {"id": membership_id, "user_id": user_id, "project_id": project_id, "role": role}
        await store.put(MembershipTable, [{**row, "granted_by_kind": actor.kind, "granted_by_id": actor.id}])
    else:
        membership_id = held.id
        await _keep_an_owner(store, without=[held])
        await store.change(
            update(MembershipTable)
            .where(col(MembershipTable.id) == held.id)
            .values(role=role, granted_by_kind=actor.kind, granted_by_id=actor.id)
        )
    before = {} if held is None else {"before": str(held.role)}
    tag = Tag.MEMBER_ADDED if held is None else Tag.MEMBER_ROLE_CHANGED
    await record(store, actor, tag, objects=_objects(user_id, project_id), facts={"role": str(role), **before})
    return next(one for one in await memberships_of(store, user_id) if one.id == membership_id)


async def take_role(store: TenantStore, user_id: UUID, membership_id: UUID, *, actor: Actor) -> None:
    """End one role of a member; the last one ends the membership.

    Raises:
        NoMemberError: They have no such role.
        LastOwnerError: It is the last owner's.
    """
    await lock(store)
    roles = await memberships_of(store, user_id)
    held = [one for one in roles if one.id == membership_id]
    if not held:
        raise NoMemberError(str(membership_id))
    await _take(store, user_id, held, actor=actor, all_of_it=len(roles) == 1)


async def remove_member(store: TenantStore, user_id: UUID, *, actor: Actor) -> None:
    """End all roles of a member: removed by somebody else, or leaving.

    Raises:
        NoMemberError: They have none.
        LastOwnerError: They are the last owner.
    """
    await lock(store)
    roles = await memberships_of(store, user_id)
    if not roles:
        raise NoMemberError(str(user_id))
    await _take(store, user_id, roles, actor=actor, all_of_it=True)


async def ask_second_factor_of_all(store: TenantStore, *, wanted: bool, actor: Actor) -> bool:
    """Have every member protect their account by a second factor, or only owners; False when it is so already."""
    statement = update(TenantTable).where(col(TenantTable.second_factor_for_all) != wanted)
    if not await store.change(statement.values(second_factor_for_all=wanted)):
        return False
    await record(store, actor, Tag.TENANT_CHANGED, facts={"second_factor_for_all": wanted})
    return True


async def _take(
    store: TenantStore, user_id: UUID, held: Sequence[Membership], *, actor: Actor, all_of_it: bool
) -> None:
    await _keep_an_owner(store, without=held)
    await store.change(delete(MembershipTable).where(col(MembershipTable.id).in_([one.id for one in held])))
    if all_of_it:  # nor does anybody come in any more whom they have invited
        await store.change(delete(InvitationTable).where(col(InvitationTable.invited_by_id) == str(user_id)))
    leaves = actor == Actor("user", str(user_id))
    if not all_of_it:
        tag, facts = Tag.MEMBER_ROLE_CHANGED, {"before": str(held[0].role)}
        objects = _objects(user_id, held[0].project_id)
    else:
        tag, facts = Tag.MEMBER_LEFT if leaves else Tag.MEMBER_REMOVED, {}
        objects = _objects(user_id, None)
    await record(store, actor, tag, objects=objects, facts=facts)


async def _keep_an_owner(store: TenantStore, *, without: Sequence[Membership]) -> None:
    if not any(one.role == "owner" and one.project_id is None for one in without):
        return
    if set(await owners_of(store)) <= {one.user_id for one in without}:
        raise LastOwnerError


def _objects(user_id: UUID, project_id: UUID | None) -> Mapping[str, str]:
    return {"user": str(user_id), **({} if project_id is None else {"project": str(project_id)})}


def _membership(row: MembershipTable) -> Membership:
    return Membership(
        id=row.id,
        user_id=row.user_id,
        project_id=row.project_id,
        role=msgspec.convert(row.role, Role),
        granted_by=Actor(msgspec.convert(row.granted_by_kind, ActorKind), row.granted_by_id),
        granted_at=row.granted_at,
        last_seen_at=row.last_seen_at,
    )

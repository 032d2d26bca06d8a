"""Members: who may do what in the tenant."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from admin.api.shown import Limit, Search, ShownActor, holds_part, shown_actors
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError, RefusedError
from admin.route import Visit
from policies.access import SCOPES_OF, Role
from store.house import open_house
from store.people import accounts, memberships
from store.people.memberships import LastOwnerError, Membership, NoMemberError, NoSuchProjectError
from store.people.second_factors import have_second_factor


class MemberRole(msgspec.Struct, frozen=True, kw_only=True):
    """One role of a member."""

    id: UUID
    role: Role
    project_id: UUID | None
    """None: on all of the tenant, also on projects to come."""
    granted_by: ShownActor
    granted_at: datetime


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A person with a role in the tenant."""

    user_id: UUID
    email: str | None
    """None once the account is removed."""
    roles: tuple[MemberRole, ...]
    has_second_factor: bool
    last_seen_at: datetime | None
    """In this tenant, to the hour."""


class MemberPage(msgspec.Struct, frozen=True, kw_only=True):
    """Members, those with the oldest accounts first."""

    items: tuple[Member, ...]
    next_cursor: UUID | None


class MemberListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which members."""

    search: Search | None = None
    """In the mail address."""
    role: Role | None = None
    project_id: UUID | None = None
    """With a role on it; one on all of the tenant counts."""
    cursor: UUID | None = None
    limit: Limit = 50


class RoleWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A role, and where."""

    role: Role
    project_id: UUID | None = None
    """None: on all of the tenant."""


class OwnTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant of whoever asks."""

    id: UUID
    name: str


class OwnTenantList(msgspec.Struct, frozen=True, kw_only=True):
    """Where one can go."""

    items: tuple[OwnTenant, ...]


async def list_own_tenants(visit: Visit) -> OwnTenantList:
    """List the tenants in which whoever asks has a role, by name."""
    async with visit.services.database.platform() as platform:
        found = await memberships.tenants_of(platform, visit.identity.user_id)
    return OwnTenantList(items=tuple(OwnTenant(id=one.id, name=one.name) for one in found))


async def list_members(ask: Ask, query: MemberListQuery) -> MemberPage:
    """List members with their roles."""
    async with ask.store() as store:
        found = await memberships.all_memberships(store)
    wanted = {
        one.user_id
        for one in found
        if (query.cursor is None or one.user_id > query.cursor)
        and query.role in {None, one.role}
        and (query.project_id is None or one.project_id in {None, query.project_id})
    }
    if query.search is not None:
        async with open_house(ask.services.database) as house:
            emails = await accounts.emails_of(house, wanted)
        wanted = {user_id for user_id in wanted if holds_part(query.search, emails.get(user_id, ""))}
    shown = sorted(wanted)[: query.limit]
    items = await _members(ask, [one for one in found if one.user_id in shown])
    return MemberPage(items=items, next_cursor=shown[-1] if len(wanted) > query.limit else None)


async def get_member(ask: Ask, user_id: UUID) -> Member:
    """Show one member."""
    async with ask.store() as store:
        found = await memberships.memberships_of(store, user_id)
    if not found:
        raise NotThereError
    (member,) = await _members(ask, found)
    return member


async def set_role(ask: Ask, user_id: UUID, body: RoleWanted) -> Member:
    """Give a member a role, in place of the one they have on the same project, or on all of the tenant.

    Nobody gives or takes a role that may more than they do.
    """
    check_may_give(ask, body.role, body.project_id)
    async with ask.store() as store:
        held = await memberships.memberships_of(store, user_id)
        if not held:
            raise NotThereError
        _check_may_take(ask, [one for one in held if one.project_id == body.project_id])
        try:
            await memberships.grant_role(store, user_id, body.role, project_id=body.project_id, actor=ask.actor)
        except NoSuchProjectError:
            raise BadRequestError("There is no such project.", field="project_id") from None
        except LastOwnerError as error:
            raise _last_owner(error) from None
    return await get_member(ask, user_id)


async def take_role(ask: Ask, user_id: UUID, membership_id: UUID) -> None:
    """End one role of a member, at once; without another they are a member no more."""
    async with ask.store() as store:
        held = await memberships.memberships_of(store, user_id)
        _check_may_take(ask, [one for one in held if one.id == membership_id])
        try:
            await memberships.take_role(store, user_id, membership_id, actor=ask.actor)
        except NoMemberError:
            raise NotThereError from None
        except LastOwnerError as error:
            raise _last_owner(error) from None


async def remove_member(ask: Ask, user_id: UUID) -> None:
    """End all roles of a member, at once, and the invitations they have sent.

    API keys that they have made go on: those are the tenant's, and are revoked on their own.
    """
    async with ask.store() as store:
        _check_may_take(ask, await memberships.memberships_of(store, user_id))
        try:
            await memberships.remove_member(store, user_id, actor=ask.actor)
        except NoMemberError:
            raise NotThereError from None
        except LastOwnerError as error:
            raise _last_owner(error) from None


async def leave(ask: Ask) -> None:
    """End one's own membership. The last owner cannot."""
    if ask.actor.kind != "user":
        raise ConflictError("A key is no member.", remedy="Revoke it instead")
    async with ask.store() as store:
        try:
            await memberships.remove_member(store, UUID(ask.actor.id), actor=ask.actor)
        except NoMemberError:
            raise NotThereError from None
        except LastOwnerError as error:
            raise _last_owner(error) from None


def check_may_give(ask: Ask, role: Role, project_id: UUID | None) -> None:
    """Go on only if whoever asks has all that the role has.

    Raises:
        RefusedError: They have not.
    """
    if not ask.principal.may_pass_on(SCOPES_OF[role], project_id):
        raise RefusedError("Nobody gives a role that may more than they do.", field="role")


def _check_may_take(ask: Ask, held: Collection[Membership]) -> None:
    for one in held:
        if not ask.principal.may_pass_on(SCOPES_OF[one.role], one.project_id):
            raise RefusedError("Nobody takes a role that may more than they do.", remedy="Ask an owner")


def _last_owner(error: LastOwnerError) -> ConflictError:
    return ConflictError(f"{error}.", field="role")


async def _members(ask: Ask, found: Sequence[Membership]) -> tuple[Member, ...]:
    """Those who have these roles."""
    by_user: defaultdict[UUID, list[Membership]] = defaultdict(list)
    for one in found:
        by_user[one.user_id].append(one)
    async with open_house(ask.services.database) as house:
        emails = await accounts.emails_of(house, by_user)
        protected = await have_second_factor(house, by_user)
    actors = await shown_actors(ask, (one.granted_by for one in found))
    return tuple(
        Member(
            user_id=user_id,
            email=emails.get(user_id),
            roles=tuple(
                MemberRole(
                    id=one.id,
                    role=one.role,
                    project_id=one.project_id,
                    granted_by=actors[one.granted_by],
                    granted_at=one.granted_at,
                )
                for one in roles
            ),
            has_second_factor=user_id in protected,
            last_seen_at=max((one.last_seen_at for one in roles if one.last_seen_at is not None), default=None),
        )
        for user_id, roles in sorted(by_user.items())
    )

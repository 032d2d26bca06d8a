"""API keys: made with the scopes that a program needs, shown once, rotated, revoked."""

from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from admin.api.shown import Limit, Search, ShownActor, holds_part, shown_actors
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError, RefusedError
from admin.services import SERVICES
from policies.access import Scope
from policies.api_keys import LONGEST_NAME, MOST_NETWORKS, PREFIX, KeyWish, is_well_formed, may_make
from policies.audit_tags import Actor
from policies.verdict import Deny
from store import api_keys
from store.api_keys import ApiKey, KeyRefusedError, NewKey, NoKeyError
from store.house import open_house
from store.outbox import queue_mail
from store.people import accounts
from store.people.memberships import owners_of

LONGEST_OVERLAP_HOURS = 168


class ApiKeyShown(msgspec.Struct, frozen=True, kw_only=True):
    """What can be shown of a key."""

    id: UUID
    name: str
    prefix: str
    """What the key begins with."""
    last_four: str
    scopes: tuple[Scope, ...]
    project_id: UUID | None
    """None: on all of the tenant."""
    networks: tuple[str, ...]
    """From where it may be used, as CIDR; empty: from anywhere."""
    made_by: ShownActor
    made_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None
    is_over: bool
    """Revoked, or past its end."""


class ApiKeyMade(ApiKeyShown, frozen=True, kw_only=True):
    """A key, at the only moment at which it can be read."""

    key: str


class ApiKeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """Keys, newest first."""

    items: tuple[ApiKeyShown, ...]
    next_cursor: UUID | None


class ApiKeyListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which keys."""

    search: Search | None = None
    """In the name, or its last characters."""
    state: Literal["good", "over"] | None = None
    project_id: UUID | None = None
    """Made for this one."""
    cursor: UUID | None = None
    limit: Limit = 50


class NewApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the key is for, and what it may."""

    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    """Such as the program that uses it."""
    scopes: Annotated[tuple[Scope, ...], Meta(min_length=1)]
    project_id: UUID | None = None
    """None: on all of the tenant."""
    networks: Annotated[tuple[str, ...], Meta(max_length=MOST_NETWORKS)] = ()
    """From where it may be used, as CIDR; empty: from anywhere."""
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class RotateApiKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the old key ends."""

    overlap_hours: Annotated[int, Meta(ge=0, le=LONGEST_OVERLAP_HOURS)] = 24
    """For so long the old key goes on beside the new one; 0: it is over at once."""


class LeakedKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that was found where it must not be."""

    key: Annotated[str, Meta(min_length=1, max_length=200)]


async def list_keys(ask: Ask, query: ApiKeyListQuery) -> ApiKeyPage:
    """List API keys, also those that are over, newest first."""
    async with ask.store() as store:
        found = await api_keys.list_keys(store)
    some = [
        key
        for key in found
        if (query.cursor is None or key.id < query.cursor)
        and query.project_id in {None, key.project_id}
        and (query.state is None or key.is_over(ask.now) == (query.state == "over"))
        and holds_part(query.search, key.name, key.last_four)
    ]
    shown = some[: query.limit]
    actors = await shown_actors(ask, (key.made_by for key in shown))
    items = tuple(_shown(ask, key, actors[key.made_by]) for key in shown)
    return ApiKeyPage(items=items, next_cursor=items[-1].id if len(some) > query.limit else None)


async def get_key(ask: Ask, key_id: UUID) -> ApiKeyShown:
    """Show one key; never the key itself."""
    async with ask.store() as store:
        key = await api_keys.find_key(store, key_id)
    if key is None:
        raise NotThereError
    return _shown(ask, key, (await shown_actors(ask, [key.made_by]))[key.made_by])


async def make_key(ask: Ask, body: NewApiKey) -> ApiKeyMade:
    """Make an API key. It stands in this answer, and nowhere else ever again.

    It gets no scope that its maker does not have; members:write, keys:write and billing:write only from an owner of the
    tenant who is a person; and what asks people for a second factor only for ninety days at most.
    """
    if body.expires_at is not None and body.expires_at.tzinfo is None:
        raise BadRequestError("A time needs its zone.", field="expires_at", remedy="Such as 2027-01-31T00:00:00Z")
    wish = KeyWish(
        name=body.name.strip(),
        scopes=frozenset(body.scopes),
        project_id=body.project_id,
        networks=body.networks,
        expires_at=body.expires_at,
    )
    async with ask.store() as store:
        verdict = may_make(ask.principal, wish)
        if isinstance(verdict, Deny):
            raise RefusedError(verdict.reason, field="scopes")
        try:
            made = await api_keys.make_key(store, wish, actor=ask.actor, now=ask.now)
        except KeyRefusedError as error:
            raise BadRequestError(error.flaw.reason, field=error.flaw.field) from None
    return await _made(ask, made)


async def revoke_key(ask: Ask, key_id: UUID) -> None:
    """Revoke a key: the next request with it is refused."""
    async with ask.store() as store:
        try:
            await api_keys.revoke_key(store, key_id, actor=ask.actor, now=ask.now)
        except NoKeyError:
            raise NotThereError from None


async def rotate_key(ask: Ask, key_id: UUID, body: RotateApiKey) -> ApiKeyMade:
    """Make a new key in place of one, with the same scopes, networks and length of life. It is shown this once."""
    async with ask.store() as store:
        old = await api_keys.find_key(store, key_id)
        if old is None:
            raise NotThereError
        if old.is_over(ask.now):
            raise ConflictError("This key is over.", remedy="Make a new one")
        verdict = may_make(ask.principal, KeyWish(name=old.name, scopes=old.scopes, project_id=old.project_id))
        if isinstance(verdict, Deny):
            raise RefusedError(verdict.reason)
        made = await api_keys.rotate_key(
            store, key_id, actor=ask.actor, overlap=timedelta(hours=body.overlap_hours), now=ask.now
        )
    return await _made(ask, made)


async def report_leak(request: web.Request, body: LeakedKey) -> None:
    """Report a key that was found where it must not be: whoever holds it revokes it. Answers the same if it is none.

    The owners of its tenant are told by mail.
    """
    services = request.app[SERVICES]
    if not is_well_formed(body.key):
        return
    async with services.database.platform() as platform:
        found = await api_keys.whose_key(platform, body.key)
    if found is None:
        return
    async with services.database.tenant(found.tenant_id) as store:
        owners = await owners_of(store)
    async with open_house(services.database) as house:
        addresses = (await accounts.emails_of(house, owners)).values()
    async with services.database.tenant(found.tenant_id) as store:
        before = await api_keys.find_key(store, found.id)
        if before is None or before.revoked_at is not None:
            return
        key = await api_keys.revoke_key(store, found.id, actor=Actor("key", str(found.id)), leaked=True)
        for address in addresses:
            await queue_mail(
                store, to=address, subject="An API key was revoked", body=_leak_letter(key), kind="key_leak"
            )


def _leak_letter(key: ApiKey) -> str:
    return (
        f"Somebody found your API key {PREFIX}…{key.last_four} where it must not be, and reported it. It was revoked at"
        " once: whatever uses it has stopped working.\n\nMake a new key under API keys, find out where the old one got"
        " out, and look in the audit log for what was done with it."
    )


async def _made(ask: Ask, made: NewKey) -> ApiKeyMade:
    actors = await shown_actors(ask, [made.key.made_by])
    shown = _shown(ask, made.key, actors[made.key.made_by])
    return ApiKeyMade(**msgspec.structs.asdict(shown), key=made.secret.reveal())


def _shown(ask: Ask, key: ApiKey, made_by: ShownActor) -> ApiKeyShown:
    return ApiKeyShown(
        id=key.id,
        name=key.name,
        prefix=PREFIX,
        last_four=key.last_four,
        scopes=tuple(sorted(key.scopes)),
        project_id=key.project_id,
        networks=tuple(key.networks),
        made_by=made_by,
        made_at=key.made_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        is_over=key.is_over(ask.now),
    )

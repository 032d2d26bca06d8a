"""Keys of the HTTP API: made, shown once, used, revoked.

Only a key's SHA-256 is kept. That is enough for 178 bits of chance: there is nothing to guess, and so nothing that a
slow hash would make slower to guess.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlmodel import col, or_, select, update
from uuid_utils.compat import uuid7

from policies.access import Scope
from policies.api_keys import ALPHABET, BODY_LENGTH, Flaw, KeyWish, complete, flaw_in
from policies.audit_tags import Actor, ActorKind, Tag
from policies.secret import Secret
from store.audit.log import record
from store.engine import Platform
from store.scope import TenantStore
from store.tables.api import ApiKeyTable
from store.tables.setup import ProjectTable

_USE_NOTED_EVERY: Final = timedelta(minutes=1)


class KeyRefusedError(ValueError):
    """Such a key cannot be; says why, and what of it."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.reason)
        self.flaw = flaw


class NoKeyError(LookupError):
    """The tenant has no such key, or it is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What can be shown of a key."""

    id: UUID
    name: str
    last_four: str
    scopes: frozenset[Scope]
    project_id: UUID | None
    """None: on all of the tenant's projects."""
    networks: Sequence[str]
    """From where it may be used, as CIDR; empty: from anywhere."""
    made_by: Actor
    made_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""
    revoked_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Whether it opens nothing any more."""
        return self.revoked_at is not None or (self.expires_at is not None and self.expires_at <= now)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key, and the only moment at which it can be read."""

    key: ApiKey
    secret: Secret


@dataclass(frozen=True, slots=True)
class KeyOfTenant:
    """Whose key it is."""

    tenant_id: UUID
    id: UUID


async def whose_key(platform: Platform, text: str) -> KeyOfTenant | None:
    """Which key this is; None where it is none. What cannot be a key by its checksum need not be asked for."""
    rows = await platform.rows("SELECT tenant_id, id FROM api_keys WHERE key_hash = :hash", hash=_hash(text))
    return KeyOfTenant(*rows[0]) if rows else None


async def make_key(store: TenantStore, wish: KeyWish, *, actor: Actor, now: datetime | None = None) -> NewKey:
    """A new key. Whether the actor may have it made is asked before (`policies.api_keys.may_make`).

    Raises:
        KeyRefusedError: Such a key cannot be, or there is no such project.
    """
    now = now or datetime.now(UTC)
    flaw = flaw_in(wish, now)
    if flaw is not None:
        raise KeyRefusedError(flaw)
    project = select(ProjectTable.id).where(ProjectTable.id == wish.project_id)
    if wish.project_id is not None and await store.first(project) is None:
        raise KeyRefusedError(Flaw("project_id", "There is no such project."))
    made = await _put(store, wish, actor, now)
    await record(
        store,
        actor,
        Tag.KEY_CREATED,
        objects=_objects(made.key),
        facts={
            "scopes": sorted(wish.scopes),
            "networks": list(wish.networks),
            "expires_at": None if wish.expires_at is None else wish.expires_at.isoformat(),
        },
    )
    return made


async def list_keys(store: TenantStore) -> tuple[ApiKey, ...]:
    """Every key there ever was, newest first."""
    return tuple(_key(row) for row in await store.all(select(ApiKeyTable).order_by(col(ApiKeyTable.id).desc())))


async def find_key(store: TenantStore, api_key_id: UUID) -> ApiKey | None:
    """The key, if this tenant has it."""
    row = await store.first(select(ApiKeyTable).where(ApiKeyTable.id == api_key_id))
    return None if row is None else _key(row)


async def note_use(store: TenantStore, api_key_id: UUID, now: datetime) -> bool:
    """Write down that a key was used; at most once a minute, so that many requests cost one write."""
    statement = update(ApiKeyTable).where(
        col(ApiKeyTable.id) == api_key_id,
        or_(col(ApiKeyTable.last_used_at).is_(None), col(ApiKeyTable.last_used_at) < now - _USE_NOTED_EVERY),
    )
    return await store.change(statement.values(last_used_at=now)) > 0


async def revoke_key(
    store: TenantStore, api_key_id: UUID, *, actor: Actor, leaked: bool = False, now: datetime | None = None
) -> ApiKey:
    """End a key at once; one that has ended stays as it is.

    Raises:
        NoKeyError: There is none.
    """
    changed = await store.change(
        update(ApiKeyTable)
        .where(col(ApiKeyTable.id) == api_key_id, col(ApiKeyTable.revoked_at).is_(None))
        .values(revoked_at=now or datetime.now(UTC))
    )
    key = await find_key(store, api_key_id)
    if key is None:
        raise NoKeyError(str(api_key_id))
    if changed:
        await record(store, actor, Tag.KEY_REVOKED, objects=_objects(key), facts={"leaked": leaked})
    return key


async def rotate_key(
    store: TenantStore, api_key_id: UUID, *, actor: Actor, overlap: timedelta, now: datetime | None = None
) -> NewKey:
    """A new key that may the same and lives as long as the old one was made to; the old one ends after the overlap.

    Raises:
        NoKeyError: There is none, or it is over.
    """
    now = now or datetime.now(UTC)
    row = await store.first(select(ApiKeyTable).where(ApiKeyTable.id == api_key_id).with_for_update())
    if row is None or _key(row).is_over(now):
        raise NoKeyError(str(api_key_id))
    old = _key(row)
    life = None if old.expires_at is None else old.expires_at - old.made_at
    wish = KeyWish(
        name=old.name,
        scopes=old.scopes,
        project_id=old.project_id,
        networks=old.networks,
        expires_at=None if life is None else now + life,
    )
    made = await _put(store, wish, actor, now)
    if overlap:
        ends = now + overlap if old.expires_at is None else min(now + overlap, old.expires_at)
        change = update(ApiKeyTable).where(col(ApiKeyTable.id) == api_key_id).values(expires_at=ends)
    else:
        change = update(ApiKeyTable).where(col(ApiKeyTable.id) == api_key_id).values(revoked_at=now)
    await store.change(change)
    objects = {**_objects(made.key), "replaced_key": str(api_key_id)}
    await record(store, actor, Tag.KEY_ROTATED, objects=objects, facts={"overlap_s": int(overlap.total_seconds())})
    return made


async def _put(store: TenantStore, wish: KeyWish, actor: Actor, now: datetime) -> NewKey:
    text = complete("".join(secrets.choice(ALPHABET) for _ in range(BODY_LENGTH)))
    row = ApiKeyTable(
        tenant_id=store.tenant_id,
        id=uuid7(),
        name=wish.name,
        key_hash=_hash(text),
        last_four=text[-4:],
        scopes=sorted(wish.scopes),
        project_id=wish.project_id,
        networks=list(wish.networks),
        made_by_kind=actor.kind,
        made_by_id=actor.id,
        made_at=now,
        expires_at=wish.expires_at,
    )
    await store.add(row)
    return NewKey(_key(row), Secret(text))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _objects(key: ApiKey) -> dict[str, str]:
    return {"api_key": str(key.id), **({} if key.project_id is None else {"project": str(key.project_id)})}


def _key(row: ApiKeyTable) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        last_four=row.last_four,
        scopes=frozenset(Scope(one) for one in row.scopes),
        project_id=row.project_id,
        networks=tuple(row.networks),
        made_by=Actor(msgspec.convert(row.made_by_kind, ActorKind), row.made_by_id),
        made_at=row.made_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )

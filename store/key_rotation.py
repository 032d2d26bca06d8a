"""The life of a tenant's keys: renewed on a schedule, kept for opening while anything lies under them, then destroyed.

`store.reencryption` brings what exists under the new keys. What keys are due, and when an old one may go, is said in
`policies.key_schedule`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

import msgspec
from sqlmodel import col, select, update

from policies.audit_tags import Actor, Tag
from policies.key_schedule import (
    MOST_SEALS,
    OVERDUE_DAYS,
    OVERDUE_SEALS,
    RENEWED,
    ROTATE_DAYS,
    Purpose,
    is_due,
    is_overdue,
    may_be_destroyed,
)
from store.audit.log import record
from store.engine import Platform
from store.scope import TenantStore
from store.sealed_rows import rows_under
from store.tables.keys import TenantKeyTable

State = Literal["primary", "decrypt_only", "destroyed"]
"""The newest of its kind; what lies under it still opens; gone for good, with all that was ever under it."""

_WITH_WORK: Final = """
SELECT DISTINCT tenant_id FROM keys.tenant_keys
WHERE state = 'decrypt_only'
   OR (state = 'primary' AND purpose <> 'signing' AND (created_at <= :before OR seals >= :most))
ORDER BY tenant_id
"""
_AGES: Final = """
SELECT purpose, min(created_at) AS oldest,
       count(*) FILTER (WHERE purpose <> 'signing' AND (created_at <= :before OR seals >= :most)) AS overdue
FROM keys.tenant_keys WHERE state = 'primary' GROUP BY purpose ORDER BY purpose
"""
_ROOTS: Final = """
SELECT root_id, count(*) AS keys FROM keys.tenant_keys WHERE root_id IS NOT NULL GROUP BY root_id
"""
_OLDEST_UNDER_ROOT: Final = "SELECT min(created_at) AS oldest FROM keys.tenant_keys WHERE root_id = :root_id"
_UNDER_OTHER_ROOT: Final = """
SELECT DISTINCT tenant_id FROM keys.tenant_keys WHERE root_id <> :root_id ORDER BY tenant_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyStatus:
    """One key of a tenant, without the key."""

    purpose: Purpose
    id: bytes
    state: State
    created_at: datetime
    seals: int
    """What it has made; a little fewer than it really were, where processes were killed."""
    rows: int
    """What lies under it now."""
    due: bool
    overdue: bool
    empty_since: datetime | None
    destroyed_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeyAges:
    """Primary keys of all tenants, by purpose."""

    oldest: dict[Purpose, datetime]
    overdue: int


async def rotate(store: TenantStore, *, actor: Actor) -> None:
    """Make new primary keys. They open at once, and seal once every process knows them (`store.keys.PUBLISHED`)."""
    for purpose in RENEWED:
        primary = (col(TenantKeyTable.purpose) == purpose.value, col(TenantKeyTable.state) == "primary")
        await store.change(update(TenantKeyTable).where(*primary).values(state="decrypt_only"))
        await store.keys.add_key(store, purpose)
    await record(store, actor, Tag.KEYS_ROTATED, facts={"keys": list(RENEWED)})


async def is_any_due(store: TenantStore, now: datetime) -> bool:
    """Whether a key of the tenant is to be renewed."""
    primary = await store.all(select(TenantKeyTable).where(TenantKeyTable.state == "primary"))
    return any(row.purpose in RENEWED and is_due(row.created_at, row.seals, now) for row in primary)


async def status(store: TenantStore, now: datetime) -> tuple[KeyStatus, ...]:
    """Every key that the tenant has or had, by purpose, newest first."""
    rows = await store.all(
        select(TenantKeyTable).order_by(col(TenantKeyTable.purpose), col(TenantKeyTable.created_at).desc())
    )
    return tuple([await _status(store, row, now) for row in rows])


async def destroy_empty(store: TenantStore, *, actor: Actor, now: datetime) -> int:
    """Destroy the old keys under which nothing has been for as long as backups are kept; how many."""
    destroyed = 0
    old = select(TenantKeyTable).where(TenantKeyTable.state == "decrypt_only").with_for_update()
    for row in await store.all(old):
        this = (col(TenantKeyTable.purpose) == row.purpose, col(TenantKeyTable.key_id) == row.key_id)
        if await rows_under(store, Purpose(row.purpose), row.key_id):
            await store.change(update(TenantKeyTable).where(*this).values(empty_since=None))
        elif row.empty_since is None:
            await store.change(update(TenantKeyTable).where(*this).values(empty_since=now))
        elif may_be_destroyed(row.empty_since, now):
            gone = {"state": "destroyed", "wrapped": None, "root_id": None, "destroyed_at": now}
            await store.change(update(TenantKeyTable).where(*this).values(**gone))
            await record(
                store, actor, Tag.KEYS_DESTROYED, objects={"key": row.key_id.hex()}, facts={"purpose": row.purpose}
            )
            destroyed += 1
    return destroyed


async def tenants_with_work(platform: Platform, now: datetime) -> tuple[UUID, ...]:
    """Whose keys are due, or have old keys that wait to be emptied and destroyed."""
    before = now - timedelta(days=ROTATE_DAYS)
    return tuple(row.tenant_id for row in await platform.rows(_WITH_WORK, before=before, most=MOST_SEALS))


async def ages(platform: Platform, now: datetime) -> KeyAges:
    """How old the oldest primary key of each purpose is, and how many should have been renewed long ago."""
    before = now - timedelta(days=OVERDUE_DAYS)
    rows = await platform.rows(_AGES, before=before, most=OVERDUE_SEALS)
    return KeyAges({Purpose(row.purpose): row.oldest for row in rows}, sum(row.overdue for row in rows))


async def keys_by_root(platform: Platform) -> dict[bytes, int]:
    """How many keys of tenants are wrapped by which root key, named by its id."""
    return {bytes(row.root_id): row.keys for row in await platform.rows(_ROOTS)}


async def oldest_under_root(platform: Platform, root_id: bytes) -> datetime | None:
    """When the oldest key of a tenant was made that this root key wraps; None where it wraps none."""
    (row,) = await platform.rows(_OLDEST_UNDER_ROOT, root_id=root_id)
    oldest: datetime | None = row.oldest
    return oldest


async def tenants_under_other_root(platform: Platform, root_id: bytes) -> tuple[UUID, ...]:
    """Whose keys are not, or not all, wrapped by this root key."""
    return tuple(row.tenant_id for row in await platform.rows(_UNDER_OTHER_ROOT, root_id=root_id))


async def _status(store: TenantStore, row: TenantKeyTable, now: datetime) -> KeyStatus:
    purpose, primary = Purpose(row.purpose), row.state == "primary" and row.purpose in RENEWED
    return KeyStatus(
        purpose=purpose,
        id=row.key_id,
        state=msgspec.convert(row.state, State),
        created_at=row.created_at,
        seals=row.seals,
        rows=await rows_under(store, purpose, row.key_id),
        due=primary and is_due(row.created_at, row.seals, now),
        overdue=primary and is_overdue(row.created_at, row.seals, now),
        empty_since=row.empty_since,
        destroyed_at=row.destroyed_at,
    )

"""The key ring: root key, then some keys for each tenant, then one data key per call.

Each key lies wrapped by the one above it, in a schema of its own. Deleting the wrapped data key of a call makes the
call unreadable for good: recording, transcript and caller's number are sealed under keys derived from it.

A tenant's keys are renewed (`store.key_rotation`). Several processes have them in memory, so a new one is used for
opening at once, and for sealing only when every process must have seen it.
"""

import functools
import os
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID
from weakref import WeakKeyDictionary

import structlog
from sqlmodel import col, delete, select, update

from policies.key_schedule import RENEWED, Purpose
from store.scope import TenantStore
from store.sealing import (
    VERSION,
    Columns,
    SealBrokenError,
    Sealer,
    column_key,
    derive,
    framed,
    key_id,
    sealer_of,
    tag_of,
)
from store.tables.base import among
from store.tables.keys import DataKeyTable, TenantKeyTable

log = structlog.get_logger()

_REMEMBERED: Final = timedelta(seconds=60)
"""So long a process uses the keys that it has seen before it looks again."""
PUBLISHED: Final = timedelta(seconds=120)
"""After so long every process has seen a new key, also one that was in the middle of a transaction."""
_INDEX_BYTES: Final = 20
_NO_INDEX: Final = b"\xff\xff\xff\xff"
"""No key has this id, so that the ids of each have a successor."""

# Whoever changes the key's row at the same moment need not be waited for: what it does not get now, it gets next time.
_ADD_SEALS = """
UPDATE keys.tenant_keys SET seals = seals + :seals
WHERE tenant_id = :tenant_id AND purpose = :purpose AND key_id = (
    SELECT free.key_id FROM keys.tenant_keys free
    WHERE free.tenant_id = :tenant_id AND free.purpose = :purpose AND free.key_id = :key_id FOR UPDATE SKIP LOCKED)
RETURNING seals
"""


class KeyShreddedError(Exception):
    """The key is gone for good: the call was erased, or is not this tenant's."""


class RootKeyError(SealBrokenError):
    """A tenant's keys are wrapped by another root key than those we have."""

    def __init__(self) -> None:
        super().__init__(
            "AITELIER_MASTER_KEY is not the root key of this database. Set the one that it was last started with, "
            "or set that one as AITELIER_MASTER_KEY_OLD to go over to the new one"
        )


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one call, plain and wrapped."""

    key: bytes = field(repr=False)
    """32 bytes."""
    wrapped: bytes = field(repr=False)
    """The same, readable only through the tenant's key and only for its call."""


@dataclass(frozen=True, slots=True)
class TenantKey:
    """One key of a tenant, opened."""

    purpose: Purpose
    id: bytes
    """Four bytes that stand in whatever it made."""
    key: bytes = field(repr=False)
    """32 bytes."""
    created_at: datetime

    @property
    def prefix(self) -> bytes:
        """What everything begins with that it has wrapped, sealed or indexed."""
        return prefix_of(self.purpose, self.id)


def is_index(value: bytes) -> bool:
    """Whether this may be a blind index; the audit log means some persons by 16 random bytes instead."""
    return len(value) == _INDEX_BYTES


def prefix_of(purpose: Purpose, number: bytes) -> bytes:
    """What everything begins with that the key of this id has made."""
    return number if purpose is Purpose.INDEX else VERSION + number


class KeyRing:
    """Opens wrapped keys. Tenants' keys stay in memory for a minute once opened; calls' keys do not."""

    def __init__(self, master_key: bytes, old_master_key: bytes | None = None) -> None:
        """Keys are wrapped by the first root key; whatever the second has wrapped still opens."""
        self._root = _root_sealer(master_key)
        self._derive = functools.partial(derive, master_key)
        self._old_root = None if old_master_key is None else _root_sealer(old_master_key)
        self._known: dict[tuple[UUID, Purpose], tuple[float, tuple[TenantKey, ...]]] = {}
        """By tenant and purpose: until when (monotonic seconds) they may be used, and what `_look` has found."""
        self._young: WeakKeyDictionary[TenantStore, dict[Purpose, tuple[TenantKey, ...]]] = WeakKeyDictionary()
        """The same for one transaction, of keys so new that they may still be rolled back with what makes them."""
        self._seals: defaultdict[tuple[UUID, Purpose], Counter[bytes]] = defaultdict(Counter)
        """Made since they were last written down, by id of the key. A killed process forgets its last minute."""

    @property
    def root_id(self) -> bytes:
        """Names the root key, without telling anything of it."""
        return self._root.key_id

    @property
    def old_root_id(self) -> bytes | None:
        """Names its predecessor, if we were given one."""
        return None if self._old_root is None else self._old_root.key_id

    def server_key(self, label: str) -> bytes:
        """32 bytes of the whole server for one use, for what may fail once when the root key is changed."""
        return self._derive(label)

    async def new_tenant_keys(self, store: TenantStore) -> None:
        """Give the tenant its keys, unless it has them."""
        for purpose in RENEWED:
            if not await self._look(store, purpose):
                await self.add_key(store, purpose)

    async def add_key(self, store: TenantStore, purpose: Purpose) -> bytes:
        """A new primary key, where there is none; its id."""
        key = os.urandom(32)
        while (number := _id_of(purpose, key)) == _NO_INDEX:
            key = os.urandom(32)
        row = {"purpose": purpose.value, "key_id": number, "state": "primary", **self._wrapped(store, purpose, key)}
        await store.put(TenantKeyTable, [row])
        self._young.pop(store, None)
        return number

    def _wrapped(self, store: TenantStore, purpose: Purpose, key: bytes) -> dict[str, bytes]:
        place = _tenant_key_place(store.tenant_id, purpose, _id_of(purpose, key))
        return {"wrapped": self._root.seal(key, place), "root_id": self._root.key_id}

    async def rewrap_tenant_keys(self, store: TenantStore) -> int:
        """Wrap by the new root key what is still under the old one; how many keys."""
        old = TenantKeyTable.root_id != self._root.key_id
        count = 0
        for row in await store.all(select(TenantKeyTable).where(old)):
            purpose = Purpose(row.purpose)
            key = self._open(store, row)
            count += await store.change(
                update(TenantKeyTable)
                .where(
                    col(TenantKeyTable.purpose) == row.purpose,
                    col(TenantKeyTable.key_id) == row.key_id,
                    col(TenantKeyTable.wrapped) == row.wrapped,
                )
                .values(**self._wrapped(store, purpose, key))
            )
        return count

    async def new_data_key(self, store: TenantStore, session_id: UUID) -> DataKey:
        """A fresh key for a call, kept in wrapped form from now on."""
        made = await self.make_data_key(store, session_id)
        await store.add(DataKeyTable(tenant_id=store.tenant_id, session_id=session_id, wrapped=made.wrapped))
        return made

    async def make_data_key(self, store: TenantStore, session_id: UUID) -> DataKey:
        """A fresh key for a call, which the caller writes down."""
        key = os.urandom(32)
        return DataKey(key, await self._wrap(store, key, _data_key_place(store.tenant_id, session_id)))

    async def rewrap_data_key(self, store: TenantStore, session_id: UUID, wrapped: bytes) -> bytes:
        """The same key, wrapped by the tenant's key of today. Raises `KeyShreddedError` as `unwrap_data_key`."""
        key = await self.unwrap_data_key(store, session_id, wrapped)
        return await self._wrap(store, key, _data_key_place(store.tenant_id, session_id))

    async def signing_seed(self, server: TenantStore) -> bytes:
        """32 bytes from which the server's signing keys are made, kept for as long as the server's own log."""
        if not (kept := await self._look(server, Purpose.SIGNING)):
            await self.add_key(server, Purpose.SIGNING)
            kept = await self._look(server, Purpose.SIGNING)
        return kept[0].key

    async def make_subject_key(self, store: TenantStore, subject: bytes) -> DataKey:
        """A fresh key for a person's traces in the audit log, which the caller writes down."""
        key = os.urandom(32)
        return DataKey(key, await self._wrap(store, key, _subject_key_place(store.tenant_id, subject)))

    async def rewrap_subject_key(
        self, store: TenantStore, subject: bytes, wrapped: bytes, *, renamed: bytes | None = None
    ) -> bytes:
        """The same key, wrapped by the tenant's key of today, and for the person's new index where that is renamed.

        Raises `KeyShreddedError` as `unwrap_subject_key`.
        """
        key = await self.unwrap_subject_key(store, subject, wrapped)
        return await self._wrap(store, key, _subject_key_place(store.tenant_id, renamed or subject))

    async def unwrap_subject_key(self, store: TenantStore, subject: bytes, wrapped: bytes) -> bytes:
        """The plain key of a person's traces. Raises `KeyShreddedError` when no key of this tenant opens it."""
        return await self._unwrap(store, wrapped, _subject_key_place(store.tenant_id, subject))

    async def unwrap_data_key(self, store: TenantStore, session_id: UUID, wrapped: bytes) -> bytes:
        """The plain key, from its wrapped form as a journal's header carries it.

        Raises:
            KeyShreddedError: No key of this tenant opens it for this call.
        """
        return await self._unwrap(store, wrapped, _data_key_place(store.tenant_id, session_id))

    async def data_key(self, store: TenantStore, session_id: UUID) -> bytes:
        """The plain key of a call.

        Raises:
            KeyShreddedError: The call was erased, or is not this tenant's.
        """
        found = await self.data_keys(store, (session_id,))
        if session_id not in found:
            raise KeyShreddedError("the key was deleted, or does not open")
        return found[session_id]

    async def data_keys(self, store: TenantStore, session_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """The plain keys of these calls; erased ones are missing, and those that do not open."""
        wrapped = select(DataKeyTable.session_id, DataKeyTable.wrapped)
        rows = await store.rows(wrapped.where(among(DataKeyTable.session_id, session_ids)))
        return await self.unwrap_data_keys(store, dict(rows))

    async def unwrap_data_keys(self, store: TenantStore, wrapped: Mapping[UUID, bytes]) -> dict[UUID, bytes]:
        """The plain keys of these calls, without those that do not open."""
        found = {}
        openers = await self._openers(store, wrapped.values())
        for session_id, key in wrapped.items():
            try:
                found[session_id] = _opened(openers, key, _data_key_place(store.tenant_id, session_id))
            except KeyShreddedError:
                # One that was damaged must not keep people from all other calls on the page.
                log.warning("data_key_does_not_open", session_id=str(session_id))
        return found

    async def shred(self, store: TenantStore, session_id: UUID) -> bool:
        """Delete a call's key; False when there was none."""
        statement = delete(DataKeyTable).where(col(DataKeyTable.session_id) == session_id)
        return await store.change(statement) > 0

    async def tenant_columns(self, store: TenantStore) -> Columns:
        """Seals and opens what is personal and belongs to no call, under a renewable key of the tenant."""
        sealers = [sealer_of(column_key(key.key)) for key in await self._keys(store, Purpose.COLUMNS)]
        counted = self._seals[store.tenant_id, Purpose.COLUMNS]
        return Columns(store.tenant_id, sealers, lambda number: counted.update((number,)))

    async def blind_index(self, store: TenantStore, column: str, value: str) -> bytes:
        """20 bytes by which equal values of one tenant find each other: the key's id, then what nobody can guess.

        Equality within the tenant is visible to whoever reads the database; that is its purpose. For writing and
        naming; whoever looks for something needs `blind_indexes`.
        """
        return (await self.blind_indexes(store, column, value))[0]

    async def blind_indexes(self, store: TenantStore, column: str, value: str) -> tuple[bytes, ...]:
        """Every index under which the value may lie: while a new key comes into use, also those of the old ones."""
        return tuple(
            key.id + tag_of(derive(key.key, f"aitelier blind index {column} v1"), value.encode())
            for key in await self._keys(store, Purpose.INDEX)
        )

    async def in_use(self, store: TenantStore, purpose: Purpose) -> TenantKey:
        """The key that wraps, seals or indexes now, and which all that is older should be brought under."""
        keys = await self._look(store, purpose)
        if not keys:
            raise KeyShreddedError("the tenant has no keys")
        return keys[0]

    async def _wrap(self, store: TenantStore, key: bytes, place: bytes) -> bytes:
        wrapping = (await self._keys(store, Purpose.WRAPPING))[0]
        self._seals[store.tenant_id, Purpose.WRAPPING][wrapping.id] += 1
        return sealer_of(wrapping.key).seal(key, place)

    async def _unwrap(self, store: TenantStore, wrapped: bytes, place: bytes) -> bytes:
        return _opened(await self._openers(store, (wrapped,)), wrapped, place)

    async def _openers(self, store: TenantStore, wrapped: Collection[bytes]) -> Mapping[bytes, Sealer]:
        """By their keys' ids, what opens these; where one is not known yet, as the keys are now."""
        found = {key.id: sealer_of(key.key) for key in await self._keys(store, Purpose.WRAPPING)} if wrapped else {}
        if not found.keys() >= {_number_of(one) for one in wrapped}:
            found = {key.id: sealer_of(key.key) for key in await self._look(store, Purpose.WRAPPING)}
        return found

    async def _keys(self, store: TenantStore, purpose: Purpose) -> tuple[TenantKey, ...]:
        """All that open, the one in use first; as they were at most a minute ago."""
        until, keys = self._known.get((store.tenant_id, purpose), (0.0, ()))
        if time.monotonic() > until:
            keys = self._young.get(store, {}).get(purpose) or await self._look(store, purpose)
        if not keys:
            raise KeyShreddedError("the tenant has no keys")
        return keys

    async def _look(self, store: TenantStore, purpose: Purpose) -> tuple[TenantKey, ...]:
        """The same as they are now."""
        await self._write_seals_down(store, purpose)
        statement = (
            select(TenantKeyTable)
            .where(TenantKeyTable.purpose == purpose.value, TenantKeyTable.state != "destroyed")
            .order_by(col(TenantKeyTable.created_at).desc())
        )
        rows = await store.all(statement)
        newest_first = [TenantKey(purpose, row.key_id, self._open(store, row), row.created_at) for row in rows]
        now = datetime.now(UTC)
        published = [key for key in newest_first if key.created_at <= now - PUBLISHED]
        keys = (*published, *reversed(newest_first[: len(newest_first) - len(published)]))
        if newest_first and newest_first[0].created_at <= now - _REMEMBERED:
            self._known[store.tenant_id, purpose] = (time.monotonic() + _REMEMBERED.total_seconds(), keys)
        else:
            self._known.pop((store.tenant_id, purpose), None)
            self._young.setdefault(store, {})[purpose] = keys
        return keys

    def _open(self, store: TenantStore, row: TenantKeyTable) -> bytes:
        assert row.wrapped is not None  # noqa: S101 - asked for those that are not destroyed; for the type checker
        place = _tenant_key_place(store.tenant_id, Purpose(row.purpose), row.key_id)
        for root in (self._root, self._old_root):
            if root is not None and root.key_id == row.root_id:
                return root.open(row.wrapped, place)
        raise RootKeyError

    async def _write_seals_down(self, store: TenantStore, purpose: Purpose) -> None:
        counted = self._seals[store.tenant_id, purpose]
        for number, seals in list(counted.items()):
            if seals and await store.fixed(_ADD_SEALS, purpose=purpose.value, key_id=number, seals=seals):
                counted[number] -= seals


def _number_of(wrapped: bytes) -> bytes:
    """The id of the key that it is wrapped with."""
    return wrapped[1:5]


def _opened(openers: Mapping[bytes, Sealer], wrapped: bytes, place: bytes) -> bytes:
    opener = openers.get(_number_of(wrapped))
    if opener is None:
        raise KeyShreddedError("no key of this tenant opens it")
    try:
        return opener.open(wrapped, place)
    except SealBrokenError as error:
        raise KeyShreddedError("the wrapped key does not belong here") from error


def _root_sealer(root_key: bytes) -> Sealer:
    return Sealer(derive(root_key, "aitelier tenant key wrapping v1"))


def _id_of(purpose: Purpose, key: bytes) -> bytes:
    return key_id(column_key(key) if purpose is Purpose.COLUMNS else key)


def _tenant_key_place(tenant_id: UUID, purpose: str, number: bytes) -> bytes:
    return framed(b"aitelier tenant key v1", str(tenant_id).encode(), purpose.encode(), number)


def _data_key_place(tenant_id: UUID, session_id: UUID) -> bytes:
    return framed(b"aitelier data key v1", str(tenant_id).encode(), str(session_id).encode())


def _subject_key_place(tenant_id: UUID, subject: bytes) -> bytes:
    return framed(b"aitelier subject key v1", str(tenant_id).encode(), subject)

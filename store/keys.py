"""The key ring: master key, then one key per tenant, then one data key per call.

Each key lies wrapped by the one above it, in a schema of its own. Deleting the wrapped data key of a call makes the
call unreadable for good: recording, transcript and caller's number are sealed under keys derived from it.
"""

import hmac
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from sqlmodel import col, delete, select

from store.scope import TenantStore
from store.sealing import Columns, SealBrokenError, Sealer, derive, framed, key_id
from store.tables.base import among
from store.tables.keys import DataKeyTable, TenantKeyTable

_WRAPPING = "wrapping"
_INDEX = "index"
_COLUMNS = "columns"
_SIGNING = "signing"
_PURPOSES = (_WRAPPING, _INDEX, _COLUMNS)
_INDEX_BYTES = 16


class KeyShreddedError(Exception):
    """The key is gone for good: the call was erased, or is not this tenant's."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """The key of one call, plain and wrapped."""

    key: bytes = field(repr=False)
    """32 bytes."""
    wrapped: bytes = field(repr=False)
    """The same, readable only through the tenant's key and only for its call."""


class KeyRing:
    """Opens wrapped keys. Tenants' keys stay in memory once opened; calls' keys do not."""

    def __init__(self, master_key: bytes) -> None:
        self._master = Sealer(derive(master_key, "aitelier tenant key wrapping v1"))
        self._opened: dict[tuple[UUID, str], dict[bytes, bytes]] = {}
        """By tenant and purpose, as `_find` returns them."""

    async def new_tenant_keys(self, store: TenantStore) -> None:
        """Give the tenant its keys, unless it has them."""
        await self._make(store, _PURPOSES)

    async def _make(self, store: TenantStore, purposes: tuple[str, ...]) -> None:
        rows = []
        for purpose in purposes:
            if await self._find(store, purpose):
                continue
            key = os.urandom(32)
            number = key_id(key)
            wrapped = self._master.seal(key, _tenant_key_place(store.tenant_id, purpose, number))
            rows.append({"purpose": purpose, "key_id": number, "state": "primary", "wrapped": wrapped})
        await store.put(TenantKeyTable, rows)

    async def new_data_key(self, store: TenantStore, session_id: UUID) -> DataKey:
        """A fresh key for a call, kept in wrapped form from now on."""
        made = await self.make_data_key(store, session_id)
        await store.add(DataKeyTable(tenant_id=store.tenant_id, session_id=session_id, wrapped=made.wrapped))
        return made

    async def make_data_key(self, store: TenantStore, session_id: UUID) -> DataKey:
        """A fresh key for a call, which the caller writes down."""
        key = os.urandom(32)
        wrapping = await self._primary(store, _WRAPPING)
        return DataKey(key, Sealer(wrapping).seal(key, _data_key_place(store.tenant_id, session_id)))

    async def signing_seed(self, server: TenantStore) -> bytes:
        """32 bytes from which the server's signing keys are made, kept for as long as the server's own log."""
        if not (kept := await self._find(server, _SIGNING)):
            await self._make(server, (_SIGNING,))
            kept = await self._find(server, _SIGNING)
        return next(iter(kept.values()))

    async def make_subject_key(self, store: TenantStore, subject: bytes) -> DataKey:
        """A fresh key for a person's traces in the audit log, which the caller writes down."""
        key = os.urandom(32)
        wrapping = await self._primary(store, _WRAPPING)
        return DataKey(key, Sealer(wrapping).seal(key, _subject_key_place(store.tenant_id, subject)))

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
            raise KeyShreddedError("the key was deleted")
        return found[session_id]

    async def data_keys(self, store: TenantStore, session_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """The plain keys of these calls; erased ones are missing."""
        wrapped = select(DataKeyTable.session_id, DataKeyTable.wrapped)
        rows = await store.rows(wrapped.where(among(DataKeyTable.session_id, session_ids)))
        return {session_id: await self.unwrap_data_key(store, session_id, key) for session_id, key in rows}

    async def shred(self, store: TenantStore, session_id: UUID) -> bool:
        """Delete a call's key; False when there was none."""
        statement = delete(DataKeyTable).where(col(DataKeyTable.session_id) == session_id)
        return await store.change(statement) > 0

    async def tenant_columns(self, store: TenantStore) -> Columns:
        """Seals and opens what is personal and belongs to no call, under a renewable key of the tenant."""
        keys = await self._all(store, _COLUMNS)
        return Columns(store.tenant_id, tuple(keys.values()))

    async def blind_index(self, store: TenantStore, column: str, value: str) -> bytes:
        """16 bytes by which equal values of one tenant find each other, and by which nobody without the key can guess.

        Equality within the tenant is visible to whoever reads the database; that is its purpose.
        """
        key = await self._primary(store, _INDEX)
        return hmac.digest(derive(key, f"aitelier blind index {column} v1"), value.encode(), "sha256")[:_INDEX_BYTES]

    async def _unwrap(self, store: TenantStore, wrapped: bytes, place: bytes) -> bytes:
        number = wrapped[1:5]
        keys = await self._all(store, _WRAPPING)
        if number not in keys:  # another process may have made a new one
            keys = await self._find(store, _WRAPPING)
        if number not in keys:
            raise KeyShreddedError("no key of this tenant opens it")
        try:
            return _sealer(keys[number]).open(wrapped, place)
        except SealBrokenError as error:
            raise KeyShreddedError("the wrapped key does not belong here") from error

    async def _primary(self, store: TenantStore, purpose: str) -> bytes:
        return next(iter((await self._all(store, purpose)).values()))

    async def _all(self, store: TenantStore, purpose: str) -> dict[bytes, bytes]:
        keys = self._opened.get((store.tenant_id, purpose)) or await self._find(store, purpose)
        if not keys:
            raise KeyShreddedError("the tenant has no keys")
        return keys

    async def _find(self, store: TenantStore, purpose: str) -> dict[bytes, bytes]:
        """By number, the primary one first."""
        statement = (
            select(TenantKeyTable)
            .where(TenantKeyTable.purpose == purpose)
            .order_by(col(TenantKeyTable.state).desc(), col(TenantKeyTable.created_at).desc())
        )
        keys = {
            row.key_id: self._master.open(row.wrapped, _tenant_key_place(store.tenant_id, purpose, row.key_id))
            for row in await store.all(statement)
        }
        if keys:
            self._opened[store.tenant_id, purpose] = keys
        return keys


@lru_cache(maxsize=1024)
def _sealer(key: bytes) -> Sealer:
    # Of a tenant's key: a list of calls is unwrapped by one, and making its cipher takes as long as unwrapping.
    return Sealer(key)


def _tenant_key_place(tenant_id: UUID, purpose: str, number: bytes) -> bytes:
    return framed(b"aitelier tenant key v1", str(tenant_id).encode(), purpose.encode(), number)


def _data_key_place(tenant_id: UUID, session_id: UUID) -> bytes:
    return framed(b"aitelier data key v1", str(tenant_id).encode(), str(session_id).encode())


def _subject_key_place(tenant_id: UUID, subject: bytes) -> bytes:
    return framed(b"aitelier subject key v1", str(tenant_id).encode(), subject)

"""Keys: each opens what it should, and what is shredded is gone."""

import pytest
from sqlmodel import select
from uuid_utils.compat import uuid7

from store.engine import Database
from store.keys import KeyRing, KeyShreddedError
from store.sealing import SealBrokenError
from store.settings import StoreSettings
from store.tables.keys import DataKeyTable, TenantKeyTable
from tests.database import MASTER_KEY, Shop


async def test_a_wrapped_key_opens_again(database: Database, bakery: Shop) -> None:
    """The key of a call comes back from the database, and from the wrapped form in a journal."""
    session_id = uuid7()
    async with database.tenant(bakery.tenant_id) as store:
        made = await store.keys.new_data_key(store, session_id)
    async with database.tenant(bakery.tenant_id) as store:
        assert await store.keys.data_key(store, session_id) == made.key
        assert await store.keys.unwrap_data_key(store, session_id, made.wrapped) == made.key
    assert made.key not in made.wrapped
    assert made.key.hex() not in repr(made)


async def test_a_wrapped_key_opens_for_its_call_only(database: Database, bakery: Shop, florist: Shop) -> None:
    """A worker that writes another call's or another tenant's id into a journal gets nothing opened."""
    session_id = uuid7()
    async with database.tenant(bakery.tenant_id) as store:
        made = await store.keys.new_data_key(store, session_id)
        with pytest.raises(KeyShreddedError):
            await store.keys.unwrap_data_key(store, uuid7(), made.wrapped)
        with pytest.raises(KeyShreddedError):
            await store.keys.unwrap_data_key(store, session_id, made.wrapped[:-1] + b"\0")
    async with database.tenant(florist.tenant_id) as store:
        with pytest.raises(KeyShreddedError):
            await store.keys.unwrap_data_key(store, session_id, made.wrapped)


async def test_a_shredded_key_is_gone(database: Database, bakery: Shop) -> None:
    """After shredding the database has no trace of the key, and asking for it says so."""
    session_id = uuid7()
    async with database.tenant(bakery.tenant_id) as store:
        await store.keys.new_data_key(store, session_id)
    async with database.tenant(bakery.tenant_id) as store:
        assert await store.keys.shred(store, session_id)
        assert not await store.keys.shred(store, session_id)
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(KeyShreddedError):
            await store.keys.data_key(store, session_id)
        assert list(await store.all(select(DataKeyTable))) == []


async def test_another_master_key_opens_nothing(
    database: Database, store_settings: StoreSettings, bakery: Shop
) -> None:
    """Whoever has the database but not the master key has no tenant's key."""
    stranger = KeyRing(bytes(32))
    async with database.tenant(bakery.tenant_id) as store:
        for key in await store.all(select(TenantKeyTable)):
            assert MASTER_KEY not in key.wrapped
        with pytest.raises(SealBrokenError):
            await stranger.new_data_key(store, uuid7())


async def test_tenant_keys_are_made_once(database: Database, bakery: Shop) -> None:
    """Asking again for a tenant's keys changes nothing."""
    async with database.tenant(bakery.tenant_id) as store:
        before = [key.key_id for key in await store.all(select(TenantKeyTable))]
        await store.keys.new_tenant_keys(store)
        assert [key.key_id for key in await store.all(select(TenantKeyTable))] == before
    assert len(before) == 3


async def test_a_blind_index_finds_within_one_tenant_only(database: Database, bakery: Shop, florist: Shop) -> None:
    """The same number has the same index in one tenant, another in the next, and another in another column."""
    async with database.tenant(bakery.tenant_id) as store:
        ours = await store.keys.blind_index(store, "caller", "+491")
        assert ours == await store.keys.blind_index(store, "caller", "+491")
        assert ours != await store.keys.blind_index(store, "caller", "+492")
        assert ours != await store.keys.blind_index(store, "other", "+491")
    async with database.tenant(florist.tenant_id) as store:
        assert ours != await store.keys.blind_index(store, "caller", "+491")
    assert len(ours) == 20

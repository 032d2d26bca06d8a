"""Keys: each opens what it should, and what is shredded is gone."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from sqlmodel import select
from uuid_utils.compat import uuid7

from policies.key_schedule import MOST_SEALS, Purpose
from store import key_rotation
from store.engine import Database
from store.keys import KeyRing, KeyShreddedError
from store.sealing import SealBrokenError
from store.settings import StoreSettings
from store.tables.keys import DataKeyTable, TenantKeyTable
from tests.database import MASTER_KEY, Shop
from tests.store.erasure.conftest import all_seeing
from tests.store.keyed import let_pass

__all__ = ["all_seeing"]


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


async def test_what_a_key_makes_is_counted(
    store_settings: StoreSettings, database: Database, bakery: Shop, all_seeing: str
) -> None:
    """Seals and wrappings are added to their key's row when a process looks at the keys again, of each process."""
    let_pass(all_seeing, timedelta(hours=1))
    other = await Database.open(store_settings)
    for process, count in ((database, 3), (other, 4)):
        async with process.tenant(bakery.tenant_id) as store:
            columns = await store.keys.tenant_columns(store)
            for number in range(count):
                columns.seal("x", "table", "column", number)
            await store.keys.new_data_key(store, uuid7())
    for process in (database, other):
        async with process.tenant(bakery.tenant_id) as store:
            for purpose in (Purpose.COLUMNS, Purpose.WRAPPING):
                await store.keys.in_use(store, purpose)
    await other.close()
    async with database.tenant(bakery.tenant_id) as store:
        made = {one.purpose: one.seals for one in await key_rotation.status(store, datetime.now(UTC))}
    assert made == {Purpose.COLUMNS: 7, Purpose.WRAPPING: 2, Purpose.INDEX: 0}


async def test_a_key_that_made_too_much_is_due(database: Database, bakery: Shop, all_seeing: str) -> None:
    """Long before its nonces could meet, a young key is followed by a new one in the nightly round."""
    async with database.platform_jobs() as platform:
        assert await key_rotation.tenants_with_work(platform, datetime.now(UTC)) == ()
    with psycopg.connect(all_seeing) as connection:
        connection.execute("UPDATE keys.tenant_keys SET seals = %s WHERE purpose = 'columns'", (MOST_SEALS,))
    async with database.platform_jobs() as platform:
        assert await key_rotation.tenants_with_work(platform, datetime.now(UTC)) == (bakery.tenant_id,)
    async with database.tenant(bakery.tenant_id) as store:
        assert await key_rotation.is_any_due(store, datetime.now(UTC))

"""From one root key to the next: nothing is lost on the way, and the old root opens nothing afterwards."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog.testing

from policies.audit_tags import OPERATOR, Tag
from policies.secret import Secret
from store import postgres, secrets_vault
from store.audit import log
from store.engine import Database
from store.house import open_house
from store.key_rotation import keys_by_root
from store.keys import RootKeyError
from store.root_key import check_root, move_to_new_root, root_since
from store.settings import StoreSettings
from tests.database import MASTER_KEY, Shop, connected

NEW = os.urandom(32)


async def _set(database: Database, shop: Shop) -> None:
    async with database.tenant(shop.tenant_id) as store:
        await secrets_vault.set_secret(store, "trunk", Secret("mellon"), actor=OPERATOR)


async def _secret(database: Database, shop: Shop) -> str:
    async with database.tenant(shop.tenant_id) as store:
        return (await secrets_vault.use_secret(store, "trunk")).reveal()


async def _roots(database: Database) -> dict[bytes, int]:
    async with database.platform_jobs() as platform:
        return await keys_by_root(platform)


async def test_a_new_root_takes_over(
    database: Database, store_settings: StoreSettings, bakery: Shop, florist: Shop
) -> None:
    """With both roots everything opens; once all is moved the new one is enough, and the old one opens nothing."""
    await _set(database, bakery)
    async with open_house(database) as house:
        await house.keys.signing_seed(house)
    both = await Database.open(replace(store_settings, master_key=NEW, old_master_key=MASTER_KEY))
    await check_root(both)
    assert await _secret(both, bakery) == "mellon"
    assert await move_to_new_root(both) == 3
    assert await _roots(both) == {both.keys.root_id: 10}
    assert await _secret(both, bakery) == "mellon"
    with structlog.testing.capture_logs() as said:
        assert await move_to_new_root(both) == 0
    assert [line["event"] for line in said] == ["old_root_key_unused"]
    async with both.tenant(florist.tenant_id) as store:
        (entry,) = await log.entries(store, tag=str(Tag.KEYS_ROTATED))
        assert entry.facts == {"keys": ["root"]}
    await both.close()
    alone = await Database.open(replace(store_settings, master_key=NEW))
    await check_root(alone)
    assert await _secret(alone, bakery) == "mellon"
    await alone.close()
    former = await Database.open(store_settings)
    with pytest.raises(RootKeyError, match="AITELIER_MASTER_KEY_OLD"):
        await check_root(former)
    with pytest.raises(RootKeyError):
        await _secret(former, bakery)
    await former.close()


async def test_cut_off_between_two_tenants_it_goes_on(
    database: Database, store_settings: StoreSettings, bakery: Shop, florist: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each tenant all keys are moved, or none; both roots open everything meanwhile, and the next start finishes."""
    await _set(database, bakery)
    await _set(database, florist)
    both = await Database.open(replace(store_settings, master_key=NEW, old_master_key=MASTER_KEY))
    real, calls = log.record, 0

    async def dies_at_the_second(*given: object, **named: object) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionError
        return await real(*given, **named)  # type: ignore[arg-type]  # what it was called with

    with monkeypatch.context() as patch:
        patch.setattr("store.root_key.record", dies_at_the_second)
        with pytest.raises(ConnectionError):
            await move_to_new_root(both)
    assert sorted((await _roots(both)).values()) == [3, 3]
    await both.close()
    again = await Database.open(replace(store_settings, master_key=NEW, old_master_key=MASTER_KEY))
    await check_root(again)
    assert {await _secret(again, bakery), await _secret(again, florist)} == {"mellon"}
    assert await move_to_new_root(again) == 1
    assert await _roots(again) == {again.keys.root_id: 6}
    await again.close()


async def test_a_strange_root_is_refused(database: Database, store_settings: StoreSettings, bakery: Shop) -> None:
    """Also beside another strange one."""
    await _set(database, bakery)
    strange = await Database.open(replace(store_settings, master_key=NEW, old_master_key=bytes(32)))
    with pytest.raises(RootKeyError):
        await check_root(strange)
    await strange.close()


async def test_an_empty_database_takes_any_root(database: Database) -> None:
    """There is nothing to open yet."""
    await check_root(database)


async def test_since_when_a_root_key_is_in_use(
    database: Database, store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """Of the first one the oldest key under it tells; of a later one its first start; and each start says the same."""
    now = datetime.now(UTC)
    with connected(store_settings, database_home, postgres.SUPERUSER) as connection:
        connection.execute("UPDATE keys.tenant_keys SET created_at = created_at - interval '400 days'")
    first = await root_since(database, now)
    assert timedelta(days=400) <= now - first < timedelta(days=401)
    assert await root_since(database, now + timedelta(days=9)) == first
    both = await Database.open(replace(store_settings, master_key=NEW, old_master_key=MASTER_KEY))
    await move_to_new_root(both)
    assert await root_since(both, now) == now
    await both.close()
    alone = await Database.open(replace(store_settings, master_key=NEW))
    assert await root_since(alone, now + timedelta(days=9)) == now
    async with open_house(alone) as house:
        noted = [entry for entry in await log.entries(house, tag=str(Tag.KEYS_ROTATED)) if "root_key" in entry.objects]
    assert [entry.objects["root_key"] for entry in noted] == [alone.keys.root_id.hex(), database.keys.root_id.hex()]
    await alone.close()


async def test_the_root_of_an_empty_database_is_new(database: Database) -> None:
    """It is in use from now on."""
    now = datetime.now(UTC)
    assert await root_since(database, now) == now

"""Transactions: bound to one tenant, all or nothing, and honest about a database that is away."""

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, func, select
from uuid_utils.compat import uuid7

from policies.audit_tags import OPERATOR
from store import numbers, postgres, projects, seed, tenants, trunks
from store.engine import Database, StoreAwayError
from store.migrate import migrate
from store.scopable import UnscopedAccessError
from store.scope import TenantStore
from store.settings import StoreSettings
from store.tables.setup import ProjectTable
from tests.database import MASTER_KEY, Shop, open_folder, running


async def test_what_fails_is_rolled_back(database: Database, bakery: Shop) -> None:
    """An error inside a transaction undoes all of it and comes out as it was."""

    async def fail() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await projects.create(store, name="x", business_name="x", jurisdiction="DE", language="de", actor=OPERATOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.tenant(bakery.tenant_id) as store:
        assert [project.name for project in await projects.all_projects(store)] == ["Bakery"]


async def test_a_store_is_bound_for_life(database: Database, bakery: Shop, florist: Shop) -> None:
    """Nobody can turn one tenant's store into another's, or name a tenant in what is put."""
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(AttributeError):
            store.tenant_id = florist.tenant_id  # type: ignore[misc]
        with pytest.raises(UnscopedAccessError):
            await store.put(ProjectTable, [{"tenant_id": florist.tenant_id}])


async def test_tenants_share_one_connection_unharmed(
    store_settings: StoreSettings, bakery: Shop, florist: Shop
) -> None:
    """On a pool of one connection, transactions of two tenants that alternate and fail see their own rows only."""
    database = await Database.open(replace(store_settings, pool_size=1))

    async def look(shop: Shop, *, fail: bool) -> None:
        async with database.tenant(shop.tenant_id) as store:
            found = [project.id for project in await projects.all_projects(store)]
            assert found == [shop.project_id]
            if fail:
                raise ZeroDivisionError

    try:
        results = await asyncio.gather(
            *(look(shop, fail=turn % 3 == 0) for turn in range(30) for shop in (bakery, florist)),
            return_exceptions=True,
        )
    finally:
        await database.close()
    assert {type(result) for result in results} == {type(None), ZeroDivisionError}


async def test_a_cancelled_transaction_throws_its_connection_away(database: Database, bakery: Shop) -> None:
    """After a task was cancelled in the middle of a statement, nobody gets its connection, and its change is undone."""
    closed: list[object] = []
    event.listen(database._app.sync_engine, "close", lambda *_: closed.append(1))
    event.listen(database._app.sync_engine, "invalidate", lambda *_: closed.append(1))
    event.listen(database._app.sync_engine, "close_detached", lambda *_: closed.append(1))
    started = asyncio.Event()

    async def hang() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await projects.create(store, name="x", business_name="x", jurisdiction="DE", language="de", actor=OPERATOR)
            connection = await store._session.run_sync(lambda session: session.trusted_connection())  # type: ignore[attr-defined]
            started.set()
            await store._session.run_sync(lambda _: connection.execute(select(func.pg_sleep(30))))

    task = asyncio.ensure_future(hang())
    await started.wait()
    await asyncio.sleep(0.05)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 2
    assert closed
    async with database.tenant(bakery.tenant_id) as store:
        assert len(await projects.all_projects(store)) == 1


async def _backend(store: TenantStore) -> tuple[int, str]:
    """Which server process answers on this connection, and which tenant it thinks it works for."""
    asked = "SELECT pg_backend_pid(), current_setting('app.tenant_id', true) WHERE :tenant_id IS NOT NULL"
    return tuple((await store.fixed(asked))[0])


async def test_whoever_comes_after_a_cancelled_one_gets_another_connection(
    store_settings: StoreSettings, bakery: Shop, florist: Shop
) -> None:
    """Cancelled wherever it is, a transaction takes its connection along: the next tenant starts with a fresh one."""
    database = await Database.open(replace(store_settings, pool_size=1))
    began = asyncio.Event()
    used = []

    async def work() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            used.append((await _backend(store))[0])
            began.set()
            while True:
                await projects.all_projects(store)

    try:
        for turns in range(1, 60):
            began.clear()
            task = asyncio.ensure_future(work())
            await began.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with database.tenant(florist.tenant_id) as store:
                pid, tenant = await _backend(store)
                assert [project.id for project in await projects.all_projects(store)] == [florist.project_id]
            assert (pid != used[-1], tenant) == (True, str(florist.tenant_id))
    finally:
        await database.close()


async def test_a_waiting_transaction_gives_up(store_settings: StoreSettings, bakery: Shop) -> None:
    """When every connection is in use for too long, the next transaction says that the store is away."""
    database = await Database.open(replace(store_settings, pool_size=1))
    try:
        async with database.tenant(bakery.tenant_id) as store:
            await tenants.find(store)
            with pytest.raises(StoreAwayError):
                async with database.tenant(bakery.tenant_id) as second:
                    await tenants.find(second)
    finally:
        await database.close()


async def test_as_many_look_as_work(store_settings: StoreSettings, bakery: Shop) -> None:
    """Whoever may have a transaction may have a look-up across tenants too: a crowd does not wait for either alone."""
    database = await Database.open(replace(store_settings, pool_size=5))
    try:
        async with contextlib.AsyncExitStack() as held:
            for _ in range(5):
                store = await held.enter_async_context(database.tenant(bakery.tenant_id))
                assert await tenants.find(store)
                platform = await held.enter_async_context(database.platform())
                assert await numbers.find_called(platform, bakery.called)
    finally:
        await database.close()


async def test_a_server_that_goes_is_away_and_comes_back() -> None:
    """While the server is dead every use says so quickly; after its restart the same pools work at the first try."""
    with open_folder() as home:
        settings = StoreSettings(None, home, MASTER_KEY)
        with running(home) as server:
            await migrate(settings)
            database = await Database.open(settings)
            demo = await seed.seed_demo(database)
            assert demo is not None

            async def use() -> None:
                async with database.tenant(demo.tenant_id) as store:
                    assert await tenants.find(store)

            await use()
            server.kill()
            server.wait()
            for _ in range(3):
                began = time.monotonic()
                with pytest.raises(StoreAwayError):
                    await use()
                with pytest.raises(StoreAwayError):
                    async with database.platform() as platform:
                        await numbers.find_called(platform, "demo")
                assert time.monotonic() - began < 2
        with running(home):
            deadline = time.monotonic() + 10
            while True:
                try:
                    await use()
                    break
                except StoreAwayError:
                    assert time.monotonic() < deadline
                    await asyncio.sleep(0.02)
            await use()
            await database.close()


async def test_a_transaction_that_loses_the_server_says_so() -> None:
    """A server that dies in the middle of a transaction is an error of its own, and nothing was kept."""
    with open_folder() as home, running(home) as server:
        settings = StoreSettings(None, home, MASTER_KEY)
        await migrate(settings)
        database = await Database.open(settings)

        async def lose() -> None:
            async with database.tenant(uuid7()) as store:
                await tenants.create(store, "x", actor=OPERATOR)
                server.kill()
                server.wait()
                await tenants.find(store)

        with pytest.raises(StoreAwayError):
            await lose()
        await database.close()


async def test_the_demo_is_seeded_once(database: Database, database_home: Path) -> None:
    """An empty store gets one tenant whose numbers are found; asking again changes nothing."""
    demo = await seed.seed_demo(database)
    assert demo is not None
    assert await seed.seed_demo(database) is None
    async with database.platform() as platform:
        for called in (seed.DEMO_NUMBER, seed.DEMO_USER, seed.DEMO_USER.upper()):
            found = await numbers.find_called(platform, called)
            assert found is not None
            assert (found.tenant_id, found.scenario_id) == (demo.tenant_id, demo.scenario_id)
        assert await numbers.find_called(platform, "nobody") is None
        assert [tenant.name for tenant in await tenants.all_tenants(platform)] == ["Demo"]


async def test_the_edge_learns_all_trunks(database: Database, bakery: Shop, florist: Shop) -> None:
    """Trunks of every tenant are listed for the edge, and each tenant sees its own."""
    made = []
    for shop, network in ((bakery, "192.0.2.0/24"), (florist, "2001:db8::/32")):
        async with database.tenant(shop.tenant_id) as store:
            trunk = await trunks.create(
                store, name="carrier", networks=[network], transports=["tls", "udp"], srtp="optional", actor=OPERATOR
            )
            assert await trunks.all_of(store) == (trunk,)
            made.append(trunk.id)
    async with database.platform() as platform:
        listed = await trunks.all_trunks(platform)
    assert [(trunk.id, trunk.networks, trunk.min_tls) for trunk in listed] == [
        (made[0], ("192.0.2.0/24",), "1.3"),
        (made[1], ("2001:db8::/32",), "1.3"),
    ]


async def test_a_number_rings_in_one_place(database: Database, bakery: Shop, florist: Shop) -> None:
    """A number that one tenant has cannot be taken by another."""

    async def take() -> None:
        async with database.tenant(florist.tenant_id) as store:
            await numbers.create(
                store,
                project_id=florist.project_id,
                scenario_id=florist.scenario_id,
                called=bakery.called,
                actor=OPERATOR,
            )

    with pytest.raises(numbers.NumberTakenError):
        await take()
    async with database.tenant(bakery.tenant_id) as store:
        assert [number.called for number in await numbers.all_numbers(store)] == [bakery.called]


async def test_platform_look_ups_change_nothing(database: Database, bakery: Shop) -> None:
    """What runs across tenants can only read: the database refuses it to write."""
    with pytest.raises(Exception, match=r"permission denied|read-only"):
        async with database.platform() as platform:
            await platform.rows("DELETE FROM numbers RETURNING id")


def test_postgres_names_do_not_change() -> None:
    """Names of roles and database lie in people's data folders and backups."""
    assert (postgres.OWNER, postgres.SUPERUSER, postgres.DATABASE) == ("aitelier_owner", "postgres", "aitelier")

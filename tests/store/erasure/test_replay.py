"""An old backup comes back: what had been erased since goes again."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import answering, postgres, projects, sessions
from store.blobs import FolderBlobs
from store.engine import Database
from store.erasure import holds
from store.erasure import projects as deletions
from store.erasure.replay import replay
from store.erasure.sessions import carry_out, erase_sessions
from store.settings import StoreSettings
from tests.database import Shop, address, make_shop
from tests.leases import fresh_database
from tests.store.erasure.world import make_call, objects, where

NOW = datetime.now(UTC)


@asynccontextmanager
async def _opened(settings: StoreSettings) -> AsyncIterator[Database]:
    database = await Database.open(settings)
    try:
        yield database
    finally:
        await database.close()


async def _readable(database: Database, shop: Shop) -> int:
    async with database.tenant(shop.tenant_id) as store:
        return sum(call.readable for call in await sessions.list_sessions(store, actor=OPERATOR))


async def test_what_was_erased_does_not_come_back(
    store_settings: StoreSettings, database_home: Path, tmp_path: Path
) -> None:
    """A call, a project and an expired call that a restored backup brings along are gone before the first call."""
    blobs = FolderBlobs(store_settings.blobs)
    old_objects = tmp_path / "old-objects"
    async with _opened(store_settings) as database:
        bakery = await make_shop(database, "Bakery", "+493023125001")
        florist = await make_shop(database, "Florist", "+493023125002")
        erased = await make_call(database, blobs, bakery, NOW - timedelta(days=2))
        kept = await make_call(database, blobs, bakery, NOW - timedelta(days=2))
        await make_call(database, blobs, bakery, NOW - timedelta(days=400))
        await make_call(database, blobs, florist, NOW)
        async with database.tenant(bakery.tenant_id) as store:
            hold = await holds.place_hold(
                store,
                project_id=bakery.project_id,
                session_id=erased.id,
                reason="a matter",
                expires_at=NOW + timedelta(days=100),
                actor=OPERATOR,
            )
    shutil.copytree(store_settings.blobs / "recordings", old_objects)
    assert store_settings.database_url
    name = str(psycopg.conninfo.conninfo_to_dict(store_settings.database_url)["dbname"])
    with fresh_database(database_home) as restored:
        with psycopg.connect(address(database_home, postgres.SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {restored}")  # type: ignore[arg-type]
            connection.execute(f"CREATE DATABASE {restored} TEMPLATE {name} OWNER {postgres.OWNER}")  # type: ignore[arg-type]
        async with _opened(store_settings) as database:
            async with database.tenant(bakery.tenant_id) as store:
                await holds.release_hold(store, hold.id, actor=OPERATOR)
                receipt = await erase_sessions(store, blobs, [erased.id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
            await carry_out(database, blobs, bakery.tenant_id, receipt.erasure_id)
            async with database.tenant(florist.tenant_id) as store:
                await deletions.delete_project(store, florist.project_id, actor=OPERATOR)
            await deletions.carry_out(database, blobs, florist.tenant_id, florist.project_id)
        shutil.copytree(old_objects, store_settings.blobs / "recordings", dirs_exist_ok=True)
        assert len(objects(blobs)) == 4

        old = replace(store_settings, database_url=address(database_home, postgres.OWNER, restored))
        async with _opened(old) as database:
            assert (await _readable(database, bakery), await _readable(database, florist)) == (3, 1)
            replayed = await replay(database, blobs, NOW, seller_country="DE")
            assert (replayed.sessions, replayed.projects) == (1, 1)
            assert replayed.expired
            assert (await _readable(database, bakery), await _readable(database, florist)) == (1, 0)
            assert [object_name.rpartition("/")[2] for object_name in objects(blobs)] == [str(kept.id)]
            async with database.tenant(florist.tenant_id) as store:
                assert await projects.all_projects(store) == ()
                assert await answering.route(store, florist.called) is None
            again = await replay(database, blobs, NOW, seller_country="DE")
            assert (again.sessions, again.projects, again.expired) == (0, 0, 0)
        all_seeing = address(database_home, postgres.SUPERUSER, restored)
        kept = {"public.audit_about", "public.audit_leaves", "public.erasure_ledger", "public.consent_proofs"}
        assert where(all_seeing, erased.id) == kept

"""A real embedded PostgreSQL for a whole test run, and for each test a database of its own, copied from a migrated one.

A room that needs it imports the fixtures into its `conftest.py`.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from uuid_utils.compat import uuid7

from policies.audit_tags import OPERATOR
from store import numbers, postgres, projects, scenarios, tenants
from store.engine import Database
from store.migrate import migrate
from store.scenarios import Scenario
from store.scope import TenantStore
from store.settings import StoreSettings
from tests.leases import fresh_database

MASTER_KEY = bytes(range(32))


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that the database's own user can pass through, which pytest's folders are not for."""
    folder = Path(tempfile.mkdtemp(prefix="aitelier-test-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server on this home; its log is in `home/log`."""
    postgres.prepare(home, fsync=False)
    with (home / "log").open("ab") as log:
        server = subprocess.Popen(postgres.command(home, fsync=False), stderr=log)
    try:
        yield server
    finally:
        if server.poll() is None:
            server.send_signal(postgres.STOP_SIGNAL)
        server.wait(20)


def address(home: Path, role: str, database: str = postgres.DATABASE) -> str:
    """Where a role connects, for psycopg itself."""
    return postgres.url(home, role, database).replace("+psycopg", "")


def connected(settings: StoreSettings, home: Path, role: str) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection of this role to the database of `settings`, on the server of this home."""
    assert settings.database_url
    name = psycopg.conninfo.conninfo_to_dict(settings.database_url)["dbname"]
    return psycopg.connect(address(home, role, str(name)))


@pytest.fixture(scope="session")
def database_home() -> Iterator[Path]:
    """The home of a running server whose own database is migrated and empty."""
    with open_folder() as home, running(home):
        asyncio.run(migrate(StoreSettings(None, home, MASTER_KEY)))
        yield home


@pytest.fixture
def store_settings(database_home: Path, tmp_path: Path) -> Iterator[StoreSettings]:
    """Settings of a fresh, migrated, empty database with a home of its own for blobs."""
    with fresh_database(database_home) as name:
        yield StoreSettings(address(database_home, postgres.OWNER, name), tmp_path, MASTER_KEY, pool_size=4)


@pytest.fixture
async def database(store_settings: StoreSettings) -> AsyncIterator[Database]:
    """That database, opened."""
    opened = await Database.open(store_settings)
    yield opened
    await opened.close()


@dataclass(frozen=True, slots=True)
class Shop:
    """A tenant with one receptionist and one number."""

    tenant_id: UUID
    project_id: UUID
    scenario_id: UUID
    called: str


async def make_shop(database: Database, name: str, called: str) -> Shop:
    """Open a shop."""
    async with database.tenant(uuid7()) as store:
        await tenants.create(store, name, max_calls=3, actor=OPERATOR)
        return await add_receptionist(store, name, called)


async def add_receptionist(store: TenantStore, name: str, called: str) -> Shop:
    """Give a shop one receptionist more, with a number."""
    project = await projects.create(
        store, name=name, business_name=name, jurisdiction="DE", language="de", actor=OPERATOR
    )
    scenario = await scenarios.create(
        store, project_id=project.id, content=Scenario(name=name, instructions="Help."), actor=OPERATOR
    )
    await numbers.create(store, project_id=project.id, scenario_id=scenario.scenario_id, called=called, actor=OPERATOR)
    return Shop(store.tenant_id, project.id, scenario.scenario_id, called)


@pytest.fixture
async def bakery(database: Database) -> Shop:
    """One tenant."""
    return await make_shop(database, "Bakery", "+493023125001")


@pytest.fixture
async def florist(database: Database) -> Shop:
    """Another tenant, who must not see the first one's things."""
    return await make_shop(database, "Florist", "+493023125002")

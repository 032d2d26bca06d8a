"""Migrations: on the embedded server, on the oldest PostgreSQL that is promised, twice, and two at once."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from store import numbers, postgres, seed
from store.engine import Database
from store.migrate import MigrationError, migrate
from store.postgres_account import account
from store.roles import APP, password_of
from store.settings import StoreSettings
from tests.database import MASTER_KEY, address, open_folder
from tests.leases import fresh_database

_DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="module")
def old_server() -> Iterator[str]:
    """The address of a PostgreSQL 15 that asks for passwords, as an operator would run it, not as superuser."""
    if not (_DEBIAN_15 / "postgres").exists():
        pytest.skip(f"NOT TESTED: the oldest supported PostgreSQL is not at {_DEBIAN_15}; install postgresql-15")
    who = account()
    with open_folder() as home:
        data, socket = home / "data", home / "socket"
        for folder in (data, socket):
            folder.mkdir(mode=0o700)
            os.chown(folder, who.uid, who.gid)
        password = home / "password"
        password.write_text("of the superuser")
        password.chmod(0o644)
        initdb = [_DEBIAN_15 / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(
            [*who.prefix(), *initdb, "--auth=scram-sha-256", f"--pwfile={password}"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        options = [f"-cunix_socket_directories={socket}", "-clisten_addresses=", "-cfsync=off"]
        with (home / "log").open("wb") as log:
            server = subprocess.Popen(
                [*who.prefix(), _DEBIAN_15 / "postgres", "-D", data, *options], stderr=log, cwd="/"
            )
        try:
            _make_owner(f"postgresql://postgres:of%20the%20superuser@/postgres?host={socket}")
            yield f"postgresql://operator:of%20the%20operator@/phones?host={socket}"
        finally:
            server.send_signal(postgres.STOP_SIGNAL)
            server.wait(20)


def _make_owner(superuser: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with psycopg.connect(superuser, autocommit=True) as connection:
                connection.execute("CREATE ROLE operator LOGIN CREATEROLE PASSWORD 'of the operator'")
                connection.execute("CREATE DATABASE phones OWNER operator")
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


async def test_a_server_of_ones_own_works(old_server: str, tmp_path: Path) -> None:
    """On PostgreSQL 15 with passwords everything is made and works; passwords come from the master key."""
    settings = StoreSettings(old_server, tmp_path, MASTER_KEY)
    await migrate(settings)
    await migrate(settings)
    database = await Database.open(settings)
    assert await seed.seed_demo(database)
    async with database.platform() as platform:
        assert await numbers.find_called(platform, seed.DEMO_USER)
    await database.close()
    wrong = old_server.replace("operator:of%20the%20operator", f"{APP}:{password_of(APP, bytes(32))}")
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        psycopg.connect(wrong)


async def test_a_new_master_key_changes_the_passwords(old_server: str, tmp_path: Path) -> None:
    """After migrating with another master key the roles connect with its passwords, and no longer with the old ones."""
    for key in (MASTER_KEY, bytes(32), MASTER_KEY):
        await migrate(StoreSettings(old_server, tmp_path, key))
        address_of_app = old_server.replace("operator:of%20the%20operator", f"{APP}:{password_of(APP, key)}")
        psycopg.connect(address_of_app).close()


async def test_migrations_at_once_are_one(database_home: Path, tmp_path: Path) -> None:
    """Several servers that start at once on one empty database migrate it once, and all of them go on."""
    with psycopg.connect(address(database_home, postgres.SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE at_once OWNER {postgres.OWNER}")
        settings = StoreSettings(address(database_home, postgres.OWNER, "at_once"), tmp_path, MASTER_KEY)
        try:
            await asyncio.gather(*(migrate(settings) for _ in range(4)))
            database = await Database.open(settings)
            assert await seed.seed_demo(database)
            await database.close()
        finally:
            connection.execute("DROP DATABASE at_once WITH (FORCE)")


async def test_a_newer_schema_is_refused(database_home: Path, tmp_path: Path) -> None:
    """A database that a newer version migrated is left alone, with a message."""
    with fresh_database(database_home) as name:
        where = address(database_home, postgres.OWNER, name)
        with psycopg.connect(where) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        settings = StoreSettings(where, tmp_path, MASTER_KEY)
        with pytest.raises(MigrationError, match="newer version"):
            await migrate(settings)
        with pytest.raises(MigrationError, match="cannot be reached"):
            await migrate(replace(settings, database_url=where.replace(name, "nowhere")), wait_seconds=0)


async def test_a_role_that_bypasses_the_wall_is_refused(database_home: Path, tmp_path: Path) -> None:
    """If somebody made the program's role a superuser, the start is refused."""
    with (
        fresh_database(database_home) as name,
        psycopg.connect(address(database_home, postgres.SUPERUSER, "postgres"), autocommit=True) as connection,
    ):
        settings = StoreSettings(address(database_home, postgres.OWNER, name), tmp_path, MASTER_KEY)
        connection.execute(f"ALTER ROLE {APP} BYPASSRLS")
        try:
            with pytest.raises(MigrationError, match="bypasses row-level security"):
                await migrate(settings)
        finally:
            connection.execute(f"ALTER ROLE {APP} NOBYPASSRLS")
        await migrate(settings)

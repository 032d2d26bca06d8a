"""Brings the database to the schema this program needs: roles first, then the migrations in order, as the owner."""

import asyncio
import time
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from store import postgres
from store.roles import APP, PLATFORM, password_of, urls_of
from store.settings import StoreSettings

log = structlog.get_logger()

_OLDEST_POSTGRES = 15
_LOCK = 0x41495445  # any fixed number: two servers that start at once migrate one after the other
_RETRY_SECONDS = 0.05


class MigrationError(Exception):
    """The database cannot be brought to the needed schema; says why and what to do."""


async def migrate(settings: StoreSettings, *, wait_seconds: float = 30.0) -> None:
    """Make roles, schema and rights, or whatever of them is missing. Does nothing, quickly, when all is there.

    Waits up to `wait_seconds` for a database that is still starting.

    Raises:
        MigrationError: The database is too old, newer than this program, unreachable, or refuses its owner something.
    """
    await asyncio.to_thread(_migrate, settings, wait_seconds)


def _migrate(settings: StoreSettings, wait_seconds: float) -> None:
    owner = urls_of(settings).owner
    if settings.database_url is None:
        _make_database(settings.home, wait_seconds)
    engine = create_engine(owner, poolclass=NullPool)
    began = time.monotonic()
    try:
        with _connected(owner, wait_seconds) as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            _check_version(connection)
            if settings.database_url is not None:
                _make_roles(connection, settings.master_key)
            _upgrade(connection)
            connection.commit()
    finally:
        engine.dispose()
    log.info("database_ready", took_ms=round((time.monotonic() - began) * 1000))


def _connected(url: URL, wait_seconds: float) -> Connection:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return create_engine(url, poolclass=NullPool, hide_parameters=True).connect()
        except OperationalError as error:
            if time.monotonic() > deadline:
                raise MigrationError(f"The database cannot be reached: {str(error.orig).strip()}") from None
            time.sleep(_RETRY_SECONDS)


def _make_database(home: Path, wait_seconds: float) -> None:
    """The embedded server's roles and database. It knows users by their socket, so roles have no passwords."""
    superuser = make_url(postgres.url(home, postgres.SUPERUSER, "postgres"))
    with _connected(superuser, wait_seconds) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        for role in (postgres.OWNER, APP, PLATFORM):
            if not _exists(connection, "pg_roles", "rolname", role):
                connection.exec_driver_sql(f'CREATE ROLE "{role}" LOGIN')
        connection.commit()
        there = _exists(connection, "pg_database", "datname", postgres.DATABASE)
    if not there:
        with _connected(superuser, 0).execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{postgres.DATABASE}" OWNER "{postgres.OWNER}"')


def _make_roles(connection: Connection, master_key: bytes) -> None:
    for role in (APP, PLATFORM):
        verb = "ALTER" if _exists(connection, "pg_roles", "rolname", role) else "CREATE"
        statement = sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS PASSWORD {}").format(
            sql.SQL(verb), sql.Identifier(role), sql.Literal(password_of(role, master_key))
        )
        connection.exec_driver_sql(statement.as_string())


def _exists(connection: Connection, catalogue: str, column: str, name: str) -> bool:
    statement = text(f"SELECT 1 FROM {catalogue} WHERE {column} = :name")  # noqa: S608 - constants of this file
    return connection.execute(statement, {"name": name}).first() is not None


def _check_version(connection: Connection) -> None:
    version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
    if int(version) // 10_000 < _OLDEST_POSTGRES:
        raise MigrationError(f"PostgreSQL {_OLDEST_POSTGRES} or newer is needed, and this is {int(version) // 10_000}.")


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    now = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    if now is not None and now not in known:
        raise MigrationError(f"The database has schema {now}, which a newer version of this program made.")
    if now != scripts.get_current_head():
        command.upgrade(config, "head")
        log.info("database_migrated", before=now, now=scripts.get_current_head())

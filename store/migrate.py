"""Brings the database to the schema this program needs: roles first, then the migrations in order, as the owner."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.pool import NullPool

from store import postgres
from store.roles import MADE, urls_of
from store.settings import StoreSettings

log = structlog.get_logger()

_OLDEST_POSTGRES = 15
_LOCK = 0x41495445  # any fixed number: two servers that start at once migrate one after the other
_RETRY_SECONDS = 0.05
RESTORE_PENDING = "public.restore_pending"
"""A table that is there between the loading of a backup and the end of its restoring."""


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
    began = time.monotonic()
    with owned(settings, wait_seconds) as connection:
        upgrade(connection)
        if connection.exec_driver_sql(f"SELECT to_regclass('{RESTORE_PENDING}')").scalar_one() is not None:
            raise MigrationError(
                "The database was restored from a backup, and what had been erased since is not erased again yet. "
                "Run: aitelier restore --finish"
            )
    log.info("database_ready", took_ms=round((time.monotonic() - began) * 1000))


@contextmanager
def owned(settings: StoreSettings, wait_seconds: float) -> Iterator[Connection]:
    """One transaction of the database's owner, beside which nobody migrates; committed at the end. All roles are there.

    Raises:
        MigrationError: As `migrate` says.
    """
    urls = urls_of(settings)
    if settings.database_url is None:
        _make_database(settings.home, wait_seconds)
    with _connected(urls.owner, wait_seconds) as connection:
        # For the whole transaction: of servers that start at once one migrates, and the others find it done.
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _check_version(connection)
        for role, url in urls.by_role.items():
            if settings.database_url is not None:
                _make_role(connection, role, url)
            _check_role(connection, role)
        yield connection
        connection.commit()


def _connected(url: URL, wait_seconds: float) -> Connection:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return create_engine(url, poolclass=NullPool, hide_parameters=True).connect()
        except OperationalError as error:
            problem = str(error.orig).strip()
            # A server that answers and refuses will go on refusing, unless it says that it is just starting.
            final = "FATAL" in problem and "starting up" not in problem and "recovery" not in problem
            if final or time.monotonic() > deadline:
                raise MigrationError(f"The database cannot be reached: {problem}") from None
            time.sleep(_RETRY_SECONDS)


def _make_database(home: Path, wait_seconds: float) -> None:
    """The embedded server's roles and database. It knows users by their socket, so roles have no passwords."""
    superuser = make_url(postgres.url(home, postgres.SUPERUSER, "postgres"))
    with _connected(superuser, wait_seconds) as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        for role in (postgres.OWNER, *MADE):
            if not _exists(connection, "pg_roles", "rolname", role):
                connection.exec_driver_sql(f'CREATE ROLE "{role}" LOGIN')
        connection.commit()
        there = _exists(connection, "pg_database", "datname", postgres.DATABASE)
    if not there:
        with _connected(superuser, 0).execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{postgres.DATABASE}" OWNER "{postgres.OWNER}"')


def _make_role(connection: Connection, role: str, url: URL) -> None:
    """Make sure that the role can log in with the password of today's master key."""
    try:
        with create_engine(url, poolclass=NullPool).connect():
            return
    except OperationalError:
        pass
    verb = "ALTER" if _exists(connection, "pg_roles", "rolname", role) else "CREATE"
    pgconn = connection.connection.driver_connection.pgconn  # type: ignore[union-attr]  # psycopg's own connection
    # The server gets what it needs to check the password, never the password, which it might write to its log.
    verifier = pgconn.encrypt_password(str(url.password).encode(), role.encode(), b"scram-sha-256").decode()
    statement = sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
        sql.SQL(verb), sql.Identifier(role), sql.Literal(verifier)
    )
    try:
        connection.exec_driver_sql(statement.as_string())
    except ProgrammingError:
        raise MigrationError(
            f"The database's user may not {verb.lower()} the role {role}. As a superuser, run: "
            "ALTER ROLE <user of AITELIER_DATABASE_URL> CREATEROLE"
        ) from None


def _check_role(connection: Connection, role: str) -> None:
    """A role that passes row-level security would take the wall between tenants away without anybody noticing."""
    statement = text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = :role")
    if connection.execute(statement, {"role": role}).scalar_one():
        raise MigrationError(
            f"The role {role} bypasses row-level security. Run: ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"
        )


def _exists(connection: Connection, catalogue: str, column: str, name: str) -> bool:
    statement = text(f"SELECT 1 FROM {catalogue} WHERE {column} = :name")  # noqa: S608 - constants of this file
    return connection.execute(statement, {"name": name}).first() is not None


def _check_version(connection: Connection) -> None:
    version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
    if int(version) // 10_000 < _OLDEST_POSTGRES:
        raise MigrationError(f"PostgreSQL {_OLDEST_POSTGRES} or newer is needed, and this is {int(version) // 10_000}.")


def upgrade(connection: Connection, to: str = "head") -> None:
    """Make or bring the schema to this revision.

    Raises:
        MigrationError: It is, or is to be, of a newer version of this program.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    to = scripts.get_current_head() or to if to == "head" else to
    now = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in (now, to):
        if revision is not None and revision not in known:
            raise MigrationError(f"The database has schema {revision}, which a newer version of this program made.")
    if now != to:
        command.upgrade(config, to)
        log.info("database_migrated", before=now, now=to)

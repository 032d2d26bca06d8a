"""Loading a backup's rows into a database, as its owner and in one transaction, and the mark that stays until the end.

While the mark is there, `store.migrate` lets no server start on the database.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from store.migrate import RESTORE_PENDING, owned, upgrade
from store.parts import Member
from store.roles import MADE
from store.settings import StoreSettings
from store.snapshot import SCHEMAS, SEQUENCES, SnapshotError, Table

_WAIT_S: Final = 30.0
_LEAVING_S: Final = 2.0
"""Connections that were closed a moment ago may still be seen."""

_CLEAR: Final = """
DROP SCHEMA IF EXISTS keys CASCADE;
DROP SCHEMA IF EXISTS jobs CASCADE;
DO $$
DECLARE it text;
BEGIN
    FOR it IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
              WHERE schemaname = 'public' AND tableowner = current_user LOOP
        EXECUTE 'DROP TABLE IF EXISTS ' || it || ' CASCADE';
    END LOOP;
    FOR it IN SELECT p.oid::regprocedure::text FROM pg_proc p
              WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = current_user::regrole
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') LOOP
        EXECUTE 'DROP ROUTINE IF EXISTS ' || it || ' CASCADE';
    END LOOP;
END $$;
"""
_FORCED: Final = """
SELECT n.nspname, c.relname, c.relforcerowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (%(schemas)s)
"""


class DatabaseTakenError(Exception):
    """Something is in the database, or somebody is on it; says what to do."""


def refuse_taken(settings: StoreSettings, *, replace: bool) -> None:
    """Make sure that no server is on the database and, unless it is to be replaced, that nothing is in it.

    Raises:
        DatabaseTakenError: One of them is not so.
        store.migrate.MigrationError: The database is away.
    """
    with owned(settings, _WAIT_S) as connection:
        _refuse_taken(connection, replace=replace)


@contextmanager
def replaced(
    settings: StoreSettings, *, revision: str, backup: str, replace: bool
) -> Iterator[psycopg.Connection[Any]]:
    """An empty database of this schema, into which rows of all tenants may be loaded in the block.

    At its end every reference has been checked, the schema is today's, and the database is marked with the backup's
    name. When the block raises, or the process dies, the database is what it was.

    Raises:
        DatabaseTakenError: As `refuse_taken`.
        store.migrate.MigrationError: The database is away, or the backup is newer than this program.
        store.snapshot.SnapshotError: A row refers to one that is not there.
    """
    with owned(settings, _WAIT_S) as connection:
        _refuse_taken(connection, replace=replace)
        connection.exec_driver_sql(_CLEAR.replace("%", "%%"))
        upgrade(connection, revision)
        driver: Any = connection.connection.driver_connection  # psycopg's own
        with _unlocked(driver):
            yield driver
        upgrade(connection)
        connection.exec_driver_sql(f"CREATE TABLE {RESTORE_PENDING} (backup text NOT NULL)")
        driver.execute(f"INSERT INTO {RESTORE_PENDING} VALUES (%s)", (backup,))  # noqa: S608  # a constant


def pending(settings: StoreSettings) -> str | None:
    """The name of the backup whose restoring is not finished; None when nothing is pending.

    Raises:
        store.migrate.MigrationError: The database is away.
    """
    with owned(settings, _WAIT_S) as connection:
        if not _is_there(connection, RESTORE_PENDING):
            return None
        found: str = connection.exec_driver_sql(f"SELECT backup FROM {RESTORE_PENDING}").scalar_one()  # noqa: S608  # a constant
        return found


def let_servers_start(settings: StoreSettings) -> None:
    """Take the mark away.

    Raises:
        store.migrate.MigrationError: The database is away.
    """
    with owned(settings, _WAIT_S) as connection:
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {RESTORE_PENDING}")


def load(connection: psycopg.Connection[Any], members: Iterator[Member], *, loaded: Callable[[str], None]) -> None:
    """Load tables into a database that `replaced` has made ready.

    `loaded` is told of each table as it begins.

    Raises:
        SnapshotError: It is not what `Snapshot` writes.
    """
    member = next(members, None)
    while member is not None:
        name, _, what = member.name.rpartition("/")
        if member.name == SEQUENCES:
            for schema, sequence, value in msgspec.json.decode(member.whole(), type=list[tuple[str, str, int]]):
                connection.execute(
                    "SELECT setval(format('%%I.%%I', %s::text, %s::text), %s)", (schema, sequence, value)
                )
            member = next(members, None)
        elif what == "columns" and name.count(".") == 1:
            schema, table_name = name.split(".")
            table = Table(schema, table_name, msgspec.json.decode(member.whole(), type=tuple[str, ...]))
            loaded(name)
            member = _load_table(connection, table, members)
        else:
            raise SnapshotError(f"The backup holds {member.name!r}, which this version does not know")


def _load_table(connection: psycopg.Connection[Any], table: Table, members: Iterator[Member]) -> Member | None:
    """Load one table's pieces; the first member that is another's."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(table.identifier, table.column_list)
    try:
        with connection.cursor() as cursor, cursor.copy(statement) as rows:
            while (member := next(members, None)) is not None and member.name.startswith(f"{table}/"):
                for piece in member.pieces():
                    rows.write(piece)
    except psycopg.Error as error:  # whose text may hold a row
        raise SnapshotError(f"Rows of {table} do not fit the schema ({type(error).__name__})") from None
    return member


@contextmanager
def _unlocked(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Within the owner's transaction, which nobody else sees: rows of all tenants may come in, and nothing follows.

    At the end everything is as it was, and every reference has been checked.

    Raises:
        SnapshotError: A row refers to one that is not there.
    """
    values = {"schemas": list(SCHEMAS)}
    tables = connection.execute(_FORCED, values).fetchall()
    for schema, name, _ in tables:
        _alter(connection, schema, name, sql.SQL("NO FORCE ROW LEVEL SECURITY, DISABLE TRIGGER USER"))
    yield
    try:
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.errors.IntegrityError as error:
        raise SnapshotError(f"Rows refer to others that are missing ({type(error).__name__})") from None
    for schema, name, forced in tables:
        _alter(connection, schema, name, sql.SQL("ENABLE TRIGGER USER"))
        if forced:
            _alter(connection, schema, name, sql.SQL("FORCE ROW LEVEL SECURITY"))


def _alter(connection: psycopg.Connection[Any], schema: str, name: str, change: sql.SQL) -> None:
    connection.execute(sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(schema, name), change))


def _refuse_taken(connection: Connection, *, replace: bool) -> None:
    others = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = ANY (:roles)")
    until = time.monotonic() + _LEAVING_S
    while connection.execute(others, {"roles": list(MADE)}).scalar_one():
        if time.monotonic() > until:
            raise DatabaseTakenError("A server is connected to this database. Stop it first, on every machine")
        time.sleep(0.05)
        connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    if not replace and _is_there(connection, "public.alembic_version"):
        raise DatabaseTakenError("There is data here already. Name another home, or replace it all with --replace")


def _is_there(connection: Connection, table: str) -> bool:
    return connection.exec_driver_sql(f"SELECT to_regclass('{table}')").scalar_one() is not None

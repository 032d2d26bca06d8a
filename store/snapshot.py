"""Every row of the database as of one moment, written to the parts of a backup.

A table is some pieces in PostgreSQL's own COPY text, in an order in which each row finds those it refers to. Rows lie
in a backup as they lie in the database: what is personal in them is sealed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from store.parts import PartWriter
from store.roles import BACKUP

KEYS: Final = "keys"
"""The schema of wrapped keys, which are backed up apart."""
SCHEMAS: Final = ("public", KEYS, "jobs")
_REVISION: Final = "alembic_version"
_PIECE_BYTES: Final = 4 << 20
SEQUENCES: Final = "sequences"
"""The member that says how far each has counted."""

_TABLES: Final = """
SELECT n.nspname, c.relname, c.relrowsecurity, EXISTS (
    SELECT FROM pg_policies p WHERE (p.schemaname, p.tablename) = (n.nspname, c.relname)
    AND p.permissive = 'PERMISSIVE' AND p.cmd IN ('SELECT', 'ALL') AND p.qual = 'true' AND %(role)s = ANY (p.roles)
) AND NOT EXISTS (
    SELECT FROM pg_policies p
    WHERE (p.schemaname, p.tablename) = (n.nspname, c.relname) AND p.permissive = 'RESTRICTIVE'
) AS whole,
ARRAY(
    SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    ORDER BY attnum
)::text[] AS columns
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname = ANY (%(schemas)s) AND c.relname <> %(revision)s
ORDER BY 1, 2
"""
_REFERENCES: Final = """
SELECT cn.nspname, c.relname, fn.nspname, f.relname
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class f ON f.oid = k.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE k.contype = 'f' AND NOT k.condeferred AND c.oid <> f.oid
"""
_LAST_VALUES: Final = """
SELECT schemaname, sequencename, last_value FROM pg_sequences
WHERE schemaname = ANY (%(schemas)s) AND last_value IS NOT NULL ORDER BY 1, 2
"""


class SnapshotError(Exception):
    """The database cannot be copied or loaded as a whole; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table."""

    schema: str
    name: str
    columns: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def identifier(self) -> sql.Identifier:
        """For a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def column_list(self) -> sql.Composed:
        """The same of its columns."""
        return sql.SQL(", ").join(map(sql.Identifier, self.columns))


class Snapshot:
    """A transaction that sees one moment; see `opened`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        self.revision: str = row[0] if row is not None else ""
        """Of the schema, as its migrations number it."""
        self.tables = self._in_order()

    @classmethod
    @contextmanager
    def opened(cls, url: URL) -> Iterator[Self]:
        """Look at the database at `url`, as the role of backups, while others work on it.

        Raises:
            SnapshotError: It cannot be reached, or not every row of it could be seen.
        """
        try:
            with psycopg.connect(_conninfo(url), options="-c default_transaction_read_only=on") as connection:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                yield cls(connection)
        except psycopg.OperationalError as error:
            raise SnapshotError(f"The database cannot be reached: {str(error).strip()}") from None
        except psycopg.errors.UndefinedTable:
            raise SnapshotError("The database is empty. Start the server once: scripts/serve") from None

    def _in_order(self) -> tuple[Table, ...]:
        """Every table, after those it refers to."""
        values = {"schemas": list(SCHEMAS), "revision": _REVISION, "role": BACKUP}
        left: dict[tuple[str, str], Table] = {}
        for schema, name, secured, whole, columns in self._connection.execute(_TABLES, values):
            left[schema, name] = Table(schema, name, tuple(columns))
            if secured and not whole:
                raise SnapshotError(f"Row security hides rows of {schema}.{name} from backups. A migration forgot it")
        needs: dict[tuple[str, str], set[tuple[str, str]]] = {key: set() for key in left}
        for schema, name, other_schema, other in self._connection.execute(_REFERENCES):
            needs.get((schema, name), set()).add((other_schema, other))
        ordered: list[Table] = []
        while left:
            ready = [key for key in left if not needs[key] & left.keys()]
            if not ready:
                raise SnapshotError(f"These tables refer to each other: {', '.join(map(str, left.values()))}")
            ordered += [left.pop(key) for key in ready]
        return tuple(ordered)

    def copy(self, table: Table, part: PartWriter) -> int:
        """Write a table; how many rows."""
        part.add(f"{table}/columns", msgspec.json.encode(table.columns))
        statement = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(table.column_list, table.identifier)
        piece, pieces = bytearray(), 0
        with self._connection.cursor() as cursor:
            with cursor.copy(statement) as rows:
                for row in rows:
                    piece += row
                    if len(piece) >= _PIECE_BYTES:
                        part.add(f"{table}/{pieces:06}", bytes(piece))
                        piece, pieces = bytearray(), pieces + 1
            if piece:
                part.add(f"{table}/{pieces:06}", bytes(piece))
            return cursor.rowcount

    def copy_sequences(self, part: PartWriter) -> None:
        """Write how far each sequence has counted."""
        found = self._connection.execute(_LAST_VALUES, {"schemas": list(SCHEMAS)}).fetchall()
        part.add(SEQUENCES, msgspec.json.encode(found))

    def recordings(self) -> Iterator[str]:
        """Names of the objects that calls refer to, in this moment."""
        with self._connection.cursor("recordings") as cursor:
            for (name,) in cursor.execute("SELECT blob FROM recordings"):
                yield name


def _conninfo(url: URL) -> str:
    return url.set(drivername="postgresql").render_as_string(hide_password=False)

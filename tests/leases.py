"""Databases that tests borrow: empty when they are lent, emptied when they come back.

To copy a migrated database takes longer than most tests do, so one that is as it was made, but for its rows, is lent
again. One that is not (a test has changed a trigger, a policy, a right …) is dropped.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from store import postgres

_MOST_BYTES = 32 << 20
"""A database that grew beyond this is dropped: rows that are gone leave their room behind."""
_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_MADE_OF = f"""
SELECT md5(string_agg(fact, chr(10) ORDER BY fact)) FROM (
    SELECT concat_ws('|', 'class', n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner,
                     c.relacl, c.reloptions) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS}
    UNION ALL
    SELECT concat_ws('|', 'column', a.attrelid::regclass, a.attname, a.atttypid, a.attnotnull, a.attacl)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {_OURS} AND NOT a.attisdropped AND a.attnum > 0
    UNION ALL
    SELECT concat_ws('|', 'trigger', tgrelid::regclass, CASE WHEN tgisinternal THEN '' ELSE tgname END, tgenabled)
    FROM pg_trigger
    UNION ALL SELECT concat_ws('|', 'policy', polrelid::regclass, polname, polcmd, polroles, polqual, polwithcheck)
    FROM (SELECT polrelid, polname, polcmd, polroles, pg_get_expr(polqual, polrelid) AS polqual,
                 pg_get_expr(polwithcheck, polrelid) AS polwithcheck FROM pg_policy) AS policies
    UNION ALL
    SELECT concat_ws('|', 'function', n.nspname, p.proname, md5(p.prosrc), p.proacl, p.prosecdef)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS}
    UNION ALL SELECT concat_ws('|', 'constraint', conrelid::regclass, conname, convalidated)
    FROM pg_constraint WHERE conrelid <> 0
    UNION ALL SELECT concat_ws('|', 'schema', n.nspname, n.nspacl, n.nspowner) FROM pg_namespace n WHERE {_OURS}
    UNION ALL SELECT concat_ws('|', 'database', datacl, datallowconn, datconnlimit, datdba)
    FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT concat_ws('|', 'setting', setrole, setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT concat_ws('|', 'version', version_num) FROM alembic_version
) AS facts (fact)
"""  # noqa: S608  # made of constants
_TABLES = f"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND c.relkind = 'r' AND c.relname <> 'alembic_version'
"""  # noqa: S608  # made of constants
_SEQUENCES = "SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences"
_CUT_OFF = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class _Spare:
    name: str
    made_of: object
    """What it was made of, so that one can see whether that has changed."""


_spares: dict[Path, list[_Spare]] = defaultdict(list)
_names = count()


@contextmanager
def fresh_database(home: Path) -> Iterator[str]:
    """The name of a migrated, empty database on the server of this home."""
    spare = _spares[home].pop() if _spares[home] else _make(home)
    try:
        yield spare.name
    finally:
        if _emptied(home, spare):
            _spares[home].append(spare)
        else:
            with _connect(home, "postgres") as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(spare.name)))


def _make(home: Path) -> _Spare:
    name = f"test_{next(_names)}"
    with _connect(home, "postgres") as connection:
        connection.execute(
            f"CREATE DATABASE {name} TEMPLATE {postgres.DATABASE} OWNER {postgres.OWNER} STRATEGY FILE_COPY"
        )
    with _connect(home, name) as connection:
        return _Spare(name, connection.execute(_MADE_OF).fetchone())


def _emptied(home: Path, spare: _Spare) -> bool:
    """Whether it is as it was when it was made."""
    try:
        with _connect(home, spare.name) as connection:
            connection.execute(_CUT_OFF)
            if connection.execute(_MADE_OF).fetchone() != spare.made_of:
                return False
            connection.execute(
                "SET session_replication_role = replica"
            )  # no trigger, and no foreign key, stands in the way
            tables = [sql.Identifier(*row) for row in connection.execute(_TABLES)]
            connection.execute(sql.SQL("; ").join(sql.SQL("DELETE FROM {}").format(table) for table in tables))
            connection.execute(_SEQUENCES)
            ((size,),) = connection.execute("SELECT pg_database_size(current_database())").fetchall()
    except psycopg.Error:
        return False
    return int(size) < _MOST_BYTES


def _connect(home: Path, name: str) -> "psycopg.Connection[tuple[object, ...]]":
    address = postgres.url(home, postgres.SUPERUSER, name).replace("+psycopg", "")
    return psycopg.connect(address, autocommit=True)

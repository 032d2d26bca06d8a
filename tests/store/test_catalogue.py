"""The catalogue of the database: every table, role, right and function as the walls between tenants need it.

A migration that forgets one of them fails here, and so does one that opens a door which is not on the list.
"""

from pathlib import Path

from sqlmodel import SQLModel

from store import postgres
from store.roles import APP, BACKUP, JOBS, PLATFORM
from store.settings import StoreSettings
from store.tables.catalogue import TABLES
from tests.database import connected

_LIST_TABLES = """
    SELECT n.nspname || '.' || c.relname, c.oid, c.relrowsecurity, c.relforcerowsecurity
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'keys') AND c.relname <> 'alembic_version'
    ORDER BY 1
"""


_DOORS = {
    (PLATFORM, "api_keys"): {"tenant_id", "id", "key_hash"},
    (PLATFORM, "memberships"): {"tenant_id", "user_id"},
    (PLATFORM, "numbers"): {"tenant_id", "id", "project_id", "scenario_id", "called"},
    (PLATFORM, "tenants"): {"tenant_id", "name", "max_calls"},
    (PLATFORM, "trunks"): {"tenant_id", "id", "name", "networks", "transports", "srtp", "min_tls"},
    (JOBS, "audit_heads"): {"tenant_id", "size"},
    (JOBS, "audit_checkpoints"): {"tenant_id", "size"},
    (JOBS, "dsar_cases"): {"tenant_id", "next_step_at"},
    (JOBS, "project_deletions"): {"tenant_id", "asked_at", "wiped_at"},
    (JOBS, "keys.tenant_keys"): {"tenant_id", "purpose", "state", "created_at", "seals", "root_id"},
    (JOBS, "tenants"): {"tenant_id"},
}
"""What the two roles that look across tenants may read of every tenant's rows: nothing personal, nothing said."""
_DEFINERS = {"jobs.enqueue", "jobs.forget"}
"""Functions that run with their owner's rights. Each checks the transaction's tenant by itself."""
_UNIQUE_OVER_ALL = {"api_keys_key_hash_key", "numbers_called_key"}
"""What may be one tenant's only on the whole server: a number rings in one place, a key opens one door."""


def test_every_table_is_behind_the_walls(store_settings: StoreSettings, database_home: Path) -> None:
    """Each table has `tenant_id` first in its key, forced row security and one policy that checks reads and writes."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        tables = connection.execute(_LIST_TABLES).fetchall()
        assert [name for name, *_ in tables] == sorted(
            f"{table.__table__.schema or 'public'}.{table.__tablename__}" for table in TABLES
        )
        for name, oid, enabled, forced in tables:
            assert (enabled, forced) == (True, True), name
            key = connection.execute(
                "SELECT a.attname FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = k.conrelid"
                " AND a.attnum = k.conkey[1] WHERE k.conrelid = %s AND k.contype = 'p' AND a.attnotnull",
                (oid,),
            ).fetchone()
            assert key == ("tenant_id",), name
            policies = connection.execute(
                "SELECT polname, polcmd, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)"
                " FROM pg_policy WHERE polrelid = %s AND polname <> ALL (%s)",
                (oid, [f"{role}_looks" for role in (PLATFORM, JOBS, BACKUP)]),
            ).fetchall()
            assert len(policies) == 1, name
            _, command, roles, using, check = policies[0]
            assert (command, roles) == ("*", [0]), name
            assert (
                using
                == check
                == ("(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)")
            ), name


def test_every_reference_carries_the_tenant(store_settings: StoreSettings, database_home: Path) -> None:
    """Each foreign key starts with the tenant on both sides, so no row can point at another tenant's."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        # The queue is no tenant's; what keeps tenants out of it is in test_jobs.py.
        references = connection.execute(
            "SELECT k.conrelid::regclass::text, k.conname, a.attname, f.attname, k.convalidated"
            " FROM pg_constraint k"
            " JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]"
            " JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]"
            " WHERE k.contype = 'f' AND k.connamespace <> 'jobs'::regnamespace"
        ).fetchall()
        assert len(references) > 15
        for table, name, ours, theirs, valid in references:
            assert (ours, theirs, valid) == ("tenant_id", "tenant_id", True), (table, name)
        without = connection.execute(
            "SELECT c.relname FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
            " AND c.relname NOT IN ('tenants', 'alembic_version')"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f')"
        ).fetchall()
        assert without == []


def test_the_roles_are_no_masters(store_settings: StoreSettings, database_home: Path) -> None:
    """The program's roles own nothing, are no superusers, do not bypass row security and belong to no other role."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        for role in (APP, PLATFORM, JOBS, BACKUP):
            found = connection.execute(
                "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication, rolcanlogin,"
                " (SELECT count(*) FROM pg_class WHERE relowner = r.oid),"
                " (SELECT count(*) FROM pg_auth_members WHERE member = r.oid) FROM pg_roles r WHERE rolname = %s",
                (role,),
            ).fetchone()
            assert found == (False, False, False, False, False, True, 0, 0), role
        owner = connection.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert owner == (False, False)


def test_the_program_knows_the_same_columns(store_settings: StoreSettings, database_home: Path) -> None:
    """The classes in `store.tables` and the migrated database have the same columns, and agree which may be empty."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        for table in SQLModel.metadata.sorted_tables:
            columns = dict(
                connection.execute(
                    "SELECT column_name, is_nullable = 'YES' FROM information_schema.columns"
                    " WHERE table_schema = %s AND table_name = %s",
                    (table.schema or "public", table.name),
                ).fetchall()
            )
            assert columns == {column.name: bool(column.nullable) for column in table.columns}, table.name


def test_the_doors_are_those_on_the_list(store_settings: StoreSettings, database_home: Path) -> None:
    """The roles that look across tenants may read these columns, by a policy of their own, and do nothing else."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        granted: dict[tuple[str, str], set[str]] = {}
        for role, table, column, right in connection.execute(
            "SELECT grantee, (table_schema || '.' || table_name)::regclass::text, column_name, privilege_type"
            " FROM information_schema.column_privileges"
            " WHERE grantee = ANY (%s) AND table_schema IN ('public', 'keys')",
            ([PLATFORM, JOBS],),
        ).fetchall():
            assert right == "SELECT", (role, table)
            granted.setdefault((str(role), str(table)), set()).add(str(column))
        assert granted == _DOORS
        policies = connection.execute(
            "SELECT polname, polrelid::regclass::text, polcmd, polroles::regrole[]::text[], polpermissive"
            " FROM pg_policy WHERE polname NOT IN ('tenant_isolation', 'aitelier_backup_looks')"
        ).fetchall()
        assert {(role, table) for _, table, _, (role,), _ in policies} == _DOORS.keys()
        assert {(name, command) for name, _, command, _, _ in policies} == {
            (f"{r}_looks", "r") for r in (PLATFORM, JOBS)
        }


def test_a_backup_reads_everything_and_writes_nothing(store_settings: StoreSettings, database_home: Path) -> None:
    """Its role has a policy of its own on each table, for reading alone."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        tables = [name for name, *_ in connection.execute(_LIST_TABLES).fetchall()]
        policies = connection.execute(
            "SELECT relnamespace::regnamespace || '.' || relname, polcmd, polroles::regrole[]::text[], polpermissive,"
            " pg_get_expr(polqual, polrelid) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
            " WHERE polname = 'aitelier_backup_looks' ORDER BY 1"
        ).fetchall()
        assert policies == [(name, "r", [BACKUP], True, "true") for name in tables]


def test_the_program_may_read_and_write_rows_and_no_more(store_settings: StoreSettings, database_home: Path) -> None:
    """The app role has no right to truncate, refer to, or put triggers on a table, nor to make any; strangers none."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        for name, oid, *_ in connection.execute(_LIST_TABLES).fetchall():
            rights = connection.execute(
                "SELECT grantee::regrole::text, privilege_type FROM pg_class, aclexplode(relacl)"
                " WHERE oid = %s AND grantee <> relowner",
                (oid,),
            ).fetchall()
            assert {role for role, _ in rights} == {APP, BACKUP}, name
            assert {right for role, right in rights if role == BACKUP} == {"SELECT"}, name
            assert {"SELECT"} <= {right for _, right in rights} <= {"SELECT", "INSERT", "UPDATE", "DELETE"}, name
        for schema in ("public", "keys", "jobs"):
            for role in (APP, PLATFORM, JOBS, BACKUP):
                may = connection.execute("SELECT has_schema_privilege(%s, %s, 'CREATE')", (role, schema)).fetchone()
                assert may == (False,), (role, schema)
        seen = connection.execute(
            "SELECT has_schema_privilege(%s, 'keys', 'USAGE'), has_schema_privilege(%s, 'keys', 'USAGE')",
            (PLATFORM, JOBS),
        ).fetchone()
        assert seen == (False, True)


def test_nothing_looks_past_row_security(store_settings: StoreSettings, database_home: Path) -> None:
    """There is no view, and no function that runs with its owner's rights but those on the list, with a fixed path."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        schemas = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"
        ).fetchall()
        assert schemas == [("jobs",), ("keys",), ("public",)]
        views = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace IN"
            " ('public'::regnamespace, 'keys'::regnamespace)"
        ).fetchall()
        assert views == []
        definers = connection.execute(
            "SELECT pronamespace::regnamespace || '.' || proname, proconfig::text FROM pg_proc"
            " WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
        ).fetchall()
        assert {name for name, _ in definers} == _DEFINERS
        assert all("search_path=" in str(settings) for _, settings in definers)


def test_uniqueness_tells_no_tenant_of_another(store_settings: StoreSettings, database_home: Path) -> None:
    """Every unique index begins with the tenant, so that no refused row tells of another tenant's, but for numbers."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        indexes = connection.execute(
            "SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
            " LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]"
            " WHERE i.indisunique AND c.relnamespace IN ('public'::regnamespace, 'keys'::regnamespace)"
            " AND c.relname <> 'alembic_version'"
        ).fetchall()
        assert len(indexes) >= len(TABLES)
        assert {name for name, first in indexes if first != "tenant_id"} == _UNIQUE_OVER_ALL

"""The second and third wall: what PostgreSQL itself refuses, whatever the program asks for."""

from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlmodel import SQLModel

from store import postgres, sessions
from store.engine import Database
from store.roles import APP, JOBS, PLATFORM
from store.settings import StoreSettings
from store.tables.catalogue import TABLES
from tests.database import Shop, address

_LIST_TABLES = """
    SELECT n.nspname || '.' || c.relname, c.oid, c.relrowsecurity, c.relforcerowsecurity
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('public', 'keys') AND c.relname <> 'alembic_version'
    ORDER BY 1
"""


def _as(settings: StoreSettings, home: Path, role: str) -> "psycopg.Connection[tuple[object, ...]]":
    assert settings.database_url
    name = psycopg.conninfo.conninfo_to_dict(settings.database_url)["dbname"]
    return psycopg.connect(address(home, role, str(name)))


def _bind(connection: "psycopg.Connection[tuple[object, ...]]", tenant_id: UUID) -> None:
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))


def test_every_table_is_behind_the_walls(store_settings: StoreSettings, database_home: Path) -> None:
    """Each table has `tenant_id` first in its key, forced row security and one policy that checks reads and writes."""
    with _as(store_settings, database_home, postgres.OWNER) as connection:
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
                (oid, [f"{role}_looks" for role in (PLATFORM, JOBS)]),
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
    with _as(store_settings, database_home, postgres.OWNER) as connection:
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
    with _as(store_settings, database_home, postgres.OWNER) as connection:
        for role in (APP, PLATFORM, JOBS):
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
    with _as(store_settings, database_home, postgres.OWNER) as connection:
        for table in SQLModel.metadata.sorted_tables:
            columns = dict(
                connection.execute(
                    "SELECT column_name, is_nullable = 'YES' FROM information_schema.columns"
                    " WHERE table_schema = %s AND table_name = %s",
                    (table.schema or "public", table.name),
                ).fetchall()
            )
            assert columns == {column.name: bool(column.nullable) for column in table.columns}, table.name


async def test_without_a_tenant_there_are_no_rows(
    store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """Neither the app role nor the owner sees a row before a tenant is set, nor after the transaction that set it."""
    for role in (APP, postgres.OWNER):
        with _as(store_settings, database_home, role) as connection:
            assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)
            _bind(connection, bakery.tenant_id)
            assert connection.execute("SELECT count(*) FROM projects").fetchone() == (1,)
            connection.commit()
            assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)


async def test_a_tenant_sees_and_changes_only_its_own(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """Bound to one tenant, another's rows can be neither read, changed, deleted, made nor taken over."""
    with _as(store_settings, database_home, APP) as connection:
        _bind(connection, bakery.tenant_id)
        assert connection.execute("SELECT DISTINCT tenant_id FROM projects").fetchall() == [(bakery.tenant_id,)]
        foreign = (florist.tenant_id,)
        assert connection.execute("UPDATE projects SET name = 'x' WHERE tenant_id = %s", foreign).rowcount == 0
        assert connection.execute("DELETE FROM numbers WHERE tenant_id = %s", foreign).rowcount == 0
        for statement in (
            "INSERT INTO tenants (tenant_id, name, max_calls) VALUES (gen_random_uuid(), 'x', 1)",
            "UPDATE numbers SET tenant_id = gen_random_uuid()",
            "INSERT INTO keys.data_keys SELECT gen_random_uuid(), gen_random_uuid(), ''",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


async def test_a_reference_to_another_tenant_fails(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """A row of one tenant cannot refer to a row of another, though foreign keys look past row security."""
    with _as(store_settings, database_home, APP) as connection:
        _bind(connection, bakery.tenant_id)
        with pytest.raises(psycopg.errors.ForeignKeyViolation), connection.transaction():
            connection.execute(
                "INSERT INTO scenarios (tenant_id, id, project_id, name) VALUES (%s, gen_random_uuid(), %s, 'x')",
                (bakery.tenant_id, florist.project_id),
            )


async def test_the_platform_sees_what_routing_needs_and_no_more(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """The platform role reads numbers of all tenants, and neither their labels nor any other table, nor writes."""
    with _as(store_settings, database_home, PLATFORM) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (2,)
        for statement in (
            "SELECT label FROM numbers",
            "SELECT * FROM projects",
            "SELECT * FROM sessions",
            "SELECT * FROM keys.tenant_keys",
            "INSERT INTO trunks DEFAULT VALUES",
            "DELETE FROM numbers",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


async def test_another_tenants_call_is_not_found(database: Database, bakery: Shop, florist: Shop) -> None:
    """A call of one tenant is nowhere for another, by id, by list, or by number."""
    async with database.tenant(bakery.tenant_id) as store:
        opened = await sessions.open_session(
            store,
            project_id=bakery.project_id,
            scenario_id=bakery.scenario_id,
            scenario_version=1,
            called=bakery.called,
            caller="+493012345",
            trunk="loopback",
            language="de",
        )
    async with database.tenant(florist.tenant_id) as store:
        assert await sessions.find_session(store, opened.id) is None
        assert await sessions.list_sessions(store) == ()
        assert await sessions.list_sessions(store, caller="+493012345") == ()
        assert not await sessions.close_session(store, opened.id, ended_by="system", end_reason="x")
        assert not await sessions.discard_session(store, opened.id)
    async with database.tenant(bakery.tenant_id) as store:
        found = await sessions.list_sessions(store, caller="+493012345")
    assert [(call.id, call.caller, call.state) for call in found] == [(opened.id, "+493012345", "open")]

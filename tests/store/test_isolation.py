"""The second and third wall: what PostgreSQL itself refuses, whatever the program asks for."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.pool import NullPool

from policies.audit_tags import OPERATOR
from store import postgres, sessions
from store.engine import Database
from store.guard import GuardedSession
from store.roles import APP, JOBS, PLATFORM, urls_of
from store.settings import StoreSettings
from store.tables.setup import ProjectTable
from tests.database import Shop, connected
from tests.oracle.watch import Oracle

_CORE = select(ProjectTable.__table__.c.tenant_id)  # type: ignore[attr-defined]


def _bind(connection: "psycopg.Connection[tuple[object, ...]]", tenant_id: UUID) -> None:
    connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant_id),))


async def test_without_a_tenant_there_are_no_rows(
    store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """Neither the app role nor the owner sees a row before a tenant is set, nor after the transaction that set it."""
    for role in (APP, postgres.OWNER):
        with connected(store_settings, database_home, role) as connection:
            assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)
            _bind(connection, bakery.tenant_id)
            assert connection.execute("SELECT count(*) FROM projects").fetchone() == (1,)
            connection.commit()
            assert connection.execute("SELECT count(*) FROM projects").fetchone() == (0,)


async def test_a_tenant_sees_and_changes_only_its_own(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """Bound to one tenant, another's rows can be neither read, changed, deleted, made nor taken over."""
    with connected(store_settings, database_home, APP) as connection:
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
    with connected(store_settings, database_home, APP) as connection:
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
    with connected(store_settings, database_home, PLATFORM) as connection:
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
        assert await sessions.find_session(store, opened.id, actor=OPERATOR) is None
        assert await sessions.list_sessions(store, actor=OPERATOR) == ()
        assert await sessions.list_sessions(store, caller="+493012345", actor=OPERATOR) == ()
        assert not await sessions.close_session(store, opened.id, ended_by="system", end_reason="x")
        assert not await sessions.discard_session(store, opened.id)
    async with database.tenant(bakery.tenant_id) as store:
        found = await sessions.list_sessions(store, caller="+493012345", actor=OPERATOR)
    assert [(call.id, call.caller, call.state) for call in found] == [(opened.id, "+493012345", "open")]


async def test_the_jobs_role_sees_which_tenants_there_are_and_no_more(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """The role of platform jobs reads tenants' ids, and neither their names nor any call, nor writes."""
    with connected(store_settings, database_home, JOBS) as connection:
        found = connection.execute("SELECT tenant_id FROM tenants ORDER BY 1").fetchall()
        assert found == sorted([(bakery.tenant_id,), (florist.tenant_id,)])
        for statement in (
            "SELECT name FROM tenants",
            "SELECT called FROM numbers",
            "SELECT id FROM sessions",
            "SELECT * FROM keys.data_keys",
            "UPDATE tenants SET max_calls = 1",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement)


def _another_connection(session: GuardedSession) -> Iterator[object]:
    with session.get_bind().engine.connect() as connection:
        yield from connection.execute(_CORE).scalars()


def _connection_of_the_transaction(session: GuardedSession) -> Iterator[object]:
    yield from session.begin_nested().connection(None).execute(_CORE).scalars()


def _connection_of_the_driver(session: GuardedSession) -> Iterator[object]:
    connection = session.get_bind().engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(str(_CORE))
        yield from (tenant_id for (tenant_id,) in cursor.fetchall())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("way", "sees"),
    [(_another_connection, 0), (_connection_of_the_transaction, 1), (_connection_of_the_driver, 0)],
)
async def test_what_passes_the_guard_meets_row_security(
    store_settings: StoreSettings,
    bakery: Shop,
    florist: Shop,
    oracle: Oracle,
    way: Callable[[GuardedSession], Iterator[object]],
    sees: int,
) -> None:
    """Whoever digs a connection out of a session gets past the first wall, and sees no foreign row at the second."""
    engine = create_engine(urls_of(store_settings).app, poolclass=NullPool)
    with GuardedSession(tenant_id=bakery.tenant_id, bind=engine) as session:
        session.scalars(select(ProjectTable)).all()
        assert list(way(session)) == [bakery.tenant_id] * sees
    engine.dispose()
    oracle.problems()  # it has seen these statements, as it should

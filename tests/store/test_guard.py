"""The first wall: every route by which a statement could see another tenant's rows.

The other walls are taken away here: the session runs as a superuser, for whom row-level security does not exist.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import (
    Engine,
    cast,
    create_engine,
    delete,
    inspect,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.pool import NullPool
from uuid_utils.compat import uuid7

from store import postgres
from store.engine import Database
from store.guard import GuardedSession
from store.scopable import UnscopedAccessError
from store.settings import StoreSettings
from store.tables.catalogue import TABLES
from store.tables.setup import NumberTable, ProjectTable, TenantTable
from tests.database import MASTER_KEY, Shop, address, make_shop
from tests.leases import fresh_database
from tests.store import leak_reads, leak_refusals
from tests.store.leak_scene import READS, REFUSED, Scene

assert leak_reads, leak_refusals  # importing them fills the lists


@dataclass(frozen=True)
class Street:
    """Two shops in a database whose user row-level security does not hold back. Nobody commits anything here."""

    engine: Engine
    bakery: Shop
    florist: Shop


@pytest.fixture(scope="module")
def street(database_home: Path) -> Iterator[Street]:
    """The two shops, made once: each test rolls back what it did."""

    async def open_shops(settings: StoreSettings) -> tuple[Shop, Shop]:
        database = await Database.open(settings)
        try:
            return await make_shop(database, "Bakery", "+1"), await make_shop(database, "Florist", "+2")
        finally:
            await database.close()

    with fresh_database(database_home) as name:
        settings = StoreSettings(address(database_home, postgres.OWNER, name), database_home, MASTER_KEY)
        bakery, florist = asyncio.run(open_shops(settings))
        engine = create_engine(postgres.url(database_home, postgres.SUPERUSER, name), poolclass=NullPool)
        yield Street(engine, bakery, florist)
        engine.dispose()


@pytest.fixture
def scene(street: Street) -> Iterator[Scene]:
    """A fresh session of the bakery."""
    with GuardedSession(tenant_id=street.bakery.tenant_id, bind=street.engine) as session:
        yield Scene(session, street.bakery, street.florist)
        session.rollback()


@pytest.mark.parametrize("route", READS)
def test_a_read_sees_own_rows_only(route: str, scene: Scene) -> None:
    """Wherever a table stands in an ORM statement, only the session's own tenant shows."""
    assert READS[route](scene) is False


@pytest.mark.parametrize("route", REFUSED)
def test_what_cannot_be_scoped_is_refused(route: str, scene: Scene) -> None:
    """Statements and connections that take no criteria raise before they reach the database."""
    with pytest.raises(UnscopedAccessError):
        REFUSED[route](scene)


def test_updates_and_deletes_touch_own_rows_only(scene: Scene) -> None:
    """A change that names another tenant's row by its id changes nothing."""
    foreign = ProjectTable.id == scene.theirs.project_id
    assert scene.session.execute(update(ProjectTable).where(foreign).values(name="x")).rowcount == 0  # type: ignore[arg-type, attr-defined]
    assert scene.session.execute(delete(NumberTable)).rowcount == 1  # type: ignore[attr-defined]


def test_a_foreign_row_is_not_written(scene: Scene) -> None:
    """New, merged and moved rows of another tenant stop the flush."""
    project = scene.session.scalars(select(ProjectTable)).one()
    project.tenant_id = scene.theirs.tenant_id
    with pytest.raises(UnscopedAccessError):
        scene.session.flush()
    scene.session.rollback()
    scene.session.add(TenantTable(tenant_id=scene.theirs.tenant_id, name="x", max_calls=1))
    with pytest.raises(UnscopedAccessError):
        scene.session.flush()


def test_a_merged_row_does_not_take_over_anothers(scene: Scene) -> None:
    """Merging under another tenant's key makes a row of one's own at most, never changes theirs."""

    def take_over() -> None:
        scene.session.merge(
            ProjectTable(
                tenant_id=scene.theirs.tenant_id,
                id=scene.theirs.project_id,
                name="stolen",
                business_name="x",
                jurisdiction="DE",
                language="de",
                time_zone="UTC",
                recording_days=1,
                transcript_days=1,
            )
        )
        scene.session.flush()

    with pytest.raises(UnscopedAccessError):
        take_over()


def test_the_tenant_cannot_be_changed(scene: Scene) -> None:
    """A session is bound to one tenant for life."""
    with pytest.raises(AttributeError):
        scene.session.tenant_id = scene.theirs.tenant_id  # type: ignore[misc]


def test_a_statement_made_for_one_tenant_serves_another(street: Street) -> None:
    """SQLAlchemy caches compiled statements; the tenant is not part of what is cached."""
    statement = select(ProjectTable.tenant_id).where(ProjectTable.id != cast(str(uuid7()), PG_UUID))
    for shop in (street.bakery, street.florist, street.bakery):
        with GuardedSession(tenant_id=shop.tenant_id, bind=street.engine) as session:
            assert session.scalars(statement).all() == [shop.tenant_id]


def test_no_table_brings_others_along() -> None:
    """No table has relationships, by which a statement would read tables that it does not name."""
    assert [table for table in TABLES if inspect(table).relationships] == []

"""Every known way in which a statement could see another tenant's rows.

Most were found by trying what SQLAlchemy's own tenant recipe leaks; a new one belongs here first, then in the guard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import (
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    table,
    tablesample,
    text,
    union_all,
    update,
)
from sqlalchemy.orm import aliased
from sqlmodel import col
from uuid_utils.compat import uuid7

from store.guard import GuardedSession
from store.tables.setup import NumberTable, ProjectTable, ScenarioTable, TenantTable
from tests.database import Shop

CORE = ProjectTable.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Scene:
    """A session of the bakery, with no wall behind it, and the florist whose rows must not show."""

    session: GuardedSession
    ours: Shop
    theirs: Shop


def _foreign(scene: Scene, rows: Any) -> bool:
    return any((row if isinstance(row, UUID) else row.tenant_id) == scene.theirs.tenant_id for row in rows)


Route = Callable[[Scene], object]
READS: dict[str, Callable[[Scene], bool]] = {}
REFUSED: dict[str, Route] = {}


def reads(route: Callable[[Scene], bool]) -> Callable[[Scene], bool]:
    """True means that it saw another tenant's row."""
    READS[route.__name__] = route
    return route


def refused(route: Route) -> Route:
    """Takes no criteria, so it must raise."""
    REFUSED[route.__name__] = route
    return route


@reads
def entity(s: Scene) -> bool:
    return _foreign(s, s.session.scalars(select(ProjectTable)))


@reads
def single_column(s: Scene) -> bool:
    return _foreign(s, s.session.scalars(select(ProjectTable.tenant_id)))


@reads
def count_of_rows(s: Scene) -> bool:
    return s.session.scalar(select(func.count()).select_from(ProjectTable)) != 1


@reads
def count_of_a_column(s: Scene) -> bool:
    return s.session.scalar(select(func.count(ProjectTable.id))) != 1


@reads
def alias(s: Scene) -> bool:
    return _foreign(s, s.session.scalars(select(aliased(ProjectTable))))


@reads
def subquery(s: Scene) -> bool:
    return _foreign(s, s.session.scalars(select(select(ProjectTable).subquery().c.tenant_id)))


@reads
def common_table_expression(s: Scene) -> bool:
    return _foreign(s, s.session.scalars(select(select(ProjectTable).cte().c.tenant_id)))


@reads
def union_of_columns(s: Scene) -> bool:
    return _foreign(s, s.session.scalars(select(ProjectTable.tenant_id).union(select(ProjectTable.tenant_id))))


@reads
def entities_from_a_union(s: Scene) -> bool:
    both = union_all(select(ProjectTable), select(ProjectTable))
    return _foreign(s, s.session.scalars(select(ProjectTable).from_statement(both)))


@reads
def exists_some(s: Scene) -> bool:
    return bool(s.session.scalar(select(exists(select(1).where(ProjectTable.name == "Florist")))))


@reads
def exists_no_other(s: Scene) -> bool:
    other = exists().where(ProjectTable.id != ScenarioTable.project_id)
    return s.session.scalar(select(func.count()).select_from(ScenarioTable).where(~other)) != 1


@reads
def scalar_subquery(s: Scene) -> bool:
    return s.session.scalar(select(select(func.count(ProjectTable.id)).scalar_subquery())) != 1


@reads
def membership(s: Scene) -> bool:
    foreign = col(ScenarioTable.project_id).not_in(select(ProjectTable.id))
    return s.session.scalar(select(func.count()).select_from(ScenarioTable).where(foreign)) != 0


@reads
def join(s: Scene) -> bool:
    return _foreign(
        s, s.session.scalars(select(NumberTable.tenant_id).join(ProjectTable, ProjectTable.id != NumberTable.id))
    )


@reads
def join_to_an_alias(s: Scene) -> bool:
    other = aliased(ProjectTable)
    return bool(s.session.scalars(select(other.tenant_id).join(ProjectTable, ProjectTable.id != other.id)).all())


@reads
def outer_join(s: Scene) -> bool:
    other = aliased(ProjectTable)
    rows = s.session.scalars(select(other.tenant_id).select_from(ProjectTable).outerjoin(other, literal(value=True)))
    return _foreign(s, rows)


@reads
def several_entities(s: Scene) -> bool:
    rows = s.session.execute(
        select(ProjectTable, NumberTable).join(NumberTable, col(NumberTable.id) != col(ProjectTable.id))
    )
    return any(_foreign(s, row) for row in rows)


@reads
def lateral(s: Scene) -> bool:
    inner = select(ProjectTable.tenant_id).where(ProjectTable.id != ScenarioTable.id).lateral()
    return _foreign(
        s, s.session.scalars(select(inner.c.tenant_id).select_from(ScenarioTable).join(inner, literal(value=True)))
    )


@reads
def stream(s: Scene) -> bool:
    return _foreign(s, s.session.execute(select(ProjectTable).execution_options(yield_per=1)).scalars())


@reads
def legacy_query(s: Scene) -> bool:
    return _foreign(s, s.session.query(ProjectTable).all())


@reads
def legacy_query_of_an_aggregate(s: Scene) -> bool:
    return s.session.query(func.count(ProjectTable.id)).scalar() != 1


@reads
def foreign_id_asked_for(s: Scene) -> bool:
    return bool(s.session.scalars(select(TenantTable).where(TenantTable.tenant_id == s.theirs.tenant_id)).all())


@refused
def window(s: Scene) -> object:
    return s.session.scalar(select(func.count(ProjectTable.id).over()))


@refused
def primary_key(s: Scene) -> object:
    return s.session.get(ProjectTable, (s.theirs.tenant_id, s.theirs.project_id))


@refused
def sql_text(s: Scene) -> object:
    return s.session.scalars(text("SELECT tenant_id FROM projects"))


@refused
def text_for_entities(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable).from_statement(text("SELECT * FROM projects"))).all()


@refused
def text_as_a_column(s: Scene) -> object:
    return s.session.scalars(select(text("(SELECT count(*) FROM projects)"), ProjectTable.id)).all()


@refused
def literal_column_with_a_query(s: Scene) -> object:
    return s.session.scalars(select(literal_column("(SELECT count(*) FROM projects)"), ProjectTable.id)).all()


@refused
def text_in_a_condition(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable).where(text("true) OR (true"))).all()


@refused
def text_in_an_order(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable).order_by(text("(SELECT count(*) FROM projects)"))).all()


@refused
def lightweight_table(s: Scene) -> object:
    other = table("projects", column("tenant_id"))
    return s.session.scalars(select(other.c.tenant_id).select_from(ScenarioTable).join(other, literal(value=True)))


@refused
def core_table(s: Scene) -> object:
    return s.session.scalars(select(CORE.c.tenant_id))


@refused
def core_table_beside_an_entity(s: Scene) -> object:
    return s.session.scalars(select(ScenarioTable.id, CORE.c.tenant_id))


@refused
def core_table_in_a_condition(s: Scene) -> object:
    return s.session.scalars(select(ScenarioTable).where(ScenarioTable.project_id != CORE.c.id))


@refused
def core_table_joined(s: Scene) -> object:
    return s.session.scalars(
        select(CORE.c.tenant_id).select_from(ScenarioTable).join(CORE, CORE.c.id != ScenarioTable.id)
    )


@refused
def core_table_in_a_subquery(s: Scene) -> object:
    return s.session.scalars(select(ScenarioTable).where(col(ScenarioTable.project_id).in_(select(CORE.c.id))))


@refused
def core_alias(s: Scene) -> object:
    other = CORE.alias()
    return s.session.scalars(select(other.c.tenant_id).select_from(ScenarioTable).join(other, literal(value=True)))


@refused
def core_alias_in_exists(s: Scene) -> object:
    return s.session.scalars(select(ScenarioTable).where(exists(select(1).select_from(CORE.alias()))))


@refused
def core_in_a_common_table_expression(s: Scene) -> object:
    part = select(CORE.c.tenant_id).cte()
    return s.session.scalars(select(ScenarioTable.id, part.c.tenant_id))


@refused
def core_in_a_union(s: Scene) -> object:
    part = union_all(select(CORE.c.id), select(CORE.c.id)).subquery()
    return s.session.scalars(select(part.c.id).select_from(ScenarioTable).join(part, literal(value=True)))


@refused
def core_in_an_order(s: Scene) -> object:
    return s.session.scalars(select(ScenarioTable).order_by(select(CORE.c.name).limit(1).scalar_subquery()))


@refused
def sampled_core_table(s: Scene) -> object:
    return s.session.scalars(select(ScenarioTable).join(tablesample(CORE, 100), literal(value=True)))


@refused
def function_that_runs_sql(s: Scene) -> object:
    return s.session.scalars(select(func.query_to_xml("SELECT 1", *(literal(value=True),) * 2, ""), ProjectTable.id))


@refused
def function_that_changes_the_tenant(s: Scene) -> object:
    foreign = str(s.theirs.tenant_id)
    return s.session.scalars(select(ProjectTable).where(func.set_config("app.tenant_id", foreign, "true") != ""))


@refused
def connection(s: Scene) -> object:
    return s.session.connection()


@refused
def core_update(s: Scene) -> object:
    return s.session.execute(update(CORE).values(name="x"))


@refused
def update_beside_a_core_table(s: Scene) -> object:
    return s.session.execute(update(ScenarioTable).where(ScenarioTable.project_id == CORE.c.id).values(name="x"))


@refused
def update_to_a_core_value(s: Scene) -> object:
    return s.session.execute(update(ProjectTable).values(name=select(CORE.c.name).limit(1).scalar_subquery()))


@refused
def delete_by_a_core_table(s: Scene) -> object:
    return s.session.execute(delete(ScenarioTable).where(col(ScenarioTable.project_id).in_(select(CORE.c.id))))


@refused
def update_by_primary_keys(s: Scene) -> object:
    return s.session.execute(
        update(ProjectTable), [{"tenant_id": s.theirs.tenant_id, "id": s.theirs.project_id, "name": "x"}]
    )


@refused
def bulk_update_of_mappings(s: Scene) -> object:
    return s.session.bulk_update_mappings(ProjectTable, [{"id": s.theirs.project_id}])


@refused
def bulk_insert_of_mappings(s: Scene) -> object:
    return s.session.bulk_insert_mappings(ProjectTable, [{"id": s.theirs.project_id}])


@refused
def bulk_save(s: Scene) -> object:
    return s.session.bulk_save_objects([])


@refused
def insert_statement(s: Scene) -> object:
    return s.session.execute(insert(TenantTable).values(tenant_id=uuid7(), name="x", max_calls=1))


@refused
def insert_from_a_select(s: Scene) -> object:
    rows = select(ProjectTable.id, ProjectTable.name)
    return s.session.execute(insert(TenantTable).from_select(["tenant_id", "name"], rows))

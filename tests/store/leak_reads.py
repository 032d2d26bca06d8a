"""Every known way in which a statement that the guard allows could see or change another tenant's rows.

Most were found by trying what SQLAlchemy's own tenant recipe leaks; a new one belongs here first, then in the guard.
"""

from sqlalchemy import (
    any_,
    create_engine,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Bundle, aliased, object_session, outerjoin
from sqlalchemy.orm import join as orm_join
from sqlalchemy.pool import NullPool
from sqlmodel import col

from store.tables.setup import NumberTable, ProjectTable, ScenarioTable, TenantTable
from tests.store.leak_scene import UNSYNCHRONISED, Scene, changed, foreign, reads


@reads
def entity(s: Scene) -> bool:
    return foreign(s, s.session.scalars(select(ProjectTable)))


@reads
def single_column(s: Scene) -> bool:
    return foreign(s, s.session.scalars(select(ProjectTable.tenant_id)))


@reads
def count_of_rows(s: Scene) -> bool:
    return s.session.scalar(select(func.count()).select_from(ProjectTable)) != 1


@reads
def count_of_a_column(s: Scene) -> bool:
    return s.session.scalar(select(func.count(ProjectTable.id))) != 1


@reads
def alias(s: Scene) -> bool:
    return foreign(s, s.session.scalars(select(aliased(ProjectTable))))


@reads
def subquery(s: Scene) -> bool:
    return foreign(s, s.session.scalars(select(select(ProjectTable).subquery().c.tenant_id)))


@reads
def common_table_expression(s: Scene) -> bool:
    return foreign(s, s.session.scalars(select(select(ProjectTable).cte().c.tenant_id)))


@reads
def union_of_columns(s: Scene) -> bool:
    return foreign(s, s.session.scalars(select(ProjectTable.tenant_id).union(select(ProjectTable.tenant_id))))


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
    return foreign(
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
    return foreign(s, rows)


@reads
def several_entities(s: Scene) -> bool:
    rows = s.session.execute(
        select(ProjectTable, NumberTable).join(NumberTable, col(NumberTable.id) != col(ProjectTable.id))
    )
    return any(foreign(s, row) for row in rows)


@reads
def lateral(s: Scene) -> bool:
    inner = select(ProjectTable.tenant_id).where(ProjectTable.id != ScenarioTable.id).lateral()
    return foreign(
        s, s.session.scalars(select(inner.c.tenant_id).select_from(ScenarioTable).join(inner, literal(value=True)))
    )


@reads
def stream(s: Scene) -> bool:
    return foreign(s, s.session.execute(select(ProjectTable).execution_options(yield_per=1)).scalars())


@reads
def legacy_query(s: Scene) -> bool:
    return foreign(s, s.session.query(ProjectTable).all())


@reads
def legacy_query_of_an_aggregate(s: Scene) -> bool:
    return s.session.query(func.count(ProjectTable.id)).scalar() != 1


@reads
def foreign_id_asked_for(s: Scene) -> bool:
    return bool(s.session.scalars(select(TenantTable).where(TenantTable.tenant_id == s.theirs.tenant_id)).all())


@reads
def recursive_common_table_expression(s: Scene) -> bool:
    start = select(ProjectTable.tenant_id, ProjectTable.name).cte(recursive=True)
    following = select(ProjectTable.tenant_id, ProjectTable.name).join(start, start.c.name != ProjectTable.name)
    return foreign(s, s.session.scalars(select(start.union(following).c.tenant_id)))


@reads
def table_named_in_a_condition_only(s: Scene) -> bool:
    return s.session.scalar(select(literal(1)).where(ProjectTable.name == "Florist")) is not None


@reads
def bundle(s: Scene) -> bool:
    rows = s.session.execute(select(Bundle("b", ProjectTable.tenant_id)))
    return any(row.b.tenant_id == s.theirs.tenant_id for row in rows)


@reads
def explicit_join(s: Scene) -> bool:
    both = orm_join(ProjectTable, NumberTable, col(ProjectTable.id) != col(NumberTable.id))
    return foreign(s, s.session.scalars(select(NumberTable.tenant_id).select_from(both)))


@reads
def explicit_outer_join_to_a_subquery(s: Scene) -> bool:
    inner = select(ProjectTable.id).subquery()
    both = outerjoin(inner, NumberTable, inner.c.id != NumberTable.id)
    return foreign(s, s.session.scalars(select(NumberTable.tenant_id).select_from(both)))


@reads
def join_of_joins(s: Scene) -> bool:
    both = orm_join(NumberTable, ScenarioTable, col(NumberTable.id) != col(ScenarioTable.id))
    joined = select(NumberTable.tenant_id).select_from(ProjectTable).join(both, literal(value=True))
    return foreign(s, s.session.scalars(joined))


@reads
def exists_of_an_entity(s: Scene) -> bool:
    return bool(s.session.scalar(select(exists(ProjectTable).where(ProjectTable.name == "Florist"))))


@reads
def any_of_a_subquery(s: Scene) -> bool:
    names = select(ProjectTable.name).scalar_subquery()
    return bool(s.session.scalars(select(ProjectTable.id).where(literal("Florist") == any_(names))).all())


@reads
def locked_rows(s: Scene) -> bool:
    joined = select(ProjectTable).join(ScenarioTable, literal(value=True)).with_for_update(of=ScenarioTable)
    return foreign(s, s.session.scalars(joined))


@reads
def another_bind(s: Scene) -> bool:
    elsewhere = create_engine(s.session.get_bind().engine.url, poolclass=NullPool)
    return foreign(s, s.session.scalars(select(ProjectTable), bind_arguments={"bind": elsewhere}))


@reads
def session_of_an_object(s: Scene) -> bool:
    session = object_session(s.session.scalars(select(ProjectTable)).one())
    assert session
    return foreign(s, session.scalars(select(ProjectTable)))


@reads
def update_to_a_value_from_elsewhere(s: Scene) -> bool:
    s.session.execute(
        update(ProjectTable).values(name=select(func.max(ProjectTable.name)).scalar_subquery()),
        execution_options=UNSYNCHRONISED,
    )
    return s.session.scalar(select(ProjectTable.name)) != "Bakery"


@reads
def update_by_a_subquery(s: Scene) -> bool:
    others = select(ProjectTable.id).where(ProjectTable.name == "Florist")
    statement = update(ScenarioTable).where(exists(others)).values(name="x")
    return changed(s, statement)


@reads
def update_by_a_common_table_expression(s: Scene) -> bool:
    others = select(ProjectTable.name).where(ProjectTable.name == "Florist").cte()
    return changed(s, update(ScenarioTable).where(others.c.name != ScenarioTable.name).values(name="x"))


@reads
def update_that_returns_rows(s: Scene) -> bool:
    statement = update(ProjectTable).values(name="x").returning(ProjectTable)
    return foreign(s, s.session.execute(statement, execution_options=UNSYNCHRONISED).scalars())


@reads
def update_that_returns_a_subquery(s: Scene) -> bool:
    statement = update(ProjectTable).values(name="x").returning(select(func.count(ScenarioTable.id)).scalar_subquery())
    return s.session.execute(statement, execution_options=UNSYNCHRONISED).scalar() != 1


@reads
def update_in_a_common_table_expression(s: Scene) -> bool:
    part = update(ScenarioTable).values(name="x").returning(col(ScenarioTable.tenant_id)).cte()
    return foreign(s, s.session.scalars(select(part.c.tenant_id)))


@reads
def delete_in_a_common_table_expression(s: Scene) -> bool:
    part = delete(NumberTable).returning(col(NumberTable.tenant_id)).cte()
    return foreign(s, s.session.scalars(select(part.c.tenant_id)))


@reads
def legacy_update_and_delete(s: Scene) -> bool:
    theirs = ProjectTable.tenant_id == s.theirs.tenant_id
    done = s.session.query(ProjectTable).filter(theirs).update({"name": "x"})
    return bool(done + s.session.query(NumberTable).filter(NumberTable.tenant_id == s.theirs.tenant_id).delete())

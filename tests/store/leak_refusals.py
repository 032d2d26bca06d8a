"""Every known way past the criteria of a session that the guard cannot close by adding some, and so refuses."""

from sqlalchemy import (
    DDL,
    column,
    delete,
    exists,
    extract,
    func,
    insert,
    lambda_stmt,
    literal,
    literal_column,
    select,
    table,
    tablesample,
    text,
    union_all,
    update,
    values,
)
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import (
    Bundle,
    aliased,
    foreign,
    joinedload,
    make_transient_to_detached,
    outerjoin,
    registry,
    relationship,
    selectinload,
    with_loader_criteria,
    with_polymorphic,
)
from sqlmodel import col
from uuid_utils.compat import uuid7

from store.tables.setup import NumberTable, ProjectTable, ScenarioTable, TenantTable
from tests.store.leak_scene import CORE, Scene, refused


class Unlisted:
    """A table mapped a second time, with a relationship that carries no tenant: what somebody might add in a hurry."""

    tenant_id: object
    id: object
    scenarios: object


_mappings = registry()
_mappings.map_imperatively(
    Unlisted,
    CORE,
    properties={
        "scenarios": relationship(
            ScenarioTable,
            viewonly=True,
            primaryjoin=foreign(ScenarioTable.__table__.c.id) != CORE.c.id,  # type: ignore[attr-defined]
        )
    },
)


def detached(s: Scene) -> ProjectTable:
    """A row of the florist as if it had been loaded in another session."""
    row = ProjectTable(tenant_id=s.theirs.tenant_id, id=s.theirs.project_id)
    make_transient_to_detached(row)
    return row


@refused
def entities_from_a_union(s: Scene) -> object:
    both = union_all(select(ProjectTable), select(ProjectTable))
    return s.session.scalars(select(ProjectTable).from_statement(both))


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


@refused
def alias_of_a_core_query(s: Scene) -> object:
    return s.session.scalars(select(aliased(ProjectTable, select(CORE).subquery())))


@refused
def alias_of_text_that_forges_the_tenant(s: Scene) -> object:
    ours = f"SELECT '{s.ours.tenant_id}'::uuid AS tenant_id, name FROM projects"  # noqa: S608 - that is the point
    return s.session.scalars(
        select(aliased(ProjectTable, text(ours).columns(CORE.c.tenant_id, CORE.c.name).subquery()).name)
    )


@refused
def polymorphic_entity_of_text(s: Scene) -> object:
    forged = text("SELECT tenant_id, name FROM projects").columns(CORE.c.tenant_id, CORE.c.name).subquery()
    return s.session.scalars(select(with_polymorphic(ProjectTable, [], forged).name))


@refused
def sampled_entity(s: Scene) -> object:
    return s.session.scalars(select(tablesample(ProjectTable, 100).c.tenant_id))


@refused
def text_before_the_columns(s: Scene) -> object:
    other = "tenant_id FROM projects UNION ALL SELECT"
    return s.session.scalars(select(ProjectTable.tenant_id).prefix_with(other))


@refused
def text_at_the_end(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable.tenant_id).suffix_with("UNION ALL SELECT tenant_id FROM projects"))


@refused
def text_as_a_hint(s: Scene) -> object:
    other = "UNION ALL SELECT tenant_id FROM projects"
    return s.session.scalars(select(ProjectTable.tenant_id).with_statement_hint(other))


@refused
def text_as_an_operator(s: Scene) -> object:
    return s.session.scalars(select(col(ProjectTable.name).op("|| (SELECT max(name) FROM projects) ||")("")))


@refused
def text_as_an_extracted_field(s: Scene) -> object:
    return s.session.scalars(select(extract("epoch FROM now()), (SELECT 1", col(ProjectTable.created_at)), CORE.c.id))


@refused
def function_of_another_schema(s: Scene) -> object:
    return s.session.scalars(select(func.other.count(ProjectTable.id)))


@refused
def entity_outside_the_catalogue(s: Scene) -> object:
    return s.session.scalars(select(Unlisted))


@refused
def relationship_loaded_at_once(s: Scene) -> object:
    return s.session.scalars(select(Unlisted).options(joinedload(Unlisted.scenarios)))


@refused
def relationship_loaded_next(s: Scene) -> object:
    return s.session.scalars(select(Unlisted).options(selectinload(Unlisted.scenarios)))


@refused
def relationship_loaded_late(s: Scene) -> object:
    row = Unlisted()
    row.tenant_id, row.id = s.theirs.tenant_id, s.theirs.project_id
    make_transient_to_detached(row)
    s.session.add(row)
    return row.scenarios


@refused
def reload_of_a_foreign_row(s: Scene) -> object:
    row = detached(s)
    s.session.add(row)
    return s.session.refresh(row)


@refused
def attribute_of_a_foreign_row(s: Scene) -> object:
    row = detached(s)
    s.session.add(row)
    return row.name


@refused
def merged_without_loading(s: Scene) -> object:
    return s.session.merge(detached(s), load=False).name


@refused
def change_of_a_foreign_row_that_says_it_is_ours(s: Scene) -> object:
    row = detached(s)
    s.session.add(row)
    row.tenant_id, row.name = s.ours.tenant_id, "stolen"
    return s.session.flush()


@refused
def deletion_of_a_foreign_row(s: Scene) -> object:
    row = detached(s)
    row.tenant_id = s.ours.tenant_id
    s.session.delete(row)
    return s.session.flush()


@refused
def core_query_as_a_value(s: Scene) -> object:
    row = s.session.scalars(select(ProjectTable)).one()
    row.name = select(CORE.c.name).where(CORE.c.name == "Florist").scalar_subquery()  # type: ignore[assignment]
    return s.session.flush()


@refused
def query_as_a_value_of_a_new_row(s: Scene) -> object:
    names = select(ProjectTable.name).where(ProjectTable.name == "Florist").scalar_subquery()
    s.session.add(TenantTable(tenant_id=s.ours.tenant_id, name=names, max_calls=1))
    return s.session.flush()


@refused
def parameter_in_place_of_the_tenant(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable), {"tenant_id_1": s.theirs.tenant_id})


@refused
def parameter_kept_in_the_statement(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable).params(tenant_id_1=s.theirs.tenant_id))


@refused
def full_join(s: Scene) -> object:
    inner = select(ProjectTable.id).subquery()
    rows = select(NumberTable.tenant_id).select_from(inner)
    return s.session.scalars(rows.join(NumberTable, inner.c.id == NumberTable.project_id, full=True))


@refused
def explicit_full_join(s: Scene) -> object:
    inner = select(ProjectTable.id).subquery()
    both = outerjoin(inner, NumberTable, inner.c.id == NumberTable.project_id, full=True)
    return s.session.scalars(select(NumberTable.tenant_id).select_from(both))


@refused
def update_beside_an_entity(s: Scene) -> object:
    return s.session.execute(update(ScenarioTable).where(col(ProjectTable.name) == "Florist").values(name="x"))


@refused
def update_beside_an_alias(s: Scene) -> object:
    other = aliased(ProjectTable)
    return s.session.execute(update(ScenarioTable).where(col(other.name) == "Florist").values(name="x"))


@refused
def update_to_a_value_beside_it(s: Scene) -> object:
    return s.session.execute(update(ScenarioTable).values(name=ProjectTable.name))


@refused
def update_that_returns_what_is_beside_it(s: Scene) -> object:
    return s.session.execute(update(ScenarioTable).values(name="x").returning(col(ProjectTable.name)))


@refused
def delete_beside_an_entity(s: Scene) -> object:
    return s.session.execute(delete(NumberTable).where(col(ProjectTable.name) == "Florist"))


@refused
def core_table_in_an_added_part(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable.id).add_cte(select(CORE.c.tenant_id).cte()))


@refused
def core_update_in_an_added_part(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable.id).add_cte(update(CORE).values(name="x").returning(CORE.c.id).cte()))


@refused
def subquery_in_values(s: Scene) -> object:
    listed = values(column("x"), name="listed").data([(select(CORE.c.name).limit(1).scalar_subquery(),)])
    return s.session.scalars(select(listed.c.x, ProjectTable.id))


@refused
def statement_made_by_a_function(s: Scene) -> object:
    return s.session.scalars(lambda_stmt(lambda: select(CORE.c.tenant_id)))


@refused
def bundle_of_a_core_column(s: Scene) -> object:
    return s.session.execute(select(Bundle("b", CORE.c.tenant_id), ScenarioTable.id))


@refused
def core_join_as_the_source(s: Scene) -> object:
    both = CORE.join(NumberTable.__table__, literal(value=True))  # type: ignore[attr-defined]
    return s.session.scalars(select(ProjectTable.tenant_id).select_from(both))


@refused
def core_table_in_an_array(s: Scene) -> object:
    return s.session.scalars(select(array([select(CORE.c.name).limit(1).scalar_subquery()]), ProjectTable.id))


@refused
def text_as_the_source(s: Scene) -> object:
    return s.session.scalars(select(ProjectTable.id).select_from(text("projects")))


@refused
def data_definition(s: Scene) -> object:
    return s.session.execute(DDL("TRUNCATE projects CASCADE"))


@refused
def criteria_of_ones_own(s: Scene) -> object:
    wide = with_loader_criteria(ProjectTable, col(ProjectTable.id).in_(select(NumberTable.project_id)))
    return s.session.scalars(select(ProjectTable).options(wide))

"""The first of the three walls between tenants: a session that refuses whatever could see another tenant's rows.

One session belongs to one tenant for life. Every ORM statement gets the tenant's criteria on every table it touches,
wherever the table stands in it; statements that cannot be given criteria (SQL text, Core tables, bulk changes, raw
connections) are refused. PostgreSQL's row-level security is the second wall and does not rely on this one.
"""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import Column, Connection, Executable, Select, Table, event, text
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.selectable import Join

from store.tables import TABLES, TenantRow

_CORE_TABLES = frozenset(table.__table__ for table in TABLES)  # type: ignore[attr-defined]  # set by SQLModel's metaclass


class UnscopedAccessError(Exception):
    """A statement or row was not bound to the session's tenant. Always a programming error."""


class GuardedSession(Session):
    """A session bound to one tenant for life."""

    def __init__(self, *, tenant_id: UUID, **options: Any) -> None:
        super().__init__(**options)
        self._tenant_id = tenant_id

    @property
    def tenant_id(self) -> UUID:
        """Whose session this is."""
        return self._tenant_id

    def connection(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: a connection takes any SQL."""
        raise UnscopedAccessError("a raw connection is not bound to a tenant")

    def trusted_connection(self) -> Connection:
        """The connection for statements that `store.scope` composes itself, tenant included."""
        return super().connection()

    def bulk_update_mappings(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: changes by primary key alone pass every criterion."""
        raise UnscopedAccessError("bulk changes are not bound to a tenant")

    bulk_insert_mappings = bulk_update_mappings
    bulk_save_objects = bulk_update_mappings


@event.listens_for(GuardedSession, "after_begin")
def _tell_postgres(session: GuardedSession, _transaction: SessionTransaction, connection: Connection) -> None:
    # `true`: for this transaction only, so that a pooled connection never carries a tenant over to the next user.
    connection.execute(text("SELECT set_config('app.tenant_id', :tenant, true)"), {"tenant": str(session.tenant_id)})


@event.listens_for(GuardedSession, "do_orm_execute")
def _scope_statement(state: ORMExecuteState) -> None:
    session = state.session
    if not isinstance(session, GuardedSession) or not state.is_orm_statement:
        raise UnscopedAccessError("only ORM statements can be bound to a tenant")
    if state.is_column_load:
        return  # reloads a row already seen, by its primary key, which begins with the tenant
    if state.is_insert or (state.is_update and isinstance(state.parameters, list)):
        raise UnscopedAccessError("bulk changes are not bound to a tenant")
    if not state.is_relationship_load and _names_core_table(state.statement):
        raise UnscopedAccessError("a Core table in a statement takes no criteria")
    state.statement = state.statement.options(
        *(with_loader_criteria(table, _belongs_to(session.tenant_id), include_aliases=True) for table in TABLES)
    )


@event.listens_for(GuardedSession, "before_flush")
def _check_rows(session: GuardedSession, *_: object) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, TenantRow) or row.tenant_id != session.tenant_id:
            raise UnscopedAccessError("a row of another tenant was about to be written")


def _belongs_to(tenant_id: UUID) -> Callable[[type[TenantRow]], Any]:
    # A lambda, not an expression: an expression would bind the base table where a statement uses an alias of it.
    return lambda table: table.tenant_id == tenant_id


def _names_core_table(statement: Executable) -> bool:
    if not isinstance(statement, ClauseElement):
        return True
    return any(
        _is_core(part)
        for element in visitors.iterate(statement)
        if isinstance(element, Select)
        for part in _sources(element)
    )


def _sources(select: Select[Any]) -> Iterator[object]:
    for source in select._from_obj:  # noqa: SLF001 - SQLAlchemy shows a statement's own parts nowhere else
        yield from _leaves(source)
    for joined in select._setup_joins:  # noqa: SLF001 - see above
        yield from _leaves(joined[0])
    yield from select._raw_columns  # noqa: SLF001 - see above


def _leaves(source: object) -> Iterator[object]:
    if isinstance(source, Join):
        yield from _leaves(source.left)
        yield from _leaves(source.right)
    else:
        yield source


def _is_core(part: object) -> bool:
    table = part.table if isinstance(part, Column) else part
    return isinstance(table, Table) and table in _CORE_TABLES and "parententity" not in part._annotations  # type: ignore[attr-defined]  # noqa: SLF001 - how the ORM marks its own

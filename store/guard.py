"""The first of the three walls between tenants: a session that refuses whatever could see another tenant's rows.

One session belongs to one tenant for life. Every ORM statement gets the tenant's criteria on every table it touches,
wherever the table stands in it; statements that cannot be given criteria (SQL text, Core tables, bulk changes, raw
connections) are refused. PostgreSQL's row-level security is the second wall and does not rely on this one.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import ColumnClause, Connection, Executable, Select, TableClause, TextClause, event, text
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TextualSelect

from store.tables.base import TenantRow
from store.tables.catalogue import TABLES

_HARMLESS_FUNCTIONS = frozenset({"count", "max", "min", "sum", "now"})


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
    problem = _unscopable(state.statement)
    if problem is not None:
        raise UnscopedAccessError(f"{problem} takes no criteria")
    state.statement = state.statement.options(*_criteria(session.tenant_id))


@event.listens_for(GuardedSession, "before_flush")
def _check_rows(session: GuardedSession, *_: object) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, TenantRow) or row.tenant_id != session.tenant_id:
            raise UnscopedAccessError("a row of another tenant was about to be written")


@lru_cache(maxsize=256)
def _criteria(tenant_id: UUID) -> tuple[ExecutableOption, ...]:
    # A lambda, not an expression: an expression would bind the base table where a statement uses an alias of it.
    # On every table, whether the statement seems to name it or not. Making these costs more than using them.
    return tuple(
        with_loader_criteria(table, lambda row: row.tenant_id == tenant_id, include_aliases=True) for table in TABLES
    )


def _unscopable(statement: Executable) -> str | None:
    """What in the statement the criteria cannot reach, or None: only ORM entities, and plain expressions of them."""
    waiting: list[object] = [statement]
    seen: set[int] = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen or not isinstance(part, ClauseElement):
            continue
        seen.add(id(part))
        if "parententity" in part._annotations:  # noqa: SLF001 - how the ORM marks its own, and the only way to know
            continue
        problem = _problem(part)
        if problem is not None:
            return problem
        if isinstance(part, ColumnClause):
            waiting.append(part.table)  # a column brings its table into FROM without anybody naming it
        waiting.extend(_parts(part))
    return None


def _parts(part: ClauseElement) -> Iterable[object]:
    if isinstance(part, Select):
        # Its own version adds the tables of its columns, without the ORM's mark; we come to them by the columns.
        return super(Select, part).get_children(omit_attrs=("_correlate", "_correlate_except"))
    return part.get_children()


def _problem(part: ClauseElement) -> str | None:
    match part:
        case TextClause() | TextualSelect():
            return "SQL text"
        case ColumnClause(is_literal=True) if part.name != "*" and not part.name.isdecimal():
            return "SQL text as a column"
        case TableClause():
            return "a Core table"
        case FunctionElement() if getattr(part, "name", "") not in _HARMLESS_FUNCTIONS:
            return "a function that might run SQL of its own"
        case _:
            return None

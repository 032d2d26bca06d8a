"""The first of the three walls between tenants: a session that refuses whatever could see another tenant's rows.

One session belongs to one tenant for life. Every ORM statement gets the tenant's criteria on every table it touches,
wherever the table stands in it; what cannot be given criteria is refused (see `store.scopable`), and so is what would
pass them by: bulk changes, reloads by primary key, parameters beside a statement, rows that were loaded elsewhere.
PostgreSQL's row-level security is the second wall and does not rely on this one.
"""

from functools import lru_cache
from typing import Any, NoReturn
from uuid import UUID

from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import ORMExecuteState, QueryableAttribute, Session, SessionTransaction, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.elements import ClauseElement

from store.scopable import UnscopedAccessError, tables_of
from store.tables.base import TenantRow

_TELL = "SELECT set_config('app.tenant_id', %(tenant)s, true)"


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
    connection.exec_driver_sql(_TELL, {"tenant": str(session.tenant_id)})


@event.listens_for(GuardedSession, "do_orm_execute")
def _scope_statement(state: ORMExecuteState) -> None:
    session = state.session
    if not isinstance(session, GuardedSession) or not state.is_orm_statement:
        raise UnscopedAccessError("only ORM statements can be bound to a tenant")
    if state.is_column_load or state.is_relationship_load:
        raise UnscopedAccessError("a reload goes by primary key alone; select the row anew")
    if state.is_insert or state.parameters:
        # A parameter could take the place of the tenant in the criteria; a list of them makes changes by primary key.
        raise UnscopedAccessError("values stand in the statement, and new rows are added or put")
    criteria = (_criterion(table, session.tenant_id) for table in tables_of(state.statement))
    state.statement = state.statement.options(*criteria)


@event.listens_for(GuardedSession, "before_flush")
def _check_rows(session: GuardedSession, *_: object) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if not isinstance(row, TenantRow) or {row.tenant_id, _loaded_from(row, session)} != {session.tenant_id}:
            raise UnscopedAccessError("a row of another tenant was about to be written")
        if any(isinstance(value, ClauseElement | QueryableAttribute) for value in vars(row).values()):
            raise UnscopedAccessError("SQL as the value of a column takes no criteria")


def _loaded_from(row: TenantRow, session: GuardedSession) -> object:
    """Whose row the database would change. An object may say one tenant and have been another's when it was loaded."""
    identity = inspect(row).identity
    return session.tenant_id if identity is None else identity[0]


@lru_cache(maxsize=4096)
def _criterion(table: type[TenantRow], tenant_id: UUID) -> ExecutableOption:
    # A lambda, not an expression: an expression would bind the base table where a statement uses an alias of it.
    return with_loader_criteria(table, lambda row: row.tenant_id == tenant_id, include_aliases=True)

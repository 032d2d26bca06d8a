"""`TenantStore`: one transaction of one tenant, and the only way to a tenant's rows."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert, psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from store.guard import GuardedSession
from store.scopable import UnscopedAccessError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import Delete, Update
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.orm import Session
    from sqlmodel.sql.expression import Select, SelectOfScalar

    from store.keys import KeyRing
    from store.tables.base import TenantRow

T = TypeVar("T")


_DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own code has no types there


@lru_cache(maxsize=512)
def _constant(sql: str) -> str:
    """The statement as the driver takes it. Compiled anew each time, it would cost a fifth of being sent."""
    return str(text(sql).compile(dialect=_DIALECT))


class TenantStore:
    """One tenant's data within one transaction. Made by `Database.tenant`, used by the functions of this room only.

    Bound to its tenant for life: there is no way to change `tenant_id`, and each statement gets it added.
    """

    def __init__(self, engine: AsyncEngine, tenant_id: UUID, keys: KeyRing) -> None:
        self._session = AsyncSession(
            engine, sync_session_class=GuardedSession, tenant_id=tenant_id, expire_on_commit=False, autoflush=False
        )
        self._tenant_id = tenant_id
        self.keys = keys

    @property
    def tenant_id(self) -> UUID:
        """Whose data this is."""
        return self._tenant_id

    async def all(self, statement: SelectOfScalar[T]) -> Sequence[T]:
        """Every row's first column or entity."""
        return (await self._session.scalars(statement)).all()

    async def rows(self, statement: Select[*tuple[Any, ...]]) -> Sequence[Any]:
        """Every row with all its columns."""
        return (await self._session.execute(statement)).all()

    async def first(self, statement: SelectOfScalar[T]) -> T | None:
        """The first row's first column or entity, or None."""
        return (await self._session.scalars(statement.limit(1))).first()

    async def change(self, statement: Update | Delete) -> int:
        """Run an UPDATE or DELETE; how many rows it touched."""
        result = await self._session.execute(statement, execution_options={"synchronize_session": False})
        count: int = result.rowcount  # type: ignore[attr-defined]  # a cursor result, as for every change
        return count

    async def add(self, *rows: TenantRow) -> None:
        """Insert new rows."""
        self._session.add_all(rows)
        await self._session.flush()

    async def put(
        self, table: type[TenantRow], rows: Sequence[Mapping[str, object]], *, replace: Sequence[str] = ()
    ) -> int:
        """Insert rows that may be there already, whose tenant is filled in here; how many were written.

        A row that exists is left as it is, or gets the columns named by `replace` from the new one.
        """
        if not rows:
            return 0
        if any("tenant_id" in row for row in rows):
            raise UnscopedAccessError("the tenant is not the caller's to name")
        core = table.__table__  # type: ignore[attr-defined]  # set by SQLModel's metaclass
        statement = insert(core)
        if replace:
            statement = statement.on_conflict_do_update(
                index_elements=list(core.primary_key.columns),
                set_={name: statement.excluded[name] for name in replace},
            )
        else:
            statement = statement.on_conflict_do_nothing(index_elements=list(core.primary_key.columns))

        bound = [{**row, "tenant_id": self._tenant_id} for row in rows]

        def run(session: Session) -> int:
            assert isinstance(session, GuardedSession)  # noqa: S101 - made so in __init__; tells the type checker
            # One statement with many sets of values: written out with all of them, each would be compiled anew.
            return session.trusted_connection().execute(statement, bound).rowcount

        return await self._session.run_sync(run)

    async def fixed(self, sql: str, **values: object) -> Sequence[Any]:
        """Run a constant statement of this room that names `:tenant_id` for every table in it; its rows, if any.

        For what must be fast: the ORM's criteria cost more than the database does. Row-level security stands behind it.
        """
        if ":tenant_id" not in sql or "tenant_id" in values:
            raise UnscopedAccessError("a statement is bound to the tenant, whom the caller does not name")
        everything = {**values, "tenant_id": self._tenant_id}

        def run(session: Session) -> Sequence[Any]:
            assert isinstance(session, GuardedSession)  # noqa: S101 - made so in __init__; tells the type checker
            result = session.trusted_connection().exec_driver_sql(_constant(sql), everything)
            return result.all() if result.returns_rows else ()

        return await self._session.run_sync(run)

    async def commit(self) -> None:
        """End the transaction; only `Database.tenant` calls this."""
        await self._session.commit()

    async def abandon(self) -> None:
        """Drop the connection with whatever it was doing, never to be used again."""
        await self._session.invalidate()

    async def close(self) -> None:
        """Roll back what was not committed and give the connection back."""
        await self._session.close()

"""What every table has: its tenant, and the column types of PostgreSQL that SQLModel does not know by itself."""

from collections.abc import Collection
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, DateTime, Text, Uuid, any_, literal
from sqlmodel import Field, SQLModel, col


class Timestamp(DateTime):
    """A point in time, never a clock's face: `timestamptz`."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(timezone=True)


class Texts(ARRAY[str]):
    """`text[]`."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(Text())


def now() -> datetime:
    """The moment a row is made."""
    return datetime.now(UTC)


def among(column: UUID, ids: Collection[UUID]) -> ColumnElement[bool]:
    """Whether the column is one of these, as one parameter: the statement's text stays the same for any number."""
    return col(column) == any_(literal(list(ids), ARRAY(Uuid())))


class TenantRow(SQLModel):
    """Base of all tables: whose row this is."""

    tenant_id: UUID = Field(primary_key=True)

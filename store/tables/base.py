"""What every table has: its tenant, and the column types of PostgreSQL that SQLModel does not know by itself."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Text
from sqlmodel import Field, SQLModel


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


class TenantRow(SQLModel):
    """Base of all tables: whose row this is."""

    tenant_id: UUID = Field(primary_key=True)

"""Wrapped keys, in a schema of their own so that they can be backed up apart."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class TenantKeyTable(TenantRow, table=True):
    """A tenant's key, wrapped by the master key."""

    __tablename__: ClassVar[str] = "tenant_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    purpose: str = Field(primary_key=True)
    key_id: bytes = Field(primary_key=True)
    state: str
    wrapped: bytes
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class DataKeyTable(TenantRow, table=True):
    """The key of one call, wrapped by its tenant's key. Without this row the call cannot be read."""

    __tablename__: ClassVar[str] = "data_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    session_id: UUID = Field(primary_key=True)
    wrapped: bytes
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)

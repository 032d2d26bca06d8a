"""Wrapped keys, in a schema of their own so that they can be backed up apart, and secrets that tenants have set."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class TenantKeyTable(TenantRow, table=True):
    """A tenant's key, wrapped by the root key. Once it is destroyed only that it was there is left."""

    __tablename__: ClassVar[str] = "tenant_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    purpose: str = Field(primary_key=True)
    key_id: bytes = Field(primary_key=True)
    state: str
    wrapped: bytes | None
    root_id: bytes | None
    seals: int = 0
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    empty_since: datetime | None = Field(default=None, sa_type=Timestamp)
    destroyed_at: datetime | None = Field(default=None, sa_type=Timestamp)


class DataKeyTable(TenantRow, table=True):
    """The key of one call, wrapped by its tenant's key. Without this row the call cannot be read."""

    __tablename__: ClassVar[str] = "data_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    session_id: UUID = Field(primary_key=True)
    wrapped: bytes
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class SecretTable(TenantRow, table=True):
    """Something that a tool has to use and nobody is shown, such as a plugin's token."""

    __tablename__: ClassVar[str] = "secrets"

    name: str = Field(primary_key=True)
    value_sealed: bytes
    last_four: str | None
    set_at: datetime = Field(default_factory=now, sa_type=Timestamp)

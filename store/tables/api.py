"""Keys of the HTTP API."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Texts, Timestamp, now


class ApiKeyTable(TenantRow, table=True):
    """A key of the HTTP API: its hash, and what it may do."""

    __tablename__: ClassVar[str] = "api_keys"

    id: UUID = Field(primary_key=True)
    name: str
    key_hash: bytes
    last_four: str
    scopes: list[str] = Field(sa_type=Texts)
    project_id: UUID | None = None
    networks: list[str] = Field(sa_type=Texts)
    made_by_kind: str
    made_by_id: str
    made_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    expires_at: datetime | None = Field(default=None, sa_type=Timestamp)
    last_used_at: datetime | None = Field(default=None, sa_type=Timestamp)
    revoked_at: datetime | None = Field(default=None, sa_type=Timestamp)

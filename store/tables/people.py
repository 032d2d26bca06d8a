"""People who sign in, and what they may do."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class MembershipTable(TenantRow, table=True):
    """A role of a person, on one project or on all of the tenant."""

    __tablename__: ClassVar[str] = "memberships"

    id: UUID = Field(primary_key=True)
    user_id: UUID
    project_id: UUID | None = None
    role: str
    granted_by_kind: str
    granted_by_id: str
    granted_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class InvitationTable(TenantRow, table=True):
    """A role that waits for whoever has this address. Gone once it is accepted or revoked."""

    __tablename__: ClassVar[str] = "invitations"

    id: UUID = Field(primary_key=True)
    email_sealed: bytes
    token_hash: bytes
    project_id: UUID | None = None
    role: str
    invited_by_kind: str
    invited_by_id: str
    invited_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    expires_at: datetime = Field(sa_type=Timestamp)

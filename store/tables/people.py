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
    last_seen_at: datetime | None = Field(default=None, sa_type=Timestamp)


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


class AccountTable(TenantRow, table=True):
    """A person, known by the address at which they read their mail."""

    __tablename__: ClassVar[str] = "accounts"

    id: UUID = Field(primary_key=True)
    email_sealed: bytes
    email_index: bytes
    made_at: datetime = Field(sa_type=Timestamp)


class ChallengeTable(TenantRow, table=True):
    """A sign-in that waits for what was mailed; or a link that makes somebody the first owner of a customer."""

    __tablename__: ClassVar[str] = "challenges"

    id: UUID = Field(primary_key=True)
    email_sealed: bytes | None = None
    email_index: bytes | None = None
    customer_id: UUID | None = None
    browser_hash: bytes | None = None
    code_hash: bytes | None = None
    link_hash: bytes
    wrong_guesses: int = 0
    made_at: datetime = Field(sa_type=Timestamp)
    ends_at: datetime = Field(sa_type=Timestamp)
    used_at: datetime | None = Field(default=None, sa_type=Timestamp)


class FailedCodeTable(TenantRow, table=True):
    """That a wrong code was given for an address."""

    __tablename__: ClassVar[str] = "failed_codes"

    id: UUID = Field(primary_key=True)
    email_index: bytes
    failed_at: datetime = Field(sa_type=Timestamp)


class DeviceTable(TenantRow, table=True):
    """A sign-in of a person in one browser, with its family of refresh tokens."""

    __tablename__: ClassVar[str] = "devices"

    id: UUID = Field(primary_key=True)
    user_id: UUID
    label_sealed: bytes
    browser_hash: bytes
    secret_sealed: bytes
    generation: int = 0
    made_at: datetime = Field(sa_type=Timestamp)
    rotated_at: datetime = Field(sa_type=Timestamp)
    seen_at: datetime = Field(sa_type=Timestamp)
    idle_limit_s: int | None = None
    ends_at: datetime = Field(sa_type=Timestamp)
    second_factor_at: datetime | None = Field(default=None, sa_type=Timestamp)
    ended_at: datetime | None = Field(default=None, sa_type=Timestamp)
    end_reason: str | None = None


class TokenKeyTable(TenantRow, table=True):
    """A key that signs access tokens, or did."""

    __tablename__: ClassVar[str] = "token_keys"

    id: str = Field(primary_key=True)
    seed_sealed: bytes
    made_at: datetime = Field(sa_type=Timestamp)

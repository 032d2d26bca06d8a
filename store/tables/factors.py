"""Second factors of people: rows of the operator's own books (store/house.py), and of no customer's."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Texts, Timestamp


class TotpTable(TenantRow, table=True):
    """An authenticator app of somebody: one in use, and at most one that is being set up."""

    __tablename__: ClassVar[str] = "totps"

    id: UUID = Field(primary_key=True)
    user_id: UUID
    secret_sealed: bytes
    last_step: int | None = None
    begun_at: datetime = Field(sa_type=Timestamp)
    confirmed_at: datetime | None = Field(default=None, sa_type=Timestamp)


class PasskeyTable(TenantRow, table=True):
    """A passkey of somebody: a security key, or what a phone or a computer keeps."""

    __tablename__: ClassVar[str] = "passkeys"

    id: UUID = Field(primary_key=True)
    user_id: UUID
    relying_party: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str] = Field(sa_type=Texts)
    backed_up: bool
    label_sealed: bytes
    added_at: datetime = Field(sa_type=Timestamp)
    used_at: datetime | None = Field(default=None, sa_type=Timestamp)


class PasskeyChallengeTable(TenantRow, table=True):
    """What a browser has to have signed, once and soon."""

    __tablename__: ClassVar[str] = "passkey_challenges"

    device_id: UUID = Field(primary_key=True)
    purpose: str = Field(primary_key=True)
    challenge: bytes
    ends_at: datetime = Field(sa_type=Timestamp)


class RecoveryCodeTable(TenantRow, table=True):
    """A code that stands in for a second factor once."""

    __tablename__: ClassVar[str] = "recovery_codes"

    user_id: UUID = Field(primary_key=True)
    code_hash: bytes = Field(primary_key=True)


class WrongCodesTable(TenantRow, table=True):
    """How many wrong codes somebody's account was shown, on all devices together, in a day."""

    __tablename__: ClassVar[str] = "wrong_codes"

    user_id: UUID = Field(primary_key=True)
    since: datetime = Field(sa_type=Timestamp)
    count: int

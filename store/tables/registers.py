"""Who else gets data, what they get, and mail that is going out."""

from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Texts, Timestamp, now


class SubprocessorTable(TenantRow, table=True):
    """A sub-processor that the operator has added or changed; in the operator's own books only."""

    __tablename__: ClassVar[str] = "subprocessors"

    id: str = Field(primary_key=True)
    name: str
    purpose: str
    data: list[str] = Field(sa_type=Texts)
    countries: list[str] = Field(sa_type=Texts)
    transfer: str
    hosts: list[str] = Field(sa_type=Texts)
    since: date
    told: date | None = None
    accepted: bool = False
    baa_since: date | None = None


class SubprocessorNoticeTable(TenantRow, table=True):
    """That this tenant has been told of a sub-processor, or has accepted it."""

    __tablename__: ClassVar[str] = "subprocessor_notices"

    subprocessor_id: str = Field(primary_key=True)
    since: date = Field(primary_key=True)
    told_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class SessionTransferTable(TenantRow, table=True):
    """What a call sent to a place beyond this machine, and what came back."""

    __tablename__: ClassVar[str] = "session_transfers"

    session_id: UUID = Field(primary_key=True)
    host: str = Field(primary_key=True)
    purpose: str = Field(primary_key=True)
    whose: str
    data: list[str] = Field(sa_type=Texts)
    countries: list[str] = Field(sa_type=Texts)
    in_eu: bool
    transfer: str
    sent_bytes: int
    received_bytes: int


class MailTable(TenantRow, table=True):
    """A mail that waits to be sent. Gone once it is."""

    __tablename__: ClassVar[str] = "mails"

    id: UUID = Field(primary_key=True)
    kind: str
    to_sealed: bytes
    subject_sealed: bytes
    body_sealed: bytes
    queued_at: datetime = Field(default_factory=now, sa_type=Timestamp)

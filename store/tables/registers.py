"""Who else gets data, what they get, and mail that is going out."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class MailTable(TenantRow, table=True):
    """A mail that waits to be sent. Gone once it is."""

    __tablename__: ClassVar[str] = "mails"

    id: UUID = Field(primary_key=True)
    kind: str
    to_sealed: bytes
    subject_sealed: bytes
    body_sealed: bytes
    queued_at: datetime = Field(default_factory=now, sa_type=Timestamp)

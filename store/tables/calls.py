"""Calls, and what is left of them. What ends in `_sealed` is personal and lies encrypted (see `store.sealing`)."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class SessionTable(TenantRow, table=True):
    """One call."""

    __tablename__: ClassVar[str] = "sessions"

    id: UUID = Field(primary_key=True)
    project_id: UUID
    scenario_id: UUID
    scenario_version: int
    state: str
    called: str
    caller_sealed: bytes | None = None
    caller_index: bytes | None = None
    trunk: str
    language: str
    planned_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    started_at: datetime | None = Field(default=None, sa_type=Timestamp)
    ended_at: datetime | None = Field(default=None, sa_type=Timestamp)
    ended_by: str | None = None
    end_reason: str | None = None
    heard_samples: int | None = None
    first_audio_ms: int | None = None
    reply_ms: int | None = None
    consent: str | None = None
    ingested_at: datetime | None = Field(default=None, sa_type=Timestamp)
    recorded: bool = False


class TurnTable(TenantRow, table=True):
    """What one side said, as it was heard."""

    __tablename__: ClassVar[str] = "turns"

    session_id: UUID = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    role: str
    text_sealed: bytes
    from_ms: int
    to_ms: int
    interrupted: bool


class ConsentEventTable(TenantRow, table=True):
    """One step of telling and asking the caller, and of what followed from it."""

    __tablename__: ClassVar[str] = "consent_events"

    session_id: UUID = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    at_ms: int
    kind: str
    verdict: str | None = None
    method: str | None = None
    wording_sha256: str | None = None
    language: str | None = None
    from_sample: int
    to_sample: int | None = None


class SessionEventTable(TenantRow, table=True):
    """Everything else that the journal of a call says."""

    __tablename__: ClassVar[str] = "session_events"

    session_id: UUID = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    at_ms: int
    kind: str
    facts: dict[str, Any] = Field(sa_type=JSONB)
    personal_sealed: bytes | None = None


class MessageTable(TenantRow, table=True):
    """A message that the caller left."""

    __tablename__: ClassVar[str] = "messages"

    session_id: UUID = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    text_sealed: bytes
    from_sample: int | None = None
    to_sample: int | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class RecordingTable(TenantRow, table=True):
    """Where the sound of a call lies."""

    __tablename__: ClassVar[str] = "recordings"

    session_id: UUID = Field(primary_key=True)
    blob: str
    sealed_bytes: int
    samples: int
    starts_at_sample: int
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class UsageEventTable(TenantRow, table=True):
    """Something to be paid for."""

    __tablename__: ClassVar[str] = "usage_events"

    id: UUID = Field(primary_key=True)
    project_id: UUID | None
    project_stub: UUID | None = None
    session_id: UUID | None = None
    kind: str
    quantity: int
    happened_at: datetime = Field(sa_type=Timestamp)

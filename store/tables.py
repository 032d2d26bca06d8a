"""Every table as the program sees it. The migrations are the authority; a test compares the two.

Each table has `tenant_id` and starts its primary key with it, so that a reference from one tenant to another cannot
even be written down. What ends in `_sealed` is personal and lies encrypted (see `store.sealing`).
"""

from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import ARRAY, DateTime, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel


class _Timestamp(DateTime):
    """A point in time, never a clock's face: `timestamptz`."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(timezone=True)


class _Texts(ARRAY[str]):
    """`text[]`."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(Text())


def _now() -> datetime:
    return datetime.now(UTC)


class TenantRow(SQLModel):
    """Base of all tables: whose row this is."""

    tenant_id: UUID = Field(primary_key=True)


class TenantTable(TenantRow, table=True):
    """Who pays and who is isolated from all others."""

    __tablename__: ClassVar[str] = "tenants"

    name: str
    max_calls: int
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class ProjectTable(TenantRow, table=True):
    """One receptionist."""

    __tablename__: ClassVar[str] = "projects"

    id: UUID = Field(primary_key=True)
    name: str
    business_name: str
    jurisdiction: str
    language: str
    time_zone: str
    recording_days: int
    transcript_days: int
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class ScenarioTable(TenantRow, table=True):
    """What one line of calls is about; its words are in versions."""

    __tablename__: ClassVar[str] = "scenarios"

    id: UUID = Field(primary_key=True)
    project_id: UUID
    name: str
    published_version: int | None
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class ScenarioVersionTable(TenantRow, table=True):
    """One published wording of a scenario; never changed."""

    __tablename__: ClassVar[str] = "scenario_versions"

    scenario_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    content: dict[str, Any] = Field(sa_type=JSONB)
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class NumberTable(TenantRow, table=True):
    """A number, or the user part of a SIP address, that reaches a scenario."""

    __tablename__: ClassVar[str] = "numbers"

    id: UUID = Field(primary_key=True)
    project_id: UUID
    scenario_id: UUID
    called: str
    label: str
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class TrunkTable(TenantRow, table=True):
    """A carrier or telephone system that may send calls."""

    __tablename__: ClassVar[str] = "trunks"

    id: UUID = Field(primary_key=True)
    name: str
    networks: list[str] = Field(sa_type=_Texts)
    transports: list[str] = Field(sa_type=_Texts)
    srtp: str
    min_tls: str
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


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
    planned_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)
    started_at: datetime | None = Field(default=None, sa_type=_Timestamp)
    ended_at: datetime | None = Field(default=None, sa_type=_Timestamp)
    ended_by: str | None = None
    end_reason: str | None = None
    heard_samples: int | None = None
    ingested_at: datetime | None = Field(default=None, sa_type=_Timestamp)


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
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class RecordingTable(TenantRow, table=True):
    """Where the sound of a call lies."""

    __tablename__: ClassVar[str] = "recordings"

    session_id: UUID = Field(primary_key=True)
    blob: str
    sealed_bytes: int
    samples: int
    starts_at_sample: int
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class UsageEventTable(TenantRow, table=True):
    """Something to be paid for."""

    __tablename__: ClassVar[str] = "usage_events"

    id: UUID = Field(primary_key=True)
    project_id: UUID | None
    session_id: UUID | None = None
    kind: str
    quantity: int
    happened_at: datetime = Field(sa_type=_Timestamp)


class TenantKeyTable(TenantRow, table=True):
    """A tenant's key, wrapped by the master key."""

    __tablename__: ClassVar[str] = "tenant_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    purpose: str = Field(primary_key=True)
    key_id: bytes = Field(primary_key=True)
    state: str
    wrapped: bytes
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


class DataKeyTable(TenantRow, table=True):
    """The key of one call, wrapped by its tenant's key. Without this row the call cannot be read."""

    __tablename__: ClassVar[str] = "data_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    session_id: UUID = Field(primary_key=True)
    wrapped: bytes
    created_at: datetime = Field(default_factory=_now, sa_type=_Timestamp)


TABLES: tuple[type[TenantRow], ...] = (
    TenantTable,
    ProjectTable,
    ScenarioTable,
    ScenarioVersionTable,
    NumberTable,
    TrunkTable,
    SessionTable,
    TurnTable,
    ConsentEventTable,
    SessionEventTable,
    MessageTable,
    RecordingTable,
    UsageEventTable,
    TenantKeyTable,
    DataKeyTable,
)

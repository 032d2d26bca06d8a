"""Who answers: tenants, their projects, scenarios, numbers and trunks."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from store.tables.base import TenantRow, Texts, Timestamp, now


class TenantTable(TenantRow, table=True):
    """Who pays and who is isolated from all others."""

    __tablename__: ClassVar[str] = "tenants"

    name: str
    max_calls: int
    second_factor_for_all: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


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
    residency: str = "anywhere"
    hipaa: bool = False
    viewers_see: str = "all"
    retention_basis: str | None = None
    deletion_asked_at: datetime | None = Field(default=None, sa_type=Timestamp)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class ScenarioTable(TenantRow, table=True):
    """What one line of calls is about; its words are in versions."""

    __tablename__: ClassVar[str] = "scenarios"

    id: UUID = Field(primary_key=True)
    project_id: UUID
    name: str
    published_version: int | None
    revision: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class ScenarioVersionTable(TenantRow, table=True):
    """One published wording of a scenario; never changed."""

    __tablename__: ClassVar[str] = "scenario_versions"

    scenario_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    content: dict[str, Any] = Field(sa_type=JSONB)
    actor_kind: str
    actor_id: str
    copy_of: int | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class ScenarioDraftTable(TenantRow, table=True):
    """What is being written and answers no call yet; one of a scenario."""

    __tablename__: ClassVar[str] = "scenario_drafts"

    scenario_id: UUID = Field(primary_key=True)
    content: dict[str, Any] = Field(sa_type=JSONB)
    actor_kind: str
    actor_id: str
    changed_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class NumberTable(TenantRow, table=True):
    """A number, or the user part of a SIP address, that reaches a scenario."""

    __tablename__: ClassVar[str] = "numbers"

    id: UUID = Field(primary_key=True)
    project_id: UUID
    scenario_id: UUID
    called: str
    label: str
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class TrunkTable(TenantRow, table=True):
    """A carrier or telephone system that may send calls."""

    __tablename__: ClassVar[str] = "trunks"

    id: UUID = Field(primary_key=True)
    name: str
    networks: list[str] = Field(sa_type=Texts)
    transports: list[str] = Field(sa_type=Texts)
    srtp: str
    min_tls: str
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)

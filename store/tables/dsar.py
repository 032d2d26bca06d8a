"""Requests of callers about their data: a tenant's cases, and the operator's intake desk."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp


class DsarContactTable(TenantRow, table=True):
    """Where a tenant wants to be told of requests."""

    __tablename__: ClassVar[str] = "dsar_contacts"

    contact_sealed: bytes


class DsarCaseTable(TenantRow, table=True):
    """One request of one caller to one tenant."""

    __tablename__: ClassVar[str] = "dsar_cases"

    id: UUID = Field(primary_key=True)
    project_id: UUID | None = None
    wish: str
    origin: str
    state: str
    caller_sealed: bytes | None = None
    caller_index: bytes | None = None
    contact_sealed: bytes | None = None
    received_at: datetime = Field(sa_type=Timestamp)
    due_at: datetime = Field(sa_type=Timestamp)
    next_step: int = 0
    next_step_at: datetime | None = Field(default=None, sa_type=Timestamp)
    closed_at: datetime | None = Field(default=None, sa_type=Timestamp)
    outcome: str | None = None
    erasure_id: UUID | None = None
    erased_objects: list[str] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    receipt: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))


class DsarCopyTable(TenantRow, table=True):
    """A copy of everything held about a caller, while it is made and for its day."""

    __tablename__: ClassVar[str] = "dsar_copies"

    id: UUID = Field(primary_key=True)
    case_id: UUID
    actor_kind: str
    actor_id: str
    key_sealed: bytes
    asked_at: datetime = Field(sa_type=Timestamp)
    calls: int
    calls_done: int
    made_at: datetime | None = Field(default=None, sa_type=Timestamp)


class DsarIntakeTable(TenantRow, table=True):
    """One request to the operator, by a caller who knows no tenant."""

    __tablename__: ClassVar[str] = "dsar_intakes"

    id: UUID = Field(primary_key=True)
    wish: str
    language: str
    state: str
    number_sealed: bytes | None = None
    number_index: bytes | None = None
    contact_sealed: bytes | None = None
    received_at: datetime = Field(sa_type=Timestamp)
    code_hash: bytes | None = None
    code_ends_at: datetime | None = Field(default=None, sa_type=Timestamp)
    wrong_guesses: int = 0
    finished_at: datetime | None = Field(default=None, sa_type=Timestamp)


class DsarCodeTable(TenantRow, table=True):
    """That a code was sent to a number."""

    __tablename__: ClassVar[str] = "dsar_codes"

    id: UUID = Field(primary_key=True)
    number_index: bytes
    sent_at: datetime = Field(sa_type=Timestamp)


class DsarRouteTable(TenantRow, table=True):
    """A tenant that a request was passed on to."""

    __tablename__: ClassVar[str] = "dsar_routes"

    intake_id: UUID = Field(primary_key=True)
    case_id: UUID = Field(primary_key=True)
    customer_id: UUID
    business_sealed: bytes | None = None
    outcome: str | None = None

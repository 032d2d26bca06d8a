"""Work in the background, and what retention and erasure keep count of."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class JobProgressTable(TenantRow, table=True):
    """How far a long job of the tenant is. Gone once the job is done."""

    __tablename__: ClassVar[str] = "job_progress"

    job_id: int = Field(primary_key=True)
    task: str
    done: int
    of: int
    changed_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class LegalHoldTable(TenantRow, table=True):
    """Something that may not be erased for now."""

    __tablename__: ClassVar[str] = "legal_holds"

    id: UUID = Field(primary_key=True)
    project_id: UUID
    session_id: UUID | None = None
    reason_sealed: bytes
    owner_kind: str
    owner_id: str
    placed_at: datetime = Field(sa_type=Timestamp)
    expires_at: datetime = Field(sa_type=Timestamp)


class ErasureTable(TenantRow, table=True):
    """An erasure that somebody has asked for."""

    __tablename__: ClassVar[str] = "erasures"

    id: UUID = Field(primary_key=True)
    reason: str
    actor_kind: str
    actor_id: str
    asked_at: datetime = Field(sa_type=Timestamp)
    sessions: int
    counts: dict[str, int] = Field(sa_type=JSONB)
    then_task: str | None = None
    then_arguments: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))
    finished_at: datetime | None = Field(default=None, sa_type=Timestamp)
    receipt: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))


class ErasureSessionTable(TenantRow, table=True):
    """A call that an erasure still has to erase."""

    __tablename__: ClassVar[str] = "erasure_sessions"

    erasure_id: UUID = Field(primary_key=True)
    session_id: UUID = Field(primary_key=True)


class ErasureLedgerTable(TenantRow, table=True):
    """Something that was erased and must not come back with a backup."""

    __tablename__: ClassVar[str] = "erasure_ledger"

    kind: str = Field(primary_key=True)
    subject: UUID = Field(primary_key=True)
    erased_at: datetime = Field(sa_type=Timestamp)


class ProjectDeletionTable(TenantRow, table=True):
    """A project that is being deleted, or was."""

    __tablename__: ClassVar[str] = "project_deletions"

    project_id: UUID = Field(primary_key=True)
    actor_kind: str
    actor_id: str
    asked_at: datetime = Field(sa_type=Timestamp)
    sessions: int = 0
    counts: dict[str, int] = Field(default_factory=dict, sa_type=JSONB)
    project_stub: UUID | None = None
    keys_shredded_at: datetime | None = Field(default=None, sa_type=Timestamp)
    wiped_at: datetime | None = Field(default=None, sa_type=Timestamp)
    receipt: dict[str, Any] | None = Field(default=None, sa_type=JSONB(none_as_null=True))


class ConsentProofTable(TenantRow, table=True):
    """One step of telling and asking a caller, after the call is gone."""

    __tablename__: ClassVar[str] = "consent_proofs"

    session_id: UUID = Field(primary_key=True)
    ordinal: int = Field(primary_key=True)
    happened_at: datetime = Field(sa_type=Timestamp)
    kind: str
    verdict: str | None = None
    method: str | None = None
    wording_sha256: str | None = None
    language: str | None = None
    kept_until: datetime = Field(sa_type=Timestamp)

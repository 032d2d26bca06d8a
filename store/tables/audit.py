"""The audit log: leaves of one Merkle tree a tenant, the tree's right edge, and signed statements about it."""

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp, now


class AuditHeadTable(TenantRow, table=True):
    """How large a tenant's log is, and what appending to it needs (`policies.merkle.Edge`)."""

    __tablename__: ClassVar[str] = "audit_heads"

    size: int
    edge: bytes


class AuditLeafTable(TenantRow, table=True):
    """One act. `leaf` is exactly what was hashed; it goes after seven years, the hash stays."""

    __tablename__: ClassVar[str] = "audit_leaves"

    idx: int = Field(primary_key=True)
    leaf_hash: bytes
    leaf: str | None
    at: datetime = Field(sa_type=Timestamp)
    tag: str
    actor_kind: str
    actor_id: str


class AuditAboutTable(TenantRow, table=True):
    """That a leaf tells of something done to the thing of this id."""

    __tablename__: ClassVar[str] = "audit_about"

    about: str = Field(primary_key=True)
    idx: int = Field(primary_key=True)


class AuditPersonalTable(TenantRow, table=True):
    """What a leaf holds only as a commitment, and the commitment's salt, sealed under the key of the person."""

    __tablename__: ClassVar[str] = "audit_personal"

    idx: int = Field(primary_key=True)
    subject: bytes
    sealed: bytes


class AuditCheckpointTable(TenantRow, table=True):
    """A signed statement about the log when it had so many leaves (C2SP tlog-checkpoint)."""

    __tablename__: ClassVar[str] = "audit_checkpoints"

    size: int = Field(primary_key=True)
    root: bytes
    note: str
    server_idx: int | None = None
    """The leaf of the server's own log that knows this; that log's own checkpoints have none."""
    made_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class AuditAnchorTable(TenantRow, table=True):
    """Where else a checkpoint lies, out of this server's reach, and what proves that."""

    __tablename__: ClassVar[str] = "audit_anchors"

    size: int = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    proof: bytes | None = None
    made_at: datetime = Field(default_factory=now, sa_type=Timestamp)


class SubjectKeyTable(TenantRow, table=True):
    """The key of one person's traces in the audit log. Without it they are commitments to nobody knows what."""

    __tablename__: ClassVar[str] = "subject_keys"
    __table_args__: ClassVar[dict[str, str]] = {"schema": "keys"}

    subject: bytes = Field(primary_key=True)
    wrapped: bytes
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)

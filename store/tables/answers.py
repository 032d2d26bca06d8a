"""Answers of the HTTP API, kept for a day so that a request that is sent again is not done again."""

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field

from store.tables.base import TenantRow, Timestamp


class KeptAnswerTable(TenantRow, table=True):
    """A request that somebody has sent under a key of their own choice, and what was answered, once it was."""

    __tablename__: ClassVar[str] = "kept_answers"

    actor_kind: str = Field(primary_key=True)
    actor_id: str = Field(primary_key=True)
    key_hash: bytes = Field(primary_key=True)
    request_hash: bytes
    begun_at: datetime = Field(sa_type=Timestamp)
    status: int | None = None
    answer_sealed: bytes | None = None

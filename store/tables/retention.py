"""Work in the background, and what retention and erasure keep count of."""

from datetime import datetime
from typing import ClassVar

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

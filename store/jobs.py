"""Jobs: work that a transaction leaves behind for later, as certain as the transaction itself.

A job is enqueued in the caller's transaction, so that it exists if and only if what it follows from does. It carries
its tenant, which the database itself writes from the transaction it was enqueued in. `store.worker` runs jobs; each may
run twice, after a process was killed, and so gives the same result when it is done again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlmodel import col, delete, select

from store.blobs import Blobs
from store.engine import Database
from store.scope import TenantStore
from store.tables.retention import JobProgressTable

Argument = str | int | bool | None
"""Ids and numbers: a job says nothing about a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One job, as its handler gets it."""

    database: Database
    blobs: Blobs
    tenant_id: UUID
    job_id: int
    task: str
    arguments: Mapping[str, Argument]

    def id_of(self, name: str) -> UUID:
        """An argument that is an id."""
        return UUID(str(self.arguments[name]))

    async def progress(self, done: int, of: int) -> None:
        """Show people how far this is; in a transaction of its own."""
        row = {"job_id": self.job_id, "task": self.task, "done": done, "of": of, "changed_at": datetime.now(UTC)}
        async with self.database.tenant(self.tenant_id) as store:
            await store.put(JobProgressTable, [row], replace=("done", "of", "changed_at"))


Handler = Callable[[Work], Awaitable[None]]
"""Does one job. Whatever it raises, the job is tried again later, for ever: nothing that is owed is dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One run of a periodic job, as its handler gets it. Belongs to no tenant: see `store.visits`."""

    database: Database
    blobs: Blobs
    at: datetime
    """When the run was due."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work that is due again and again, on one machine at a time."""

    name: str
    cron: str
    """Minute, hour, day, month, weekday, in UTC (crontab(5))."""
    handler: Callable[[Round], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long job is."""

    task: str
    done: int
    of: int
    changed_at: datetime


_ENQUEUE = "SELECT jobs.enqueue(:tenant_id, :task, CAST(:arguments AS jsonb), CAST(:due AS timestamptz), :same_lock)"
_FORGET = "SELECT jobs.forget(:tenant_id, :name, CAST(:ids AS text[]))"


async def defer(
    store: TenantStore, task: str, *, at: datetime | None = None, lock: str | None = None, **arguments: Argument
) -> int:
    """Leave work behind in the caller's transaction; the job's id.

    Args:
        store: Of the tenant whose work it is.
        task: One that `scripts.run_jobs` knows.
        at: Not before; at once by default.
        lock: Of the tenant's jobs with the same lock only one runs at a time, in the order they were left, also while
            an earlier one waits to be tried again.
        arguments: Ids and numbers, never anything about a person.
    """
    rows = await store.fixed(_ENQUEUE, task=task, arguments=json.dumps(arguments), due=at, same_lock=lock)
    job_id: int = rows[0][0]
    return job_id


async def forget(store: TenantStore, name: str, ids: Sequence[UUID]) -> int:
    """Take out waiting jobs of this tenant whose argument `name` is one of these; how many there were."""
    if not ids:
        return 0
    rows = await store.fixed(_FORGET, name=name, ids=[str(one) for one in ids])
    forgotten: int = rows[0][0]
    return forgotten


async def progress_of(store: TenantStore, job_id: int) -> Progress | None:
    """How far the job is; None when it has not begun to count, or is done."""
    row = await store.first(select(JobProgressTable).where(JobProgressTable.job_id == job_id))
    return None if row is None else Progress(row.task, row.done, row.of, row.changed_at)


async def forget_progress(store: TenantStore, job_id: int) -> None:
    """The job is done."""
    await store.change(delete(JobProgressTable).where(col(JobProgressTable.job_id) == job_id))

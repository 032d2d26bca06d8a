"""The worker: runs jobs that transactions have left (`store.jobs`), and periodic ones, on procrastinate's queue.

A job is leased to a worker that gives signs of life. When they stop, another worker takes the job over; so does the
same one after a restart. A job that fails is tried again, at first soon and then ever more rarely, but never given up.
What is done is removed from the queue.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import procrastinate
import psycopg
import structlog
from procrastinate.jobs import Job
from sqlalchemy.engine import URL

from store.blobs import Blobs
from store.engine import Database
from store.jobs import Argument, Handler, Periodic, Round, Work, forget_progress
from store.roles import urls_of
from store.settings import StoreSettings

log = structlog.get_logger()

AT_ONCE: Final = 4
LATE_S: Final = 900.0
"""What was due so long ago and is not done wants an operator's eye."""
_HEARTBEAT_S: Final = 3.0
_LEASE_S: Final = 15.0
"""Without a sign of life for so long, a worker has lost its jobs."""
_LOOK_S: Final = 5.0
_FIRST_RETRY_S, _LAST_RETRY_S = 2.0, 3600.0
_AWAY_S: Final = 2.0
_END_S: Final = 5.0
"""How long jobs may go on once the process is told to end; then they are left to the next one."""
_DUE_S: Final = 86_400.0
_MISSED_S: Final = 86_400.0
"""A round that was due while no worker ran is made up for, once, if that was no longer ago."""
_ROUNDS: Final = "rounds"

_LAGS: Final = """
SELECT job.task_name AS task,
       count(*) FILTER (WHERE job.status = 'todo') AS waiting,
       count(*) FILTER (WHERE job.status = 'doing') AS running,
       coalesce(max(extract(epoch FROM now() - due.at)) FILTER (WHERE due.at < now()), 0)::float AS lag
FROM procrastinate_jobs job
-- The first thing that happened to it: it was left, or set for later. Tries that follow do not make it younger.
CROSS JOIN LATERAL (SELECT at FROM procrastinate_events WHERE job_id = job.id ORDER BY id LIMIT 1) due
WHERE job.status IN ('todo', 'doing')
GROUP BY job.task_name ORDER BY job.task_name
"""

_Runner = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """What one kind of job has to show."""

    waiting: int
    running: int
    lag_s: float
    """Since the oldest that is not done was first due."""
    done: int
    """Since this worker's start."""
    failed: int
    """Tries that failed since this worker's start."""


class QueueAwayError(Exception):
    """The queue cannot be reached now; what is in it waits."""


class JobFailedError(Exception):
    """A try has failed; the log has said why, and this text says nothing."""


class _Again(procrastinate.BaseRetryStrategy):
    """Twice as long after each try, up to an hour."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision:
        if isinstance(exception, asyncio.CancelledError):  # the process ends; the next one goes on
            return procrastinate.RetryDecision(retry_in={"seconds": 0})
        seconds = min(_FIRST_RETRY_S * 2 ** min(job.attempts, 20), _LAST_RETRY_S)
        return procrastinate.RetryDecision(retry_in={"seconds": seconds})


class JobWorker:
    """One per process."""

    def __init__(
        self,
        settings: StoreSettings,
        database: Database,
        blobs: Blobs,
        *,
        tasks: Mapping[str, Handler],
        periodic: Sequence[Periodic] = (),
    ) -> None:
        self._url = urls_of(settings).jobs
        self._database = database
        self._blobs = blobs
        self._tasks = tasks
        self._periodic = periodic
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self.ready = asyncio.Event()
        """Set once the queue has been reached."""
        # Its lines would quote arguments and errors; ours say the same by constant names.
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)

    async def run(self) -> None:
        """Work for ever. While the database is away everything waits in it."""
        while True:
            try:
                async with self._queue() as queue:
                    await self._serve(queue)
            except* (procrastinate.exceptions.ProcrastinateException, psycopg.Error, OSError, TimeoutError) as errors:
                names = sorted({type(error).__name__ for error in errors.exceptions})
                log.warning("jobs_wait", reason="the queue cannot be reached", errors=names)
            await asyncio.sleep(_AWAY_S)

    async def run_due(self) -> None:
        """Do what is due now, with what follows from it, and return. For tests, and for commands that wait."""
        async with self._queue() as queue:
            await self._rescue(queue)
            tries = -1
            while tries != (tries := self._done.total() + self._failed.total()):  # a job may have waited for a lock
                # Without a limit: here the end of the work is waited for, however long a job takes.
                await _run(queue, wait=False)

    async def _serve(self, queue: procrastinate.App) -> None:
        async with asyncio.TaskGroup() as group:
            rescue = group.create_task(self._rescue_for_ever(queue), name="rescue")
            try:
                self.ready.set()
                await _run(queue, wait=True)
            finally:
                rescue.cancel()

    @contextlib.asynccontextmanager
    async def _queue(self) -> AsyncIterator[procrastinate.App]:
        queue = procrastinate.App(
            connector=procrastinate.PsycopgConnector(
                conninfo=_conninfo(self._url), min_size=1, max_size=AT_ONCE + 2, timeout=10.0
            ),
            periodic_defaults={"max_delay": _MISSED_S},
        )
        for name, handler in self._tasks.items():
            queue.task(name=name, queue="tenants", pass_context=True, retry=_Again())(self._runner(name, handler))
        for job in self._periodic:
            task = queue.task(name=job.name, queue=_ROUNDS, lock=job.name, queueing_lock=job.name, retry=_Again())(
                self._rounder(job)
            )
            queue.periodic(cron=job.cron)(task)
        async with queue.open_async():
            yield queue

    def _runner(self, name: str, handler: Handler) -> _Runner:
        async def run(context: procrastinate.JobContext, *, tenant_id: str, arguments: Mapping[str, Argument]) -> None:
            work = Work(
                database=self._database,
                blobs=self._blobs,
                tenant_id=UUID(tenant_id),
                job_id=context.job.id or 0,
                task=name,
                arguments=arguments,
            )
            async with self._counted(name, job_id=work.job_id, tenant_id=tenant_id, tries=context.job.attempts + 1):
                await handler(work)
                async with self._database.tenant(work.tenant_id) as store:
                    await forget_progress(store, work.job_id)

        return run

    def _rounder(self, job: Periodic) -> _Runner:
        async def run(timestamp: int) -> None:
            due = datetime.fromtimestamp(timestamp, UTC)
            async with self._counted(job.name):
                await job.handler(Round(database=self._database, blobs=self._blobs, at=due))

        return run

    @contextlib.asynccontextmanager
    async def _counted(self, task: str, **facts: object) -> AsyncIterator[None]:
        try:
            with structlog.contextvars.bound_contextvars(task=task, **facts):
                yield
        except Exception as error:
            self._failed[task] += 1
            log.warning("job_failed", task=task, exc_info=error, **facts)
            raise JobFailedError(type(error).__name__) from None
        self._done[task] += 1
        log.info("job_done", task=task, **facts)

    async def _rescue_for_ever(self, queue: procrastinate.App) -> None:
        while True:
            with contextlib.suppress(procrastinate.exceptions.ProcrastinateException):
                await self._rescue(queue)
            await asyncio.sleep(_LOOK_S)

    async def _rescue(self, queue: procrastinate.App) -> None:
        """Take over the jobs of workers that have died."""
        for job in await queue.job_manager.get_stalled_jobs(seconds_since_heartbeat=_LEASE_S):
            log.warning("job_taken_over", task=job.task_name, job_id=job.id)
            with contextlib.suppress(procrastinate.exceptions.ConnectorException):  # another worker was faster
                await queue.job_manager.retry_job(job)

    async def figures(self) -> Mapping[str, TaskFigures]:
        """By task; those that nobody has ever left work for are there as well.

        Raises:
            QueueAwayError: The database is away.
        """
        try:
            async with await psycopg.AsyncConnection.connect(_conninfo(self._url), connect_timeout=3) as connection:
                rows = await (await connection.execute(_LAGS)).fetchall()
        except psycopg.Error as error:
            raise QueueAwayError(type(error).__name__) from error
        names = (*self._tasks, *(job.name for job in self._periodic))
        found = dict.fromkeys(names, (0, 0, 0.0)) | {name: (todo, doing, lag) for name, todo, doing, lag in rows}
        return {
            name: TaskFigures(waiting, running, lag_s, self._done[name], self._failed[name])
            for name, (waiting, running, lag_s) in found.items()
        }


async def _run(queue: procrastinate.App, *, wait: bool) -> None:
    """Do jobs; with `wait` for ever, else until none is due."""
    await queue.run_worker_async(
        wait=wait,
        concurrency=AT_ONCE,
        install_signal_handlers=False,
        delete_jobs="always",
        shutdown_graceful_timeout=_END_S if wait else _DUE_S,
        fetch_job_polling_interval=2.0,
        update_heartbeat_interval=_HEARTBEAT_S,
        stalled_worker_timeout=_LEASE_S,
    )


def _conninfo(url: URL) -> str:
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.conninfo.make_conninfo(plain, options="-c search_path=jobs", application_name="aitelier jobs")

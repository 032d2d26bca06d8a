"""The process of the jobs: everything that is done later, and everything that is due again and again."""

import asyncio
import contextlib
import functools
import os
import signal
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from policies.key_schedule import is_root_overdue
from policies.retention import WIPE_ALARM_DAYS
from scripts import audit_jobs, dsar_jobs, key_jobs, people_jobs
from scripts.board import RUN, Board
from scripts.child import CannotStartError, Child, told_when
from scripts.cli_store import store_settings
from scripts.mailer import Mailer
from scripts.register_list import publish_register
from scripts.registered import NotRegisteredError, look_up
from scripts.settings import Secrets, Settings
from store import key_rotation
from store.blobs import BlobsAwayError
from store.blobs_choice import open_blobs
from store.engine import Database, StoreAwayError
from store.erasure import expiry
from store.erasure import projects as deletions
from store.erasure import sessions as erasing
from store.jobs import Handler, Periodic
from store.migrate import MigrationError, migrate
from store.outbox import SEND_MAIL
from store.root_key import move_to_new_root, root_since
from store.worker import LATE_S, JobWorker, QueueAwayError, TaskFigures

log = structlog.get_logger()


PERIODIC: Final[Sequence[Periodic]] = (
    *audit_jobs.PERIODIC,
    Periodic("retention_round", "30 3 * * *", expiry.run_round),
    *dsar_jobs.PERIODIC,
    *key_jobs.PERIODIC,
    *people_jobs.PERIODIC,
)
FIGURES: Final = "jobs.metrics"
"""In the folder `run`: the latest figures, in Prometheus' text format."""
_FIGURES_S: Final = 5.0
_ALARM_AGAIN_S: Final = 600.0


def tasks_of(settings: Settings, secrets: Secrets) -> Mapping[str, Handler]:
    """What `store.jobs.defer` can be asked for, by name. A name may be in a queue already: never change one."""
    smtp_url = None if secrets.smtp_url is None else secrets.smtp_url.reveal()
    return {
        SEND_MAIL: Mailer(smtp_url, settings.mail_from or f"aitelier@{settings.public_host or 'localhost'}").send,
        deletions.TASK: deletions.run,
        expiry.TASK: functools.partial(expiry.run, seller_country=settings.seller_country),
        erasing.TASK: erasing.run,
        **audit_jobs.audit_tasks(settings),
        **dsar_jobs.dsar_tasks(settings.callout_trunk),
        **key_jobs.TASKS,
    }


def run_jobs(board: Board, child: Child) -> int:
    """Do jobs until told to end."""

    async def main() -> None:
        serving = asyncio.ensure_future(_serve(board, child))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    return child.run(main)


async def _serve(board: Board, child: Child) -> None:
    stored = store_settings(board.settings, child.secrets)
    try:
        await migrate(stored)
        blobs = open_blobs(stored)
    except MigrationError as error:
        raise CannotStartError(f"AITELIER_DATABASE_URL: {error}") from error
    except BlobsAwayError as error:
        raise CannotStartError(f"AITELIER_HOME: {error}") from error
    async with contextlib.AsyncExitStack() as opened:
        database = await Database.open(stored)
        opened.push_async_callback(database.close)
        await key_jobs.refuse_wrong_root(database)
        await move_to_new_root(database)
        since = await root_since(database, datetime.now(UTC))
        try:
            await look_up(database, board.settings, child.secrets)
        except NotRegisteredError as error:
            raise CannotStartError(str(error)) from error
        worker = JobWorker(stored, database, blobs, tasks=tasks_of(board.settings, child.secrets), periodic=PERIODIC)
        async with asyncio.TaskGroup() as group:
            group.create_task(told_when(worker.ready, child), name="ready")
            group.create_task(_publish_figures(worker, database, since), name="figures")
            group.create_task(publish_register(RUN, database), name="register")
            await worker.run()


async def _publish_figures(worker: JobWorker, database: Database, root_is_since: datetime) -> None:
    alarmed_at = -_ALARM_AGAIN_S
    while True:
        try:
            figures = await worker.figures()
            async with database.platform_jobs() as platform:
                now = datetime.now(UTC)
                overdue = await deletions.overdue(platform, now)
                ages = await key_rotation.ages(platform, now)
        except (QueueAwayError, StoreAwayError):
            pass  # the file grows old, and whoever reads it sees that
        else:
            text = figures_text(figures, overdue) + key_jobs.key_figures(ages, root_is_since, now)
            await asyncio.to_thread(_write, RUN / FIGURES, text)
            late = {task: round(shown.lag_s) for task, shown in figures.items() if shown.lag_s > LATE_S}
            old = ages.overdue or is_root_overdue(root_is_since, now)
            if (late or overdue or old) and time.monotonic() >= alarmed_at + _ALARM_AGAIN_S:
                alarmed_at = time.monotonic()
                for task, seconds in late.items():
                    log.error("jobs_late", task=task, late_s=seconds)
                if overdue:
                    log.error("project_deletions_late", projects=overdue, days=WIPE_ALARM_DAYS)
                key_jobs.alarm(ages, root_is_since, now)
        await asyncio.sleep(_FIGURES_S)


def figures_text(figures: Mapping[str, TaskFigures], overdue: int) -> str:
    """In Prometheus' text format; `overdue` projects are not deleted though their time is nearly over."""
    registry = CollectorRegistry()
    Gauge(
        "aitelier_project_deletions_late", "Projects whose deletion is so late that it wants an eye.", registry=registry
    ).set(overdue)

    def gauge(name: str, documentation: str) -> Gauge:
        return Gauge(f"aitelier_jobs_{name}", documentation, ["task"], registry=registry)

    waiting = gauge("waiting", "Jobs that wait for their time, their turn, or to be tried again.")
    running = gauge("running", "Jobs that are being done.")
    lag = gauge("lag_seconds", "How long ago the oldest job that is not done was due.")
    late = gauge("late", "1 when that is too long: look at the log.")
    done = gauge("done", "Jobs done since the process of the jobs started.")
    failed = gauge("failed", "Tries that failed since the process of the jobs started.")
    for task, shown in figures.items():
        waiting.labels(task).set(shown.waiting)
        running.labels(task).set(shown.running)
        lag.labels(task).set(shown.lag_s)
        late.labels(task).set(shown.lag_s > LATE_S)
        done.labels(task).set(shown.done)
        failed.labels(task).set(shown.failed)
    return generate_latest(registry).decode()


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)

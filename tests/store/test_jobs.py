"""Jobs: left in a transaction, run for its tenant, tried again, taken over, and gone once they are done."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from uuid_utils.compat import uuid7

from store import jobs, postgres, worker
from store.blobs import Blobs, FolderBlobs
from store.engine import Database
from store.jobs import Handler, Periodic, Round, Work
from store.roles import APP
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import Shop, address


@pytest.fixture
def blobs(store_settings: StoreSettings) -> Blobs:
    """A folder of its own."""
    return FolderBlobs(store_settings.blobs)


def _worker(
    settings: StoreSettings, database: Database, blobs: Blobs, handler: Handler, periodic: Sequence[Periodic] = ()
) -> JobWorker:
    return JobWorker(settings, database, blobs, tasks={"greet": handler}, periodic=periodic)


async def _queued(settings: StoreSettings) -> int:
    assert settings.database_url
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM jobs.procrastinate_jobs")).fetchone()
    assert row
    return int(row[0])


async def test_a_job_exists_if_its_transaction_does(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop
) -> None:
    """A job left in a transaction that is rolled back never runs; one that is committed runs, and is gone then."""
    done: list[Work] = []

    async def greet(work: Work) -> None:
        done.append(work)

    async def change_of_mind() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await jobs.defer(store, "greet", session_id="never")
            raise KeyError

    with pytest.raises(KeyError):
        await change_of_mind()
    async with database.tenant(bakery.tenant_id) as store:
        await jobs.defer(store, "greet", session_id="one")
        assert done == []
    assert await _queued(store_settings) == 1
    await _worker(store_settings, database, blobs, greet).run_due()
    assert [(work.tenant_id, work.arguments) for work in done] == [(bakery.tenant_id, {"session_id": "one"})]
    assert await _queued(store_settings) == 0


async def test_a_job_is_of_the_tenant_whose_transaction_left_it(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, florist: Shop
) -> None:
    """The database writes the tenant itself: the app role can neither name another one nor look into the queue."""
    assert store_settings.database_url
    name = str(psycopg.conninfo.conninfo_to_dict(store_settings.database_url)["dbname"])
    with psycopg.connect(address(database_home, APP, name)) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(bakery.tenant_id),))
        connection.commit()
        enqueue = "SELECT jobs.enqueue(%s, 'greet', '{}', NULL, NULL)"
        connection.execute(enqueue, (bakery.tenant_id,))
        for statement, values in (
            (enqueue, (florist.tenant_id,)),
            ("SELECT jobs.forget(%s, 'x', '{}')", (florist.tenant_id,)),
            ("SELECT * FROM jobs.procrastinate_jobs", ()),
            ("SELECT * FROM jobs.procrastinate_events", ()),
            ("DELETE FROM jobs.procrastinate_jobs", ()),
            ("SELECT jobs.procrastinate_defer_jobs_v1('{}')", ()),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(statement, values)


async def test_waiting_jobs_about_somebody_are_forgotten(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop, florist: Shop
) -> None:
    """Only the tenant's own jobs that name one of these ids are taken out."""
    done: list[str] = []

    async def greet(work: Work) -> None:
        done.append(str(work.arguments["session_id"]))

    gone, kept = uuid7(), uuid7()
    for shop in (bakery, florist):
        async with database.tenant(shop.tenant_id) as store:
            for session_id in (gone, kept):
                await jobs.defer(store, "greet", session_id=str(session_id))
    async with database.tenant(bakery.tenant_id) as store:
        assert await jobs.forget(store, "session_id", (gone,)) == 1
        assert await jobs.forget(store, "session_id", ()) == 0
    await _worker(store_settings, database, blobs, greet).run_due()
    assert sorted(done) == sorted([str(kept), str(gone), str(kept)])


async def test_a_failed_job_is_tried_again_later(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits between the tries, is never given up, and shows since when it has been due and how often it failed."""
    monkeypatch.setattr(worker, "_FIRST_RETRY_S", 0.4)
    tries = 0

    async def greet(_: Work) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ValueError("+4915112345678 is not to be seen")

    async with database.tenant(bakery.tenant_id) as store:
        await jobs.defer(store, "greet")
    running = _worker(store_settings, database, blobs, greet)
    await running.run_due()
    assert tries == 1
    await running.run_due()
    assert tries == 1, "it waits"
    await asyncio.sleep(0.5)
    await running.run_due()
    figures = (await running.figures())["greet"]
    assert (tries, figures.waiting, figures.failed, figures.done) == (2, 1, 2, 0)
    assert figures.lag_s >= 0.4, "counted since it was first due"
    await asyncio.sleep(0.9)
    await running.run_due()
    figures = (await running.figures())["greet"]
    assert (tries, figures.waiting, figures.lag_s, figures.done) == (3, 0, 0.0, 1)


async def test_a_job_waits_for_its_time_and_its_lock(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop, florist: Shop
) -> None:
    """Jobs of a tenant with one lock run one after the other in their order; another tenant's lock is another lock."""
    seen: list[str] = []
    up: set[object] = set()
    together = 0

    async def greet(work: Work) -> None:
        nonlocal together
        assert work.tenant_id not in up
        up.add(work.tenant_id)
        together = max(together, len(up))
        await asyncio.sleep(0.1)
        up.discard(work.tenant_id)
        if work.tenant_id == bakery.tenant_id:
            seen.append(str(work.arguments["name"]))

    later = datetime.now(UTC) + timedelta(hours=1)
    for shop in (bakery, florist):
        async with database.tenant(shop.tenant_id) as store:
            for name in ("one", "two", "three"):
                await jobs.defer(store, "greet", lock="door", name=name)
            await jobs.defer(store, "greet", at=later, name="tomorrow")
    await _worker(store_settings, database, blobs, greet).run_due()
    assert seen == ["one", "two", "three"]
    assert together == 2
    assert await _queued(store_settings) == 2


async def test_progress_is_seen_until_the_job_is_done(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop
) -> None:
    """While it runs people see how far it is; afterwards nothing is left of it."""
    seen: list[tuple[int, int]] = []

    async def greet(work: Work) -> None:
        for done in (1, 2):
            await work.progress(done, 2)
            async with database.tenant(bakery.tenant_id) as store:
                progress = await jobs.progress_of(store, work.job_id)
            assert progress is not None
            seen.append((progress.done, progress.of))

    async with database.tenant(bakery.tenant_id) as store:
        job_id = await jobs.defer(store, "greet")
    await _worker(store_settings, database, blobs, greet).run_due()
    assert seen == [(1, 2), (2, 2)]
    async with database.tenant(bakery.tenant_id) as store:
        assert await jobs.progress_of(store, job_id) is None


async def test_rounds_are_made_once_and_made_up_for(
    store_settings: StoreSettings, database: Database, blobs: Blobs
) -> None:
    """A round that was due today while no worker ran is made at the next start, by one of two workers, once."""
    rounds: list[datetime] = []
    walked = asyncio.Event()

    async def walk(this: Round) -> None:
        rounds.append(this.at)
        walked.set()

    async def greet(_: Work) -> None:
        raise AssertionError

    daily = Periodic("walk", "0 0 * * *", walk)
    workers = [_worker(store_settings, database, blobs, greet, (daily,)) for _ in range(2)]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one.run(), name="worker") for one in workers]
        async with asyncio.timeout(10):
            await walked.wait()
        await asyncio.sleep(0.5)
        for task in tasks:
            task.cancel()
    assert rounds == [datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)]


async def test_a_worker_outlives_its_connections(
    store_settings: StoreSettings,
    database: Database,
    database_home: Path,
    blobs: Blobs,
    bakery: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After the database has dropped every connection, jobs are done as before."""
    monkeypatch.setattr(worker, "_AWAY_S", 0.1)
    done = asyncio.Queue[str]()

    async def greet(work: Work) -> None:
        done.put_nowait(str(work.arguments["name"]))

    async def leave(name: str) -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await jobs.defer(store, "greet", name=name)

    assert store_settings.database_url
    name = psycopg.conninfo.conninfo_to_dict(store_settings.database_url)["dbname"]
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(_worker(store_settings, database, blobs, greet).run(), name="worker")
        await leave("before")
        assert await done.get() == "before"
        with psycopg.connect(address(database_home, postgres.SUPERUSER, "postgres"), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        await leave("after")
        while await done.get() != "after":
            pass  # once more "before", where the connection went before it could say that this was done
        running.cancel()


_DOOMED = """
import asyncio, os, signal, sys
from pathlib import Path
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from store.worker import JobWorker

settings = StoreSettings(sys.argv[1], Path(sys.argv[2]), bytes(range(32)))

async def greet(work):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    database = await Database.open(settings)
    await JobWorker(settings, database, FolderBlobs(settings.blobs), tasks={"greet": greet}).run()

asyncio.run(main())
"""


async def test_the_job_of_a_killed_worker_is_taken_over(
    store_settings: StoreSettings,
    database: Database,
    blobs: Blobs,
    bakery: Shop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker killed in the middle of a job loses its lease, and the next one does the job."""
    done: list[int] = []

    async def greet(work: Work) -> None:
        done.append(work.job_id)

    async with database.tenant(bakery.tenant_id) as store:
        job_id = await jobs.defer(store, "greet")
    doomed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _DOOMED, str(store_settings.database_url), str(store_settings.home)],
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=60,
    )
    assert doomed.returncode == -signal.SIGKILL
    await _worker(store_settings, database, blobs, greet).run_due()
    assert done == [], "it may still be alive"
    monkeypatch.setattr(worker, "_LEASE_S", 0.5)
    await asyncio.sleep(0.6)
    await _worker(store_settings, database, blobs, greet).run_due()
    assert done == [job_id]

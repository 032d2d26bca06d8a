"""An ingestion that is killed at a chosen step, in a process of its own."""

import asyncio
import multiprocessing
import os
import signal
import sys
from pathlib import Path

from store.blobs import FolderBlobs
from store.engine import Database
from store.scope import TenantStore
from store.settings import StoreSettings
from voice.desk.ingest import Ingestion
from voice.desk.spool import Spool
from voice.desk.transfers import TransferReports

TOUCHES = {"open", "os.remove", "os.rename", "os.link", "os.mkdir", "os.truncate", "shutil.copyfileobj", "fcntl.flock"}


class Steps:
    """Counts what the ingestion does to files and database, and kills the process at step `last`."""

    def __init__(self, home: Path, last: int) -> None:
        self._home = str(home)
        self._last = last
        self.taken = 0

    def touch(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook: called before each operation on a file."""
        if event == "fcntl.flock" or (event in TOUCHES and any(self._home in str(part) for part in arguments)):
            self.step()

    def step(self) -> None:
        self.taken += 1
        if self.taken == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def ingest_until(settings: StoreSettings, folder: Path, last: int, steps_file: Path) -> None:
    """Take in what is in the spool, but die at step `last`; writes down how many steps there were."""
    steps = Steps(folder, last)
    commit = TenantStore.commit

    async def watched_commit(store: TenantStore) -> None:
        steps.step()
        await commit(store)
        steps.step()

    async def work() -> None:
        database = await Database.open(settings)
        ingestion = Ingestion(database, FolderBlobs(folder / "blobs"), Spool(folder / "spool"), TransferReports())
        TenantStore.commit = watched_commit  # type: ignore[method-assign]  # to die just before and just after it
        sys.addaudithook(steps.touch)
        await ingestion.scan()
        await database.close()

    asyncio.run(work())
    steps_file.write_text(str(steps.taken))


def run(settings: StoreSettings, folder: Path, last: int, steps_file: Path) -> int | None:
    """Do it in a process that has everything imported already; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.voice.desk.dying"])
    process = context.Process(target=ingest_until, args=(settings, folder, last, steps_file))
    process.start()
    process.join(30)
    return process.exitcode

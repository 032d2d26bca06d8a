"""What a call writes to the spool, without ever waiting for a disk.

One thread per worker process seals and writes for all its calls. A disk that is full or gone costs a call nothing but
what could not be written: sealed bytes wait in memory up to a limit, in order, and are written once there is room
again; what comes on top of the limit is not kept, and the gap is named in the journal.
"""

import asyncio
import contextlib
import contextvars
import fcntl
import functools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog
from structlog.typing import FilteringBoundLogger

from voice.waist.journal import AlarmRaised, AnyRecord, Header, JournalSealer
from voice.waist.plan import CallPlan

Log = FilteringBoundLogger
log: Log = structlog.get_logger()

FULL_DISK_RETRY_SECONDS = 1.0
MOST_UNFINISHED_FILES = 32
"""Of calls that are over. While the disk stays full the oldest are closed as they are, so that memory stays bounded."""
JOURNAL_WAITING_BYTES = 256 << 10
"""Of one call, while the disk takes nothing; some 2,000 records."""


class SpoolWriter:
    """The worker's writer thread. Start it after the fork; `close` ends it once everything handed over is written."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], None], Log] | None] = SimpleQueue()
        self._unfinished: deque[SpoolFile] = deque()
        """Files of calls that are over, of which a full disk has not taken everything yet."""
        context = contextvars.copy_context()  # so that the thread's lines name the process, too
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="spool writer", daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], None], log: Log = log) -> None:
        """Have the thread do this after all it has been given before. `log` is told should it fail."""
        self._jobs.put((job, log))

    async def done(self) -> None:
        """Wait until everything handed over so far has been done."""
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[None] = loop.create_future()
        self.do(functools.partial(_settle_from_thread, loop, reached))
        await reached

    def finish(self, file: "SpoolFile") -> None:
        """Close a file once the disk has taken all of it. Files close in the order in which they were handed over."""
        self.do(functools.partial(self._finish, file))

    def close(self) -> None:
        """Finish the work and end the thread; what the disk does not take now is lost. Blocks."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while True:
            try:
                given = self._jobs.get(timeout=FULL_DISK_RETRY_SECONDS if self._unfinished else None)
            except Empty:
                given = self._finish_rest, log
            if given is None:
                self._finish_rest()
                return
            job, whose = given
            try:
                job()
            except Exception:  # noqa: BLE001 - the thread serves all calls and must outlive a fault in one
                whose.exception("spool_job_failed")

    def _finish(self, file: "SpoolFile") -> None:
        self._unfinished.append(file)
        self._finish_rest()

    def _finish_rest(self) -> None:
        # In order: a journal says that its call is over, so it must not close before its recording has.
        while self._unfinished and self._unfinished[0].close():
            self._unfinished.popleft()
        while len(self._unfinished) > MOST_UNFINISHED_FILES:
            oldest = self._unfinished.popleft()
            oldest.log.error("spool_file_cut_short")
            oldest.give_up()


def _settle_from_thread(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _nobody() -> None:
    """Nobody wants to know."""


def log_of(plan: CallPlan) -> Log:
    """Where a call's files speak of their troubles."""
    return log.bind(call=plan.session_id, tenant=plan.tenant_id)


class SpoolFile:
    """A file that only grows. All of it runs on the writer's thread."""

    def __init__(
        self, path: Path, *, locked: bool = False, troubled: Callable[[], None] | None = None, log: Log = log
    ) -> None:
        """`troubled` is called, on the writer's thread, when the disk refuses for the first time."""
        self.log = log
        """The thread works for all calls, so a line's names cannot be bound to it."""
        self._path = path
        self._locked = locked
        self._tell_troubled = troubled or _nobody
        self._descriptor: int | None = None
        self._waiting = bytearray()
        self._closed = False
        self.troubled = False
        """The disk did not take the last write."""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the disk has not taken yet."""
        return len(self._waiting)

    def write(self, data: bytes) -> None:
        """Append, as far as the disk takes it; the rest waits for the next write. Nothing happens after `close`."""
        if self._closed:
            return
        self._waiting += data
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            while self._waiting:
                del self._waiting[: os.write(self._descriptor, self._waiting)]
        except OSError as error:
            if not self.troubled:
                self.troubled = True
                self.log.warning("spool_write_failed", errno=error.errno)
                self._tell_troubled()
            return
        if self.troubled:
            self.log.warning("spool_writes_again")
        self.troubled = False

    def close(self) -> bool:
        """Bring it to the disk and let go of it, and of the lock; False while the disk does not take the rest."""
        self.write(b"")
        if self._waiting:
            return False
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        self._tell_troubled = _nobody
        self._closed = True
        return True

    def give_up(self) -> None:
        """Close it as it is: what the disk has not taken is lost."""
        self._waiting.clear()
        self.close()

    def remove(self) -> None:
        """Keep nothing of it."""
        self.give_up()
        self._path.unlink(missing_ok=True)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        if not self._locked:
            return os.open(self._path, flags, 0o600)
        unborn = self._path.with_suffix(".unborn")  # nobody may ever see it under its own name without its lock
        descriptor = os.open(unborn, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            unborn.rename(self._path)
        except OSError:
            os.close(descriptor)
            unborn.unlink(missing_ok=True)
            raise
        return descriptor


def since_ms(started: float) -> int:
    """Milliseconds since `started`, a `time.monotonic()`."""
    return int((time.monotonic() - started) * 1000)


class Journal:
    """The journal of one call. `note` is for the loop's thread and never waits.

    The file is locked (flock) for as long as the call lives, so that whoever finds it knows whether it is over.
    """

    def __init__(self, writer: SpoolWriter, folder: Path, plan: CallPlan, started: float) -> None:
        """`started` is when the INVITE came, by `time.monotonic()`."""
        self._writer = writer
        self._started = started
        self._lost = 0
        header = Header(
            session_id=plan.session_id,
            tenant_id=plan.tenant_id,
            project_id=plan.project_id,
            scenario_id=plan.scenario_id,
            scenario_version=plan.scenario_version,
            wrapped_data_key=plan.wrapped_data_key,
            started_at_unix_ms=int((time.time() - (time.monotonic() - started)) * 1000),
        )
        self._sealer = JournalSealer(header, plan.data_key)
        path = folder / f"{plan.session_id}.journal"
        self._file = SpoolFile(path, locked=True, troubled=self._alarm_about_disk, log=log_of(plan))
        preamble = self._sealer.preamble
        writer.do(lambda: self._file.write(preamble), self._file.log)

    def note(self, record: AnyRecord) -> None:
        """Append a record. May be called from any thread."""
        self._writer.do(lambda: self._write(record), self._file.log)

    async def close(self) -> None:
        """Bring everything to the disk and release the lock; where the disk is full, once it has room."""
        self._writer.finish(self._file)
        await self._writer.done()

    def _write(self, record: AnyRecord) -> None:
        if self._file.troubled:
            self._file.write(b"")
            if self._file.troubled and self._file.waiting_bytes > JOURNAL_WAITING_BYTES:
                self._lost += 1
                return
        if self._lost and not self._file.troubled:
            self._lost = 0
            self._file.write(self._sealer.seal(AlarmRaised(at_ms=since_ms(self._started), what="journal_records_lost")))
        self._file.write(self._sealer.seal(record))

    def _alarm_about_disk(self) -> None:
        self.note(AlarmRaised(at_ms=since_ms(self._started), what="journal_not_written"))


class CallLog:
    """Records of one call. They wait in memory until the plan is there, which says where the journal is."""

    def __init__(self, started: float) -> None:
        """`started` is when the INVITE came, by `time.monotonic()`."""
        self.started = started
        self._journal: Journal | None = None
        self._early: list[AnyRecord] = []

    @property
    def at_ms(self) -> int:
        """For a record's `at_ms`."""
        return since_ms(self.started)

    def note(self, record: AnyRecord) -> None:
        """Append a record. May be called from any thread."""
        if self._journal is None:
            self._early.append(record)
        else:
            self._journal.note(record)

    def open(self, journal: Journal) -> None:
        """Write what has waited, and from now on everything, to this journal."""
        for record in self._early:
            journal.note(record)
        self._early.clear()
        self._journal = journal

    async def close(self) -> bool:
        """Close the journal; False if there never was one."""
        if self._journal is None:
            return False
        await self._journal.close()
        return True

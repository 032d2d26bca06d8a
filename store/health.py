"""Whether all that calls leave could be kept now: in the database, among the objects, and on the disks."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from policies.problems import Problem
from store.blobs import Blobs, BlobsAwayError
from store.engine import Database, StoreAwayError

_PATIENCE_S: Final = 2.0
_GOOD_FOR_S: Final = 1.0
"""So long an answer stands: whoever asks more often does not burden what is asked about."""

_Look = Callable[[], Awaitable[tuple[Problem, ...]]]


class Health:
    """Looks when it is asked, and answers within `_PATIENCE_S` whatever hangs."""

    def __init__(self, database: Database, blobs: Blobs, folders: Sequence[Path], *, room_bytes: int) -> None:
        """`folders` are on the disks that are looked at, which are full with less than `room_bytes` free."""
        self._parts = (
            _Part("database", _DATABASE_REMEDY, lambda: _database(database)),
            _Part("objects", _OBJECTS_REMEDY, lambda: asyncio.to_thread(_objects, blobs), calls_go_on=True),
            _Part("disk", _DISK_REMEDY, lambda: asyncio.to_thread(_disks, folders, room_bytes)),
        )
        self._last: tuple[Problem, ...] = ()
        self._looked_at = -_GOOD_FOR_S
        self._looking = asyncio.Lock()

    async def problems(self) -> tuple[Problem, ...]:
        """What does not work now; empty when all is well."""
        async with self._looking:
            if time.monotonic() >= self._looked_at + _GOOD_FOR_S:
                found = await asyncio.gather(*(part.look() for part in self._parts))
                self._last = tuple(problem for problems in found for problem in problems)
                self._looked_at = time.monotonic()
            return self._last


_DATABASE_REMEDY: Final = "Start PostgreSQL again, or check AITELIER_DATABASE_URL; calls wait in the spool meanwhile"
_OBJECTS_REMEDY: Final = "Look at the S3 service and the way to it; recordings wait in the spool meanwhile"
_DISK_REMEDY: Final = "Check the disk under the home folder"


class _Part:
    """One thing to look at. A look that hangs is waited for by later ones, not joined by more of its kind."""

    def __init__(self, name: str, remedy: str, look: _Look, *, calls_go_on: bool = False) -> None:
        self._silent = Problem(
            part=name,
            problem=f"does not answer within {_PATIENCE_S:g} s",
            remedy=remedy,
            calls_go_on=calls_go_on,
        )
        self._look = look
        self._running: asyncio.Future[tuple[Problem, ...]] | None = None

    async def look(self) -> tuple[Problem, ...]:
        if self._running is None:
            self._running = asyncio.ensure_future(self._look())
        running = self._running
        await asyncio.wait((running,), timeout=_PATIENCE_S)
        if not running.done():
            return (self._silent,)
        self._running = None
        return running.result()


async def _database(database: Database) -> tuple[Problem, ...]:
    try:
        async with database.platform() as platform:
            await platform.rows("SELECT 1")
    except StoreAwayError:
        return (Problem(part="database", problem="cannot be reached", remedy=_DATABASE_REMEDY),)
    return ()


def _objects(blobs: Blobs) -> tuple[Problem, ...]:
    try:
        blobs.check()
    except BlobsAwayError as error:
        return (Problem(part="objects", problem=error.problem, remedy=error.remedy, calls_go_on=True),)
    return ()


def _disks(folders: Sequence[Path], room_bytes: int) -> tuple[Problem, ...]:
    """One problem for each disk, by the first of its folders."""
    first_on: dict[int, Path] = {}
    problems: list[Problem] = []
    try:
        for folder in folders:
            first_on.setdefault(folder.stat().st_dev, folder)
    except OSError as error:
        problems.append(Problem(part="disk", problem=f"cannot be used ({error.strerror})", remedy=_DISK_REMEDY))
    for folder in first_on.values():
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
        if free < room_bytes:
            problems.append(
                Problem(
                    part="disk",
                    problem=f"is full: {free / 1e6:.0f} MB are left under {folder.resolve()}",
                    remedy=f"Make room of {room_bytes / 1e6:.0f} MB or more; calls wait in memory meanwhile",
                )
            )
    return tuple(problems)

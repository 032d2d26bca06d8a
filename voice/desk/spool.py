"""The folder where calls leave journal and recording: `<session_id>.journal` and `<session_id>.recording`.

Workers write here under another, less trusted user, so nothing found here is believed: no links are followed, only
plain files are opened, and a journal counts as left behind only once its lock can be taken. Whoever writes a journal
holds `flock(LOCK_EX)` on it for as long as the call lives; the kernel lets go when the worker dies, however it dies.
"""

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from voice.waist.journal import MAGIC, Header, JournalDamagedError, read_header

_SESSION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_LONGEST_JOURNAL = 256 << 20
_LONGEST_HEADER = 1 << 16
_DAMAGED = "damaged"


class LeftBehind:
    """Journal and recording of one call that is over, locked for us until `close`. A context manager."""

    def __init__(self, folder: Path, session_id: str, descriptor: int) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self.session_id = session_id
        self._journal = folder / f"{session_id}.journal"
        self._recording = folder / f"{session_id}.recording"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def journal(self) -> bytes:
        """The whole journal.

        Raises:
            JournalDamagedError: It is larger than any call can make it.
        """
        size = os.fstat(self._descriptor).st_size
        if size > _LONGEST_JOURNAL:
            raise JournalDamagedError("larger than any call can make it")
        return _read_all(self._descriptor, size)

    def open_recording(self) -> int | None:
        """A descriptor of the sealed recording, to be closed by the caller; None when there is none.

        Raises:
            OSError: It is there but no plain file.
        """
        try:
            return _open_plain(self._recording)
        except FileNotFoundError:
            return None

    def discard(self) -> None:
        """Remove both, now that they are safe elsewhere. The journal goes last: it is what a retry starts from."""
        self._recording.unlink(missing_ok=True)
        _sync_folder(self._folder)
        self._journal.unlink(missing_ok=True)
        _sync_folder(self._folder)

    def set_aside(self) -> None:
        """Move both out of the way, into `damaged/`, where an operator finds them."""
        aside = self._folder / _DAMAGED
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in (self._recording, self._journal):
            with contextlib.suppress(FileNotFoundError):
                path.rename(aside / path.name)
        _sync_folder(aside)
        _sync_folder(self._folder)

    def keep_copy(self) -> None:
        """Keep both in `damaged/` as they are, before what can be read of them is stored."""
        aside = self._folder / _DAMAGED
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in (self._recording, self._journal):
            with contextlib.suppress(FileNotFoundError, FileExistsError):
                os.link(path, aside / path.name, follow_symlinks=False)
        _sync_folder(aside)


class Spool:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def session_ids(self) -> Iterator[str]:
        """All calls with a journal here, whether they are over or not; oldest first, as UUIDv7 sort by time."""
        for name in sorted(entry.name for entry in os.scandir(self._folder)):
            stem, dot, ending = name.partition(".")
            if dot and ending == "journal" and _SESSION_ID.fullmatch(stem):
                yield stem

    def has(self, session_id: str) -> bool:
        """Whether this call has a journal here."""
        return bool(_SESSION_ID.fullmatch(session_id)) and (self._folder / f"{session_id}.journal").exists()

    def set_aside(self) -> dict[str, float]:
        """Calls of which something lies in `damaged/`, and since when, in seconds since the epoch."""
        found: dict[str, float] = {}
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self._folder / _DAMAGED):
                if _SESSION_ID.fullmatch(entry.name.partition(".")[0]):
                    # When it was put there: a link or a move changes this time, and not that of the content.
                    found[entry.name.partition(".")[0]] = entry.stat(follow_symlinks=False).st_ctime
        return found

    def drop_set_aside(self, session_id: str) -> None:
        """Remove what lies of a call in `damaged/`."""
        for path in (self._folder / _DAMAGED).glob(f"{session_id}.*"):
            path.unlink(missing_ok=True)

    def claim(self, session_id: str) -> LeftBehind | None:
        """What a call left, if it is over; None while somebody holds its lock, or when it is not there.

        Raises:
            OSError: The journal is no plain file, or may not be opened.
        """
        path = self._folder / f"{session_id}.journal"
        try:
            descriptor = _open_plain(path)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            there = path.lstat()
        except (BlockingIOError, FileNotFoundError):  # the call goes on; or another ingestion was faster
            os.close(descriptor)
            return None
        if there.st_ino != os.fstat(descriptor).st_ino:
            os.close(descriptor)
            return None
        return LeftBehind(self._folder, session_id, descriptor)

    def header_of_running(self, session_id: str, process: int) -> Header | None:
        """The journal's header, if `process` is the one that holds its lock now; else None.

        So a desk that has been restarted learns again which worker has a call, without believing the worker.
        """
        if not _SESSION_ID.fullmatch(session_id):
            return None
        try:
            descriptor = _open_plain(self._folder / f"{session_id}.journal")
        except OSError:
            return None
        try:
            if _lock_holder(os.fstat(descriptor).st_ino) != process:
                return None
            return read_header(_read_all(descriptor, _LONGEST_HEADER + len(MAGIC) + 4))
        except JournalDamagedError:
            return None
        finally:
            os.close(descriptor)


def _open_plain(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path.name} is no plain file")
    return descriptor


def _read_all(descriptor: int, size: int) -> bytes:
    parts = []
    at = 0
    while at < size and (part := os.pread(descriptor, size - at, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lock_holder(inode: int) -> int | None:
    """Process that holds the flock on a file: /proc/locks lists kind, process and major:minor:inode (proc(5)).

    The device is not compared, because overlay file systems and btrfs report another one to stat(2); should two files
    of one number be locked by different processes, none of them is believed.
    """
    holders = set()
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "->" not in fields and fields[1] == "FLOCK" and fields[3] == "WRITE" and fields[5].endswith(f":{inode}"):
            holders.add(int(fields[4]))
    return holders.pop() if len(holders) == 1 else None

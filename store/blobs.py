"""Objects: sealed recordings and the like, in a folder or in an object store. Everything in here is ciphertext."""

import contextlib
import errno
import fcntl
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)*")
_PREFIX = re.compile(r"(?:[a-z0-9][a-z0-9._-]*/)*(?:[a-z0-9][a-z0-9._-]*)?")
_DRAFTS: Final = ".drafts"
_FULL: Final = {errno.ENOSPC, errno.EDQUOT}


class BlobMissingError(Exception):
    """There is no object of this name."""


class BlobsAwayError(Exception):
    """Objects cannot be reached or kept now. Nothing half done was left; worth trying again."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}. {remedy}")
        self.problem = problem
        self.remedy = remedy
        """A sentence without its full stop: what an operator can do."""


class BlobsRefusedError(BlobsAwayError):
    """They will not be reachable before an operator has changed something: a setting, a right, a bucket."""


class BlobKeptError(Exception):
    """The object store holds on to a version of this object, by a lock or a legal hold, and does not delete it."""


class Blobs(Protocol):
    """Named objects. The methods block: call them from a thread (`asyncio.to_thread`).

    A name is lower-case letters, digits, "-", "_" and ".", in parts divided by "/". Each method raises
    `BlobsAwayError` when the place where objects lie cannot be used.
    """

    def put_file(self, name: str, source: Path) -> int:
        """Keep a copy of the file under this name, whole or not at all, replacing what was there; its bytes."""

    def put(self, name: str, content: bytes) -> int:
        """The same for content in memory."""

    def put_locked(self, name: str, content: bytes, until: datetime) -> bool:
        """The same, so that nobody can remove or change it before then; False, and nothing kept, where that cannot be.

        For what says nothing about a person: it could not be erased.
        """

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`, fewer at the end. Raises `BlobMissingError`."""

    def size(self, name: str) -> int:
        """Bytes. Raises `BlobMissingError`."""

    def delete(self, name: str) -> bool:
        """Remove the object with every version of it there ever was; False when there was none.

        Raises `BlobKeptError` when it may not be removed before some date.
        """

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that begin so, in order."""

    def check(self) -> None:
        """Raise `BlobsAwayError` unless an object could be kept now, where no stranger can read it."""

    def sweep(self) -> int:
        """Remove what killed processes left half written; how many pieces that was."""


def checked_name(name: str) -> str:
    """The same name.

    Raises:
        ValueError: It is none.
    """
    if not _KEY.fullmatch(name):
        raise ValueError("a name of an object has lower-case parts divided by slashes")
    return name


class FolderBlobs:
    """Objects as files under one folder, which only its owner may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drafts = folder / _DRAFTS
        with _folder_troubles():
            self._drafts.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)

    def put_file(self, name: str, source: Path) -> int:
        """See `Blobs`. On return the object has reached the disk."""
        with source.open("rb") as original:
            return self._keep(name, original)

    def put(self, name: str, content: bytes) -> int:
        """See `Blobs`. On return the object has reached the disk."""
        return self._keep(name, io.BytesIO(content))

    def put_locked(self, name: str, content: bytes, until: datetime) -> bool:  # noqa: ARG002  # as `Blobs` has it
        """See `Blobs`. Whoever owns a folder can remove what is in it."""
        return False

    def _keep(self, name: str, original: BinaryIO) -> int:
        target = self._path(name)
        with _folder_troubles():
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=self._drafts)
            try:
                with os.fdopen(handle, "wb") as copy:
                    fcntl.flock(copy, fcntl.LOCK_EX)  # until it is closed: `sweep` leaves it alone
                    shutil.copyfileobj(original, copy, 1 << 20)
                    copy.flush()
                    os.fsync(copy.fileno())
                    size = copy.tell()
                    Path(draft).replace(target)
            except BaseException:
                Path(draft).unlink(missing_ok=True)
                raise
            _sync_folder(target.parent)
        return size

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        """See `Blobs`."""
        with _folder_troubles(name):
            handle = os.open(self._path(name), os.O_RDONLY)
            try:
                return os.pread(handle, count, offset)
            finally:
                os.close(handle)

    def size(self, name: str) -> int:
        """See `Blobs`."""
        with _folder_troubles(name):
            return self._path(name).stat().st_size

    def delete(self, name: str) -> bool:
        """See `Blobs`. After a crash of the machine it may be there again."""
        try:
            with _folder_troubles(name):
                self._path(name).unlink()
        except BlobMissingError:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """See `Blobs`."""
        # Only the folder that all of them are in: one tenant's recordings are found without walking the others'.
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("no name begins so")
        start = self._folder / prefix.rpartition("/")[0]
        names = (
            path.relative_to(self._folder).as_posix()
            for path in start.rglob("*")
            if path.is_file() and not path.is_relative_to(self._drafts)
        )
        return iter(sorted(name for name in names if name.startswith(prefix)))

    def check(self) -> None:
        """See `Blobs`."""
        with _folder_troubles(), tempfile.TemporaryFile(dir=self._drafts) as probe:
            probe.write(bytes(4096))

    def sweep(self) -> int:
        """See `Blobs`."""
        swept = 0
        for draft in self._drafts.iterdir():
            with contextlib.suppress(OSError), draft.open("rb") as held:  # gone meanwhile, or being written now
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink()
                swept += 1
        return swept

    def _path(self, name: str) -> Path:
        return self._folder / checked_name(name)


@contextlib.contextmanager
def _folder_troubles(name: str | None = None) -> Iterator[None]:
    """What the disk says, as this room says it."""
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError) and name is not None:
            raise BlobMissingError(name) from error
        if error.errno in _FULL:
            raise BlobsAwayError("the disk of blobs/ is full", "Make room under the home folder") from error
        raise BlobsAwayError(
            f"blobs/ cannot be used ({error.strerror})", "Let the server's user read and write it, and check its disk"
        ) from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

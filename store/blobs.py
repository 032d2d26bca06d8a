"""Objects: sealed recordings and the like, in a folder or in an object store. Everything in here is ciphertext."""

import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

_KEY = re.compile(r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9._-]*)*")


class BlobMissingError(Exception):
    """There is no object of this name."""


class Blobs(Protocol):
    """Named objects. The methods block: call them from a thread (`asyncio.to_thread`).

    A name is lower-case letters, digits, "-", "_" and ".", in parts divided by "/".
    """

    def put_file(self, name: str, source: Path) -> int:
        """Keep a copy of the file under this name, whole or not at all, replacing what was there; its bytes."""

    def put(self, name: str, content: bytes) -> int:
        """The same for content in memory."""

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`, fewer at the end. Raises `BlobMissingError`."""

    def size(self, name: str) -> int:
        """Bytes. Raises `BlobMissingError`."""

    def delete(self, name: str) -> bool:
        """Remove the object; False when there was none."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that begin so, in order."""


class FolderBlobs:
    """Objects as files under one folder, which only its owner may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put_file(self, name: str, source: Path) -> int:
        """See `Blobs`. On return the object has reached the disk."""
        with source.open("rb") as original:
            return self._keep(name, original)

    def put(self, name: str, content: bytes) -> int:
        """See `Blobs`. On return the object has reached the disk."""
        return self._keep(name, io.BytesIO(content))

    def _keep(self, name: str, original: BinaryIO) -> int:
        target = self._path(name)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
                size = copy.tell()
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return size

    def read_at(self, name: str, offset: int, count: int) -> bytes:
        """See `Blobs`."""
        try:
            handle = os.open(self._path(name), os.O_RDONLY)
        except FileNotFoundError as error:
            raise BlobMissingError(name) from error
        try:
            return os.pread(handle, count, offset)
        finally:
            os.close(handle)

    def size(self, name: str) -> int:
        """See `Blobs`."""
        try:
            return self._path(name).stat().st_size
        except FileNotFoundError as error:
            raise BlobMissingError(name) from error

    def delete(self, name: str) -> bool:
        """See `Blobs`."""
        try:
            self._path(name).unlink()
        except FileNotFoundError:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[str]:
        """See `Blobs`."""
        names = (
            path.relative_to(self._folder).as_posix()
            for path in self._folder.rglob("*")
            if path.is_file() and not path.name.startswith(".")
        )
        return iter(sorted(name for name in names if name.startswith(prefix)))

    def _path(self, name: str) -> Path:
        if not _KEY.fullmatch(name):
            raise ValueError("a name of an object has lower-case parts divided by slashes")
        return self._folder / name

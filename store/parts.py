"""One file of a backup: a tar archive inside age encryption, written and read as a stream.

`age -d -i KEY FILE | tar t` shows what is in it. What is compressed is a gzip stream between the two.
"""

import gzip
import hashlib
import io
import os
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, Final, cast

import msgspec
import pyrage

_GZIP_LEVEL: Final = 3
_READ: Final = 1 << 20


class PartError(Exception):
    """A part of a backup cannot be written or read; says why and what to do."""


class PartFile(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file, as the backup's list names it."""

    size: int
    """Bytes."""
    sha256: str


class _BrokenOffError(Exception):
    """The archive ends, or is something else, where it must not."""


class Member:
    """Something in a part, to be read before the next one is asked for."""

    def __init__(self, name: str, size: int, content: IO[bytes]) -> None:
        self.name = name
        self.size = size
        self._content = content

    def pieces(self) -> Iterator[bytes]:
        """Its content, a megabyte at a time."""
        left = self.size
        while left:
            with _broken_off():
                piece = self._content.read(min(left, _READ))
            if not piece:
                raise _BrokenOffError
            left -= len(piece)
            yield piece

    def whole(self) -> bytes:
        """Its content at once."""
        return b"".join(self.pieces())


def as_recipients(texts: list[str]) -> list[pyrage.x25519.Recipient]:
    """Public keys of age, such as `age1…`.

    Raises:
        PartError: One of them is none.
    """
    try:
        return [pyrage.x25519.Recipient.from_str(text.strip()) for text in texts]
    except pyrage.RecipientError:
        raise PartError("That is no public key of age. It begins with age1; see: aitelier backup key") from None


def as_identities(text: str) -> list[pyrage.x25519.Identity]:
    """Private keys of age, from the lines of a key file.

    Raises:
        PartError: There is none in it.
    """
    lines = (line.strip() for line in text.splitlines())
    try:
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise PartError("The file holds no private key of age. Give the one that belongs to the backup's recipient")
    return found


class PartWriter:
    """Takes members; see `writing`."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def add(self, name: str, content: bytes) -> None:
        """Something in memory."""
        self.add_stream(name, len(content), io.BytesIO(content))

    def add_stream(self, name: str, size: int, content: BinaryIO) -> None:
        """Something of known size, read piece by piece."""
        member = tarfile.TarInfo(name)
        member.size = size
        self._archive.addfile(member, content)


@contextmanager
def writing(
    path: Path, recipients: list[pyrage.x25519.Recipient], *, compressed: bool, done: Callable[[PartFile], None]
) -> Iterator[PartWriter]:
    """A new file; `done` is told of it once it has reached the disk.

    Raises:
        PartError: It cannot be written.
    """
    with ExitStack() as opened:
        target = _Hashed(opened.enter_context(os.fdopen(os.open(path, _NEW, 0o600), "wb", buffering=0)))
        with _other_side(lambda source: pyrage.encrypt_io(source, target, recipients), towards=True) as (pipe, trouble):
            try:
                with ExitStack() as layers:
                    inner: IO[bytes] = pipe
                    if compressed:
                        packed = gzip.GzipFile("", "wb", _GZIP_LEVEL, pipe, mtime=0)
                        inner = layers.enter_context(cast("AbstractContextManager[IO[bytes]]", packed))
                    archive = layers.enter_context(tarfile.open(fileobj=inner, mode="w|", format=tarfile.PAX_FORMAT))
                    yield PartWriter(archive)
            except BrokenPipeError:
                pass  # the other side has ended, and says why
        if trouble or target.error is not None:
            why = target.error.strerror if target.error is not None else "age refuses"
            raise PartError(f"{path.name} cannot be written ({why}). Make room, or name another folder")
        os.fsync(target.file.fileno())
    done(PartFile(size=target.size, sha256=target.sha256.hexdigest()))


_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class _Hashed:
    """A file that knows what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.error: OSError | None = None
        """age only says that it could not write."""

    def write(self, content: bytes) -> int:
        left = memoryview(content)
        try:
            while left:
                left = left[self.file.write(left) :]
        except OSError as error:
            self.error = error
            raise
        self.sha256.update(content)
        self.size += len(content)
        return len(content)

    def flush(self) -> None:
        """Nothing waits here."""


def check(path: Path, expected: PartFile) -> None:
    """Compare a file with what the backup's list says of it.

    Raises:
        PartError: It is not the same.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_READ):
                digest.update(piece)
    except OSError as error:
        raise PartError(f"{path} cannot be read ({error.strerror})") from None
    if digest.hexdigest() != expected.sha256:
        raise PartError(f"{path} is not what was written. Take another backup")


@contextmanager
def reading(path: Path, identities: list[pyrage.x25519.Identity], *, compressed: bool) -> Iterator[Iterator[Member]]:
    """The members of a file, in their order.

    Raises:
        PartError: It cannot be opened with these keys, or is damaged.
    """
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))
        pipe, trouble = opened.enter_context(
            _other_side(lambda target: pyrage.decrypt_io(file, target, identities), towards=False)
        )
        try:
            with _broken_off():
                archive = opened.enter_context(tarfile.open(fileobj=pipe, mode="r|gz" if compressed else "r|"))
            yield _members(archive)
        except _BrokenOffError:
            opened.close()  # only now it is known whether the other side had trouble
            if trouble:
                raise PartError(f"{path.name} cannot be opened with this private key") from None
            raise PartError(f"{path.name} is damaged. Take another backup") from None


def _members(archive: tarfile.TarFile) -> Iterator[Member]:
    while True:
        with _broken_off():
            member = archive.next()
        if member is None:
            return
        content = archive.extractfile(member)
        if content is not None:
            yield Member(member.name, member.size, content)


@contextmanager
def _broken_off() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise _BrokenOffError from error


@contextmanager
def _other_side(
    work: Callable[[IO[bytes]], object], *, towards: bool
) -> Iterator[tuple[IO[bytes], list[BaseException]]]:
    """A thread at the other end of a pipe: it reads what we write (`towards`), or writes what we read.

    Yields our end, and a list in which the thread's trouble is found once the block has ended.
    """
    read_end, write_end = os.pipe()
    ours, theirs = (write_end, read_end) if towards else (read_end, write_end)
    trouble: list[BaseException] = []

    def run() -> None:
        try:
            with os.fdopen(theirs, "rb" if towards else "wb") as pipe:
                work(pipe)
        except BaseException as error:  # noqa: BLE001 - told to the one who waits for us
            trouble.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        with suppress(BrokenPipeError), os.fdopen(ours, "wb" if towards else "rb") as pipe:
            yield pipe, trouble
    finally:
        thread.join()

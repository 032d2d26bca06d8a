"""Backups: everything the server keeps, sealed for a key that is not on the machine.

A backup is a folder with a list of its files and three of them: the database, the objects, and, apart from both, the
wrapped keys. Those live for a short time only: when they are gone from all backups, so is every call whose key was
deleted meanwhile. What was begun and not finished has no list, is no backup, and is removed by the next one.
"""

import contextlib
import fcntl
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hmac import compare_digest, digest
from pathlib import Path
from typing import IO, Final

import msgspec
import pyrage

from policies.audit_tags import Actor, Tag
from policies.retention import BACKUP_DAYS
from store.audit.log import record
from store.blobs import BlobMissingError, Blobs
from store.engine import Database
from store.parts import PartFile, PartWriter, writing
from store.roles import urls_of
from store.sealing import derive
from store.settings import StoreSettings
from store.snapshot import KEYS, Snapshot
from store.visits import all_tenant_ids

DATABASE_PART: Final = "database.age"
KEYS_PART: Final = "keys.age"
OBJECTS_PART: Final = "objects.age"
LEDGER: Final = "ledger/"
"""Objects of the erasure ledger. They come first in their part, so that they are found without reading the rest."""
_RECORDINGS: Final = "recordings/"
_PASSING: Final = ("probe/", "copies/")
"""What is there for a moment, or a day, and would outlive its erasure in a backup."""
_LIST: Final = "backup.json"
_DRAFT: Final = ".draft"
_STAMP: Final = "%Y-%m-%dT%H-%M-%SZ"
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
_PIECE_BYTES: Final = 4 << 20

Progress = Callable[[str, int], None]
"""Told again and again what is being done, and how many of it are done."""


class BackupError(Exception):
    """A backup cannot be made, found or used; says why and what to do."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    version: int = 1
    made_at: datetime
    revision: str
    """Of the database's schema."""
    rows: dict[str, int]
    """By table."""
    objects: int
    missing: int
    """Objects that rows name and that were not there: erased meanwhile, or lost."""
    parts: dict[str, PartFile]
    """By file name."""


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    contents: msgspec.Raw
    mac: str
    """HMAC-SHA-256 of `contents`, byte by byte, under a key of the master key: no stranger's backup is restored."""


@dataclass(frozen=True, slots=True)
class Backup:
    """One finished backup."""

    folder: Path
    contents: Contents

    @property
    def has_keys(self) -> bool:
        """Whether its wrapped keys are still there; without them no call in it can be read."""
        return (self.folder / KEYS_PART).exists()


async def note_backup(database: Database, *, actor: Actor) -> None:
    """Write into every tenant's audit log that all of its data is about to be copied. Raises `StoreAwayError`."""
    async with database.platform_jobs() as platform:
        tenant_ids = await all_tenant_ids(platform)
    for tenant_id in tenant_ids:
        async with database.tenant(tenant_id) as store:
            await record(store, actor, Tag.BACKUP_MADE)


def make_backup(
    settings: StoreSettings,
    blobs: Blobs,
    target: Path,
    recipients: list[pyrage.x25519.Recipient],
    *,
    now: datetime,
    progress: Progress,
) -> Backup:
    """Copy everything into a new folder in `target`, while the server goes on. Blocks; `note_backup` comes before.

    Raises:
        BackupError: Another backup is being made there.
        SnapshotError: The database is away, or not all of it could be seen.
        PartError: A file cannot be written.
        BlobsAwayError: Objects are away.
    """
    with _alone_in(target):
        folder, draft = target / now.strftime(_STAMP), target / _DRAFT
        if folder.exists():
            raise BackupError(f"{folder} is there already. Try again in a second")
        draft.mkdir(mode=0o700)
        parts: dict[str, PartFile] = {}

        def part(name: str, *, compressed: bool) -> contextlib.AbstractContextManager[PartWriter]:
            return writing(
                draft / name, recipients, compressed=compressed, done=lambda kept: parts.__setitem__(name, kept)
            )

        with tempfile.TemporaryFile("w+", encoding="utf-8") as recordings:
            with Snapshot.opened(urls_of(settings).backup) as snapshot:
                revision, rows = snapshot.revision, {}
                with part(KEYS_PART, compressed=True) as keys, part(DATABASE_PART, compressed=True) as database:
                    for number, table in enumerate(snapshot.tables):
                        progress("tables", number)
                        rows[str(table)] = snapshot.copy(table, keys if table.schema == KEYS else database)
                    snapshot.copy_sequences(database)
                recordings.writelines(f"{name}\n" for name in snapshot.recordings())
            recordings.seek(0)
            with part(OBJECTS_PART, compressed=False) as objects:
                names = _object_names(blobs, (line.rstrip("\n") for line in recordings))
                kept, missing = _copy_objects(blobs, names, objects, progress)
        contents = Contents(made_at=now, revision=revision, rows=rows, objects=kept, missing=missing, parts=parts)
        _sign(draft / _LIST, contents, settings.master_key)
        draft.rename(folder)
        _sync(target)
        return Backup(folder, contents)


def _object_names(blobs: Blobs, recordings: Iterable[str]) -> Iterator[str]:
    """What belongs to the snapshot: the ledger first, then recordings that its rows name, then all other kinds."""
    yield from blobs.list(LEDGER)
    yield from recordings
    yield from (name for name in blobs.list() if not name.startswith((LEDGER, _RECORDINGS, *_PASSING)))


def _copy_objects(blobs: Blobs, names: Iterable[str], part: PartWriter, progress: Progress) -> tuple[int, int]:
    kept = missing = 0
    for name in names:
        progress("objects", kept)
        try:
            size = blobs.size(name)
        except BlobMissingError:
            missing += 1
        else:
            part.add_stream(name, size, io.BufferedReader(_Object(blobs, name, size), _PIECE_BYTES))
            kept += 1
    return kept, missing


class _Object(io.RawIOBase):
    """An object as a file. What is erased while it is read ends in zeros: it will not be missed."""

    def __init__(self, blobs: Blobs, name: str, size: int) -> None:
        self._blobs = blobs
        self._name = name
        self._left = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what BufferedReader hands over
        count = min(len(buffer), self._left)
        try:
            piece = self._blobs.read_at(self._name, self._at, count)
        except BlobMissingError:
            piece = b""
        buffer[:count] = piece + bytes(count - len(piece))
        self._at += count
        self._left -= count
        return count


def prune(target: Path, *, keep_days: int, now: datetime) -> int:
    """Remove wrapped keys that are over their time, and backups older than `keep_days` but for the newest; how many.

    Raises:
        BackupError: Another backup is being made there.
    """
    with _alone_in(target):
        folders = finished_backups(target)
        removed = 0
        for folder in folders:
            age = now - datetime.strptime(folder.name, _STAMP).replace(tzinfo=UTC)
            if age >= timedelta(days=BACKUP_DAYS):
                (folder / KEYS_PART).unlink(missing_ok=True)
                _sync(folder)
            if age >= timedelta(days=keep_days) and folder != folders[-1]:
                # The list first: what has none is no backup, and is removed by the next run if this one is killed.
                (folder / _LIST).unlink()
                shutil.rmtree(folder)
                removed += 1
        return removed


def finished_backups(target: Path) -> tuple[Path, ...]:
    """The folders of the backups in a folder, oldest first; of one that was not finished there is none."""
    return tuple(
        sorted(path for path in target.iterdir() if _NAME.fullmatch(path.name) and (path / _LIST).exists())
        if target.is_dir()
        else ()
    )


def read_backup(folder: Path, *master_keys: bytes) -> Backup:
    """A finished backup that was made under one of these master keys.

    Raises:
        BackupError: It is none, or was made under another master key.
    """
    try:
        signed = msgspec.json.decode((folder / _LIST).read_bytes(), type=_Signed)
        contents = msgspec.json.decode(signed.contents, type=Contents)
    except (OSError, msgspec.MsgspecError):
        raise BackupError(f"{folder} is no finished backup. Name the folder that holds {_LIST}") from None
    if not any(compare_digest(_mac(master_key, bytes(signed.contents)), signed.mac) for master_key in master_keys):
        raise BackupError(
            f"{folder} was made under another master key, or its list was altered. "
            "Set AITELIER_MASTER_KEY to the one of that time, or AITELIER_MASTER_KEY_OLD if there is a newer one"
        )
    return Backup(folder, contents)


def _sign(path: Path, contents: Contents, master_key: bytes) -> None:
    text = msgspec.json.encode(contents)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(_Signed(contents=msgspec.Raw(text), mac=_mac(master_key, text))))
        file.flush()
        os.fsync(file.fileno())
    _sync(path.parent)


def _mac(master_key: bytes, text: bytes) -> str:
    return digest(derive(master_key, "aitelier backup list v1"), text, "sha256").hex()


@contextlib.contextmanager
def _alone_in(target: Path) -> Iterator[None]:
    """Keep other backups out of a folder, and clear away what a killed one left there.

    Raises:
        BackupError: Somebody is at work there, or it cannot be used.
    """
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock: IO[bytes] = (target / ".lock").open("wb")
    except OSError as error:
        raise BackupError(f"{target} cannot be used ({error.strerror}). Name a folder this user may write") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"Another backup is being made in {target}. Wait for its end") from None
        shutil.rmtree(target / _DRAFT, ignore_errors=True)
        for folder in target.iterdir():
            if _NAME.fullmatch(folder.name) and not (folder / _LIST).exists():
                shutil.rmtree(folder, ignore_errors=True)
        yield


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def now_utc() -> datetime:
    """To the second, as names of backups have it."""
    return datetime.now(UTC).replace(microsecond=0)

"""A ZIP file written piece by piece, whose last entry lists every other one with its SHA-256.

Nothing but the piece at hand is in memory, so that hours of sound cost no more than seconds. It goes to a file, which
appears under its name only once it is whole, or piece by piece to somebody who takes it from here.
"""

import asyncio
import hashlib
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import msgspec

MANIFEST: Final = "manifest.json"
_ALREADY_COMPACT: Final = (".wav",)
_FILE_MODE: Final = 0o600 << 16  # where ZIP keeps Unix rights (APPNOTE 4.4.15)


Send = Callable[[bytes], Awaitable[object]]
"""Takes the next piece of a package."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in the package."""

    name: str
    bytes: int
    sha256: str


class Package:
    """An open package. Made by `open_package` and `send_package`."""

    def __init__(self, archive: zipfile.ZipFile, made_at: datetime, hand_on: Callable[[], Awaitable[None]]) -> None:
        """`hand_on` is called whenever something was written."""
        self._archive = archive
        self._made_at = made_at
        self._hand_on = hand_on
        self.entries: list[Entry] = []

    async def add(self, name: str, content: bytes) -> Entry:
        """A file whose content is at hand."""

        async def whole() -> AsyncIterator[bytes]:
            yield content

        return await self.stream(name, whole())

    async def add_json(self, name: str, value: object) -> Entry:
        """A value as indented JSON."""
        return await self.add(name, msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    async def stream(self, name: str, pieces: AsyncIterator[bytes]) -> Entry:
        """A file whose content comes piece by piece. What went wrong in `pieces` ends the whole package."""
        digest, size = hashlib.sha256(), 0
        file = await asyncio.to_thread(self._open, name)
        try:
            async for piece in pieces:
                await asyncio.to_thread(file.write, piece)
                await self._hand_on()
                digest.update(piece)
                size += len(piece)
        finally:
            await asyncio.to_thread(file.close)
        await self._hand_on()
        entry = Entry(name, size, digest.hexdigest())
        self.entries.append(entry)
        return entry

    async def finish(self, about: Mapping[str, object]) -> None:
        """Write the manifest: `about`, and every file with its hash."""
        await self.add_json(MANIFEST, {**about, "files": tuple(self.entries)})

    def _open(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, self._made_at.timetuple()[:6])
        info.external_attr = _FILE_MODE
        info.compress_type = zipfile.ZIP_STORED if name.endswith(_ALREADY_COMPACT) else zipfile.ZIP_DEFLATED
        return self._archive.open(info, "w", force_zip64=True)


@asynccontextmanager
async def open_package(target: Path) -> AsyncIterator[Package]:
    """A package that becomes `target`, readable by its owner only, unless an error ends it: then nothing is left.

    Raises:
        OSError: The file cannot be written there.
    """
    draft = target.with_name(target.name + ".partial")
    archive = await asyncio.to_thread(_new_archive, draft)
    try:
        yield Package(archive, datetime.now(UTC), _kept)
        await asyncio.to_thread(archive.close)
        await asyncio.to_thread(draft.replace, target)
    finally:
        await asyncio.to_thread(_discard, archive, draft)


@asynccontextmanager
async def send_package(send: Send) -> AsyncIterator[Package]:
    """A package that is handed to `send` while it is written, and never lies on a disk.

    Where an error ends it, the list at its end is missing, so that no program takes it for a whole one.
    """
    passing = _Passing()
    archive = zipfile.ZipFile(passing, "w")  # type: ignore[call-overload]  # wants no more than write and flush

    async def hand_on() -> None:
        if piece := passing.take():
            await send(piece)

    yield Package(archive, datetime.now(UTC), hand_on)
    archive.close()
    await hand_on()


class _Passing:
    """What a ZIP file is written to: holds it until it is taken. There is no way back in it (APPNOTE 4.3.9)."""

    def __init__(self) -> None:
        self._held = bytearray()

    def write(self, content: bytes) -> int:
        self._held += content
        return len(content)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def take(self) -> bytes:
        content = bytes(self._held)
        self._held.clear()
        return content


async def _kept() -> None:
    """What goes to a file needs no handing on."""


def _new_archive(draft: Path) -> zipfile.ZipFile:
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    return zipfile.ZipFile(draft, "w")


def _discard(archive: zipfile.ZipFile, draft: Path) -> None:
    draft.unlink(missing_ok=True)  # once it is whole, it has another name
    archive.close()

"""A ZIP file is written piece by piece, appears whole or not at all, and says what is in it."""

import hashlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.dsar.package import MANIFEST, open_package, send_package

PIECE = bytes(range(256)) * 512  # 128 KiB


async def _pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


async def test_the_manifest_lists_every_other_file(tmp_path: Path) -> None:
    """Other people's ZIP reader finds each file as it was given, and its hash in the manifest."""
    target = tmp_path / "copy.zip"
    async with open_package(target) as package:
        await package.add("a.txt", b"one")
        await package.stream("sound.wav", _pieces(3))
        await package.finish({"number": "+49301"})
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert archive.read("sound.wav") == PIECE * 3
        manifest = json.loads(archive.read(MANIFEST))
        assert manifest["number"] == "+49301"
        for entry in manifest["files"]:
            content = archive.read(entry["name"])
            assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert {entry["name"] for entry in manifest["files"]} == set(archive.namelist()) - {MANIFEST}
    assert target.stat().st_mode & 0o777 == 0o600


async def test_an_hour_of_sound_costs_no_memory(tmp_path: Path) -> None:
    """115 MB go through with less than 8 MB in memory."""
    tracemalloc.start()
    try:
        async with open_package(tmp_path / "copy.zip") as package:
            await package.stream("sound.wav", _pieces(115_000_000 // len(PIECE)))
            await package.finish({})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
    assert (tmp_path / "copy.zip").stat().st_size > 110_000_000


async def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    """What goes wrong on the way ends the package: neither it nor a draft is left, and an older one stays as it was."""
    target = tmp_path / "copy.zip"
    target.write_bytes(b"older")

    async def broken() -> AsyncIterator[bytes]:
        yield PIECE
        raise ConnectionError

    async def fail() -> None:
        async with open_package(target) as package:
            await package.add("a.txt", b"one")
            await package.stream("sound.wav", broken())

    with pytest.raises(ConnectionError):
        await fail()
    assert _files(tmp_path) == {target.name: b"older"}


async def test_what_is_sent_is_whole_and_lies_nowhere() -> None:
    """The pieces joined are a ZIP file with every entry; each was handed on before the next was asked for."""
    sent: list[bytes] = []

    async def send(piece: bytes) -> None:
        sent.append(piece)

    async with send_package(send) as package:
        await package.stream("sound.wav", _pieces(50))
        assert sum(map(len, sent)) >= 50 * len(PIECE)
        await package.add("a.txt", b"one")
        await package.finish({})
    assert max(map(len, sent)) < 2 * len(PIECE)
    with zipfile.ZipFile(io.BytesIO(b"".join(sent))) as archive:
        assert archive.testzip() is None
        assert archive.read("sound.wav") == PIECE * 50
        assert set(archive.namelist()) == {"sound.wav", "a.txt", MANIFEST}


async def test_what_breaks_off_is_no_package() -> None:
    """Without its end, no program takes what was sent for a ZIP file."""
    sent: list[bytes] = []

    async def send(piece: bytes) -> None:
        sent.append(piece)

    async def broken() -> AsyncIterator[bytes]:
        yield PIECE
        raise ConnectionError

    async def fail() -> None:
        async with send_package(send) as package:
            await package.add("a.txt", b"one")
            await package.stream("sound.wav", broken())

    with pytest.raises(ConnectionError):
        await fail()
    assert not zipfile.is_zipfile(io.BytesIO(b"".join(sent)))

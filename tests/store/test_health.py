"""What cannot be kept now is named, with what to do about it; and whoever asks is answered soon."""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from store import health, postgres
from store.blobs import FolderBlobs
from store.engine import Database
from store.health import Health
from store.settings import StoreSettings
from tests.database import address
from tests.store.disks import small_disk


@pytest.fixture(autouse=True)
def _always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_GOOD_FOR_S", 0.0)


@pytest.fixture
def blobs(store_settings: StoreSettings) -> FolderBlobs:
    return FolderBlobs(store_settings.blobs)


async def test_all_is_well(database: Database, blobs: FolderBlobs, tmp_path: Path) -> None:
    """No problem is made up."""
    assert await Health(database, blobs, (tmp_path,), room_bytes=1).problems() == ()


async def test_a_database_that_is_away(store_settings: StoreSettings, blobs: FolderBlobs, tmp_path: Path) -> None:
    """It is named, and nothing else is."""
    away = await Database.open(replace(store_settings, database_url="postgresql://nobody@127.0.0.1:1/none"))
    (problem,) = await Health(away, blobs, (tmp_path,), room_bytes=1).problems()
    await away.close()
    assert (problem.part, problem.problem, problem.calls_go_on) == ("database", "cannot be reached", False)
    assert "AITELIER_DATABASE_URL" in problem.remedy


async def test_a_full_disk_is_named_once(database: Database, tmp_path: Path) -> None:
    """Of two folders on it; and it is well again when there is room."""
    with small_disk(tmp_path / "disk", "1m") as disk:
        (disk / "spool").mkdir()
        looking = Health(database, FolderBlobs(tmp_path / "blobs"), (disk, disk / "spool"), room_bytes=500_000)
        assert await looking.problems() == ()
        (disk / "ballast").write_bytes(bytes(900_000))
        (problem,) = await looking.problems()
        assert (problem.part, problem.calls_go_on) == ("disk", False)
        assert problem.problem.startswith("is full: 0 MB are left under ")
        (disk / "ballast").unlink()
        assert await looking.problems() == ()


class _Hanging(FolderBlobs):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.let_go = threading.Event()
        self.looks = 0

    def check(self) -> None:
        self.looks += 1
        self.let_go.wait(20)


async def test_what_hangs_is_said_to_hang(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer comes in time, no second look joins the one that hangs, and calls go on without objects."""
    monkeypatch.setattr(health, "_PATIENCE_S", 0.2)
    hanging = _Hanging(tmp_path / "blobs")
    looking = Health(database, hanging, (tmp_path,), room_bytes=1)
    for _ in range(3):
        began = time.monotonic()
        (problem,) = await looking.problems()
        assert time.monotonic() - began < 2.0
        assert (problem.part, problem.calls_go_on) == ("objects", True)
        assert "does not answer within" in problem.problem
    assert hanging.looks == 1
    hanging.let_go.set()
    async with asyncio.timeout(5):
        while await looking.problems():
            pass


@contextmanager
def _standing_still(processes: Sequence[int]) -> Iterator[None]:
    for process in processes:
        os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            os.kill(process, signal.SIGCONT)


async def test_a_database_that_hangs_is_well_when_it_goes_on(
    store_settings: StoreSettings, database: Database, database_home: Path, blobs: FolderBlobs, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip  # fixtures, close together
    """Its backends stand still, as on a machine that is swapping or a disk that does not answer."""
    monkeypatch.setattr(health, "_PATIENCE_S", 0.3)
    looking = Health(database, blobs, (tmp_path,), room_bytes=1)
    assert await looking.problems() == ()
    assert store_settings.database_url
    name = psycopg.conninfo.conninfo_to_dict(store_settings.database_url)["dbname"]
    with psycopg.connect(address(database_home, postgres.SUPERUSER)) as connection:
        backends = [
            pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", (name,))
        ]
    with _standing_still(backends):
        (problem,) = await looking.problems()
        assert (problem.part, problem.problem) == ("database", "does not answer within 0.3 s")
    async with asyncio.timeout(5):
        while await looking.problems():
            pass

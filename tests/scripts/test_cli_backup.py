"""Backing up a running server, and bringing it back on another machine, from the command line."""

import asyncio
import base64
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import Result
from typer.testing import CliRunner

from scripts.cli import app
from scripts.cli_run import EXPECTED
from scripts.master_key import master_key_of
from store.backup import finished_backups
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from tests.database import MASTER_KEY, Shop, make_shop, open_folder
from tests.scripts.conftest import ROOT, Server, until, watched_path
from tests.store.erasure.world import make_call
from tests.store.restoring import NewHome, back_up

KILLED_BETWEEN_THE_STEPS = """
import os, sys
from scripts import cli, cli_backup
async def finish(*_): os.kill(os.getpid(), 9)
cli_backup._finish = finish
cli.main()
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


async def _two_calls(home: Path) -> list[UUID]:
    """Of a business on this server."""
    key = base64.b64decode(master_key_of(home).reveal())
    database = await Database.open(StoreSettings(None, home, key))
    shop = await make_shop(database, "Bakery", "+493023125001")
    blobs = FolderBlobs(home / "blobs")
    at = datetime.now(UTC) - timedelta(days=20)
    calls = [(await make_call(database, blobs, shop, at)).id for _ in range(2)]
    await database.close()
    return calls


def _run(server: Server, *arguments: str, home: Path | None = None) -> Result:
    """In this process: a new one costs seconds of imports each time."""
    environment = {**server.environment, "AITELIER_HOME": str(home or server.home)}
    return CliRunner().invoke(app, arguments, env=environment)


def _said(server: Server, *arguments: str, home: Path | None = None) -> str:
    done = _run(server, *arguments, home=home)
    assert done.exception is None, done.exception
    return " ".join(done.stdout.split())


def _refused(server: Server, *arguments: str, home: Path | None = None) -> str:
    done = _run(server, *arguments, home=home)
    assert isinstance(done.exception, EXPECTED), done.exception
    return str(done.exception)


def _killed(server: Server, *arguments: str, home: Path) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [sys.executable, "-P", "-c", KILLED_BETWEEN_THE_STEPS, *arguments],
        cwd=ROOT,
        env={**server.environment, "PYTHONPATH": watched_path(), "AITELIER_HOME": str(home)},
        check=False,
        timeout=90,
    )


@pytest.mark.long
@pytest.mark.timeout(300)
def test_another_machine_takes_over(folder: Path) -> None:
    """Backed up while it works; restored elsewhere; no start before what was erased since is erased again."""
    key, backups, new = folder / "age.key", folder / "backups", folder / "new"
    server = Server(folder / "home")
    try:
        until(server.ready, 90)
        erased, kept = asyncio.run(_two_calls(server.home))
        public = _said(server, "backup", "key", str(key))
        assert public.startswith("age1")
        assert key.stat().st_mode & 0o077 == 0
        assert "is not there yet" in _refused(server, "backup", "key", str(key))
        assert "begins with age1" in _refused(server, "backup", "make", str(backups), "--to", "ssh-rsa AAAA")
        assert "2 objects" in _said(server, "backup", "make", str(backups), "--to", public)
        (backup,) = finished_backups(backups)
        assert backup.name in _said(server, "backup", "list", str(backups))
        assert "0 backups were removed; 1 are left" in _said(server, "backup", "prune", str(backups))
        assert "backup:made" in _said(server, "audit", "list", "--tenant", "Bakery")
        _said(server, "erase", str(erased), "--tenant", "Bakery", "--yes")
        with_key = (str(backup), "--key", str(key))
        assert "a server is running" in _refused(server, "restore", *with_key)
    finally:
        server.stop(within_s=60)

    assert "--replace" in _refused(server, "restore", *with_key), "the old home is full"
    assert "The master key is missing" in _refused(server, "restore", *with_key, home=new)
    new.mkdir()
    shutil.copy(server.home / "master.key", new)
    assert "--ledger-lost" in _refused(server, "restore", *with_key, home=new)
    shutil.copytree(server.home / "blobs", new / "blobs", dirs_exist_ok=True)  # as a bucket would have outlived it
    assert _killed(server, "restore", *with_key, home=new).returncode == -signal.SIGKILL

    settings = {name: text for name, text in server.environment.items() if name != "AITELIER_HOME"}
    too_early = Server(new, settings)
    assert too_early.process.wait(60) != 0
    assert "aitelier restore --finish" in too_early.text()
    finished = " ".join(_said(server, "restore", "--finish", home=new).split())
    assert "Erased again: 1 calls" in finished
    assert "API keys that were revoked, members who were removed, secrets that were removed" in finished
    assert "Nothing was restored here" in _refused(server, "restore", "--finish", home=new)

    restored = Server(new, settings)
    try:
        until(restored.ready, 90)
        listed = _said(server, "sessions", "--tenant", "Bakery", "--json", home=new)
        assert (str(kept) in listed, str(erased) in listed) == (True, False)
        assert "backup:restored" in _said(server, "audit", "list", "--tenant", "Bakery", home=new)
    finally:
        restored.stop(within_s=60)


async def test_a_half_restored_database_shows_nothing(
    store_settings: StoreSettings, bakery: Shop, new_home: NewHome, tmp_path: Path
) -> None:
    """No command reads what may have been erased since, before the second step is done."""
    new_home.load(back_up(store_settings, tmp_path / "backups"), ledger_lost=True)
    assert new_home.settings.database_url
    environment = {
        "AITELIER_HOME": str(new_home.settings.home),
        "AITELIER_DATABASE_URL": new_home.settings.database_url,
        "AITELIER_MASTER_KEY": MASTER_KEY.hex(),
    }

    def sessions() -> Result:
        return CliRunner().invoke(app, ["sessions", "--json"], env=environment)

    refused = await asyncio.to_thread(sessions)
    assert "restore --finish" in str(refused.exception)
    finished = await asyncio.to_thread(CliRunner().invoke, app, ["restore", "--finish"], env=environment)
    assert finished.exception is None, finished.exception
    assert (await asyncio.to_thread(sessions)).exception is None

"""Backing up and restoring are killed at every step: what is left is nothing or all, and the next try ends well."""

import asyncio
import os
import shutil
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import restore
from store.backup import finished_backups, make_backup, read_backup
from store.blobs import FolderBlobs
from store.engine import Database
from store.loading import pending
from store.restore import Consents, load_backup
from store.settings import StoreSettings
from tests.database import MASTER_KEY, Shop
from tests.store.erasure.world import everything, make_call, objects, where
from tests.store.restoring import KEY, NOW, NewHome, back_up, erase

STEPS_OF_A_BACKUP = [("tables", 0), ("tables", 12), ("objects", 0), ("objects", 1)]
STEPS_OF_A_RESTORE = [("checks", 0), ("objects", 0), ("objects", 1), ("tables", 0), ("tables", 3), ("tables", 25)]


def killed_in(work: Callable[[], object]) -> None:
    """Do the work in a process that kills itself in the middle of it."""
    pid = os.fork()
    if pid == 0:
        # In a thread of its own, which has no event loop.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join()
        os._exit(3)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"it ended by itself with {os.waitstatus_to_exitcode(status)}"
    assert os.WTERMSIG(status) == signal.SIGKILL


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_at(what: str, done: int) -> Callable[[str, int], None]:
    def progress(*now: object) -> None:
        if now == (what, done):
            die()

    return progress


async def test_a_backup_is_killed(
    store_settings: StoreSettings, database: Database, bakery: Shop, tmp_path: Path
) -> None:
    """Wherever that is, there is no backup then, and the next one is whole and leaves nothing of it."""
    blobs, target = FolderBlobs(store_settings.blobs), tmp_path / "backups"
    for _ in range(2):
        await make_call(database, blobs, bakery, NOW)
    for what, done in STEPS_OF_A_BACKUP:
        killed_in(
            lambda what=what, done=done: make_backup(  # type: ignore[misc]
                store_settings, blobs, target, [KEY.to_public()], now=NOW, progress=dying_at(what, done)
            )
        )
        assert finished_backups(target) == ()
        assert (target / ".draft").exists()
    made = back_up(store_settings, target)
    assert read_backup(made.folder, MASTER_KEY).contents.objects == 2
    assert sorted(path.name for path in target.iterdir()) == [".lock", made.folder.name]


async def test_a_restore_is_killed(
    store_settings: StoreSettings, database: Database, bakery: Shop, tmp_path: Path,
    new_home: NewHome, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip  # fixtures, close together
    """While it loads, the database stays empty; while it erases again, no server may start; then all is as it was."""
    blobs = FolderBlobs(store_settings.blobs)
    calls = [await make_call(database, blobs, bakery, NOW) for _ in range(2)]
    backup = back_up(store_settings, tmp_path / "backups")
    await erase(database, blobs, bakery, calls[0].id)
    shutil.copytree(store_settings.blobs, new_home.settings.blobs)
    for what, done in STEPS_OF_A_RESTORE:
        killed_in(
            lambda what=what, done=done: load_backup(  # type: ignore[misc]
                new_home.settings, new_home.blobs, backup, [KEY],
                later=None, consents=Consents(), progress=dying_at(what, done),
            )
        )  # fmt: skip  # one thing a line would be long
        assert pending(new_home.settings) is None
        assert list(everything(new_home.all_seeing)) == []
    new_home.load(backup)

    def finishing() -> Any:
        return asyncio.run(new_home.finish(backup))

    for name in ("replay", "_remove_strangers", "record", "let_servers_start"):
        with monkeypatch.context() as patch:
            patch.setattr(restore, name, die)
            killed_in(finishing)
        assert pending(new_home.settings) == backup.folder.name
    await new_home.finish(backup)
    assert pending(new_home.settings) is None
    assert where(new_home.all_seeing, calls[0].id) == {"public.erasure_ledger", "public.consent_proofs"}
    assert [name.rpartition("/")[2] for name in objects(new_home.blobs)] == [str(calls[1].id)]

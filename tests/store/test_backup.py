"""Backups: whole while the server works, sealed for one key, and no way for an erased call to come back."""

import shutil
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR, Tag
from store import conversation, jobs, postgres, sessions
from store.audit import log as audit
from store.backup import KEYS_PART, Backup, BackupError, finished_backups, make_backup, note_backup, prune, read_backup
from store.blobs import FolderBlobs
from store.engine import Database
from store.keys import KeyShreddedError
from store.loading import DatabaseTakenError, pending
from store.migrate import MigrationError, migrate
from store.parts import PartError, reading
from store.recordings import find
from store.restore import Consents, RestoreError, load_backup
from store.settings import StoreSettings
from store.snapshot import SnapshotError
from tests.database import MASTER_KEY, Shop, add_receptionist, address, connected
from tests.store.erasure.world import CALLER, PHRASE, everything, make_call, objects, where
from tests.store.restoring import KEY, NOW, NewHome, back_up, erase, quiet


@pytest.fixture
def all_seeing(store_settings: StoreSettings, database_home: Path) -> str:
    assert store_settings.database_url
    name = psycopg.conninfo.conninfo_to_dict(store_settings.database_url)["dbname"]
    return address(database_home, postgres.SUPERUSER, str(name))


def walls(url: str) -> list[Any]:
    """What keeps tenants apart and things in order, of every table."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT oid::regclass::text, relrowsecurity, relforcerowsecurity,"
            " (SELECT array_agg(tgname::text || tgenabled::text ORDER BY tgname) FROM pg_trigger"
            "  WHERE tgrelid = c.oid AND NOT tgisinternal),"
            " (SELECT array_agg(polname ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid)"
            " FROM pg_class c WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('public', 'keys', 'jobs')"
            " AND relname <> 'restore_pending' ORDER BY 1"
        ).fetchall()


async def test_a_backup_brings_everything_back(
    store_settings: StoreSettings, database: Database, bakery: Shop, florist: Shop, new_home: NewHome, all_seeing: str,
    tmp_path: Path,
) -> None:  # fmt: skip  # fixtures, close together
    """Every row and object of every tenant, sequences and walls too; no server starts before the second step."""
    blobs = FolderBlobs(store_settings.blobs)
    calls = [await make_call(database, blobs, shop, NOW) for shop in (bakery, florist, bakery)]
    async with database.tenant(bakery.tenant_id) as store:
        await add_receptionist(store, "Café", "+493023125009")
        job = await jobs.defer(store, "some_task", session_id=str(calls[0].id))
    await note_backup(database, actor=OPERATOR)
    backup = back_up(store_settings, tmp_path / "backups")
    before = sorted(everything(all_seeing))
    new_home.load(backup, ledger_lost=True)
    assert [row for row in sorted(everything(new_home.all_seeing)) if row[0] != "public.restore_pending"] == before
    assert walls(new_home.all_seeing) == walls(all_seeing)
    assert list(new_home.blobs.list()) == list(blobs.list())
    with pytest.raises(MigrationError, match="restore --finish"):
        await migrate(new_home.settings)
    assert pending(new_home.settings) == backup.folder.name
    await new_home.finish(backup)
    await migrate(new_home.settings)
    assert pending(new_home.settings) is None
    async with new_home.opened() as restored, restored.tenant(bakery.tenant_id) as store:
        assert {turn.text for turn in await conversation.turns_of(store, calls[0].id, reader=READS_ALL)} == {PHRASE}
        assert await jobs.defer(store, "some_task") > job
        acts = [entry.tag for entry in await audit.entries(store)]
    assert acts[:2] == [Tag.BACKUP_RESTORED, Tag.BACKUP_MADE]


async def test_nothing_personal_can_be_read_in_a_backup(
    store_settings: StoreSettings, database: Database, bakery: Shop, tmp_path: Path
) -> None:
    """Not by a stranger, and not by who has the backup's key but not the master key."""
    await make_call(database, FolderBlobs(store_settings.blobs), bakery, NOW)
    backup = back_up(store_settings, tmp_path / "backups")
    for path in backup.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0
        for secret in (PHRASE, CALLER, bakery.called):
            assert secret.encode() not in path.read_bytes()
    inside = b""
    for name in backup.contents.parts:
        with reading(backup.folder / name, [KEY], compressed=name != "objects.age") as members:
            inside += b"".join(member.whole() for member in members)
    assert bakery.called.encode() in inside, "numbers of the business are not sealed"
    for secret in (PHRASE, CALLER, MASTER_KEY.hex()):
        assert secret.encode() not in inside
        assert secret.encode().hex().encode() not in inside


async def test_a_backup_is_one_moment(
    store_settings: StoreSettings, database: Database, bakery: Shop, new_home: NewHome, tmp_path: Path
) -> None:
    """Calls that come while it is made are in it as a whole or not at all, and their recordings neither."""
    blobs = FolderBlobs(store_settings.blobs)
    await make_call(database, blobs, bakery, NOW)
    loop_is_ours = threading.Event()
    made: list[Backup] = []

    def slow(what: str, done: int) -> None:
        if (what, done) == ("tables", 5):
            first_tables_read.set()
            loop_is_ours.wait(10)

    first_tables_read = threading.Event()
    thread = threading.Thread(
        target=lambda: made.append(
            make_backup(store_settings, blobs, tmp_path / "b", [KEY.to_public()], now=NOW, progress=slow)
        )
    )
    thread.start()
    assert first_tables_read.wait(10)
    late = await make_call(database, blobs, bakery, NOW)
    loop_is_ours.set()
    thread.join()
    new_home.load(made[0], ledger_lost=True)
    assert where(new_home.all_seeing, late.id) == set()
    assert len(objects(new_home.blobs)) == 1


async def test_an_erased_call_does_not_come_back(
    store_settings: StoreSettings, database: Database, bakery: Shop, new_home: NewHome, tmp_path: Path
) -> None:
    """Its rows and its recording are gone again, by the ledger among the objects; and nobody could have read it."""
    blobs = FolderBlobs(store_settings.blobs)
    erased = await make_call(database, blobs, bakery, NOW)
    kept = await make_call(database, blobs, bakery, NOW)
    backup = back_up(store_settings, tmp_path / "backups")
    await erase(database, blobs, bakery, erased.id)
    shutil.copytree(store_settings.blobs, new_home.settings.blobs)  # the bucket outlived the database
    new_home.load(backup)
    assert "public.turns" in where(new_home.all_seeing, erased.id), "the backup had it"
    finished = await new_home.finish(backup)
    assert finished.replayed.sessions == 1
    assert where(new_home.all_seeing, erased.id) == {"public.erasure_ledger", "public.consent_proofs"}
    assert [name.rpartition("/")[2] for name in objects(new_home.blobs)] == [str(kept.id)]
    async with new_home.opened() as restored, restored.tenant(bakery.tenant_id) as store:
        assert await sessions.find_session(store, erased.id, actor=OPERATOR) is None
        with pytest.raises(KeyShreddedError):
            await store.keys.data_key(store, erased.id)
        assert [turn.text for turn in await conversation.turns_of(store, kept.id, reader=READS_ALL)] == [PHRASE]


async def test_the_ledger_is_found_in_a_later_backup(
    store_settings: StoreSettings, database: Database, bakery: Shop, new_home: NewHome, tmp_path: Path
) -> None:
    """Where everything is lost, the newest backup tells what was erased since the one that is restored."""
    blobs, target = FolderBlobs(store_settings.blobs), tmp_path / "backups"
    erased = await make_call(database, blobs, bakery, NOW)
    first = back_up(store_settings, target)
    await erase(database, blobs, bakery, erased.id)
    later = back_up(store_settings, target, now=NOW + timedelta(days=1))
    with pytest.raises(RestoreError, match="--ledger-lost"):
        new_home.load(first, later=later)
    new_home.load(first, later=later, ledger_lost=True)
    assert (await new_home.finish(first)).replayed.sessions == 1
    assert "public.sessions" not in where(new_home.all_seeing, erased.id)
    assert objects(new_home.blobs) == []


async def test_keys_live_for_a_month_only(
    store_settings: StoreSettings, database: Database, bakery: Shop, new_home: NewHome, tmp_path: Path
) -> None:
    """After that the backup still has its rows, but no call in it can be read; new calls can be made."""
    blobs, target = FolderBlobs(store_settings.blobs), tmp_path / "backups"
    call = await make_call(database, blobs, bakery, NOW)
    backup = back_up(store_settings, target)
    assert prune(target, keep_days=400, now=NOW + timedelta(days=29)) == 0
    assert backup.has_keys
    assert prune(target, keep_days=400, now=NOW + timedelta(days=30)) == 0
    assert not backup.has_keys
    with pytest.raises(RestoreError, match="--without-keys"):
        new_home.load(backup, ledger_lost=True)
    new_home.load(backup, ledger_lost=True, without_keys=True)
    await new_home.finish(backup)
    async with new_home.opened() as restored, restored.tenant(bakery.tenant_id) as store:
        found = await sessions.find_session(store, call.id, actor=OPERATOR)
        assert found is not None
        assert not found.readable
        assert await find(store, call.id) is not None
        with pytest.raises(KeyShreddedError):
            await store.keys.data_key(store, call.id)
    async with new_home.opened() as restored:
        await make_call(restored, new_home.blobs, bakery, NOW)


async def test_old_backups_go_but_for_the_newest(store_settings: StoreSettings, bakery: Shop, tmp_path: Path) -> None:
    """By age, and what is half made or half removed goes with them."""
    target = tmp_path / "backups"
    made = [back_up(store_settings, target, now=NOW + timedelta(days=days)) for days in (0, 10, 20)]
    (made[0].folder / "backup.json").unlink()
    (target / ".draft").mkdir()
    assert prune(target, keep_days=5, now=NOW + timedelta(days=100)) == 1
    assert finished_backups(target) == (made[2].folder,)
    assert sorted(path.name for path in target.iterdir()) == [".lock", made[2].folder.name]
    assert not (made[2].folder / KEYS_PART).exists()


async def test_a_strange_or_altered_backup_is_refused(
    store_settings: StoreSettings, bakery: Shop, new_home: NewHome, tmp_path: Path
) -> None:
    """Another master key's, one whose list or file was changed, one for another key: nothing of it is loaded."""
    backup = back_up(store_settings, tmp_path / "backups")
    with pytest.raises(BackupError, match="another master key"):
        read_backup(backup.folder, bytes(32))
    assert read_backup(backup.folder, bytes(32), MASTER_KEY) == backup, "the root may have been replaced since"
    with pytest.raises(BackupError, match="no finished backup"):
        read_backup(tmp_path, MASTER_KEY)
    listed = backup.folder / "backup.json"
    text = listed.read_bytes()
    listed.write_bytes(text.replace(b'"objects":0', b'"objects":1'))
    with pytest.raises(BackupError, match="altered"):
        read_backup(backup.folder, MASTER_KEY)
    listed.write_bytes(text)
    with pytest.raises(PartError, match="this private key"):
        load_backup(
            new_home.settings, new_home.blobs, backup, [pyrage.x25519.Identity.generate()],
            later=None, consents=Consents(ledger_lost=True), progress=quiet,
        )  # fmt: skip  # as above
    content = bytearray((backup.folder / "database.age").read_bytes())
    content[-1] ^= 1
    (backup.folder / "database.age").write_bytes(content)
    with pytest.raises(PartError, match="not what was written"):
        new_home.load(backup, ledger_lost=True)
    assert list(everything(new_home.all_seeing)) == []


async def test_data_that_is_there_is_not_overwritten_unasked(
    store_settings: StoreSettings, database: Database, bakery: Shop, all_seeing: str, tmp_path: Path
) -> None:
    """A database in use is refused; when told so it is replaced, and what came after the backup is gone."""
    blobs = FolderBlobs(store_settings.blobs)
    before = await make_call(database, blobs, bakery, NOW)
    backup = back_up(store_settings, tmp_path / "backups")
    after = await make_call(database, blobs, bakery, NOW)
    home = NewHome(store_settings, all_seeing)
    with pytest.raises(DatabaseTakenError, match="A server is connected"):
        home.load(backup, replace=True)
    await database.close()
    with pytest.raises(DatabaseTakenError, match="--replace"):
        home.load(backup)
    home.load(backup, replace=True)
    await home.finish(backup)
    assert where(all_seeing, after.id) == set()
    assert [name.rpartition("/")[2] for name in objects(blobs)] == [str(before.id)]


async def test_a_table_that_hides_rows_fails_the_backup(
    store_settings: StoreSettings, database_home: Path, bakery: Shop, tmp_path: Path
) -> None:
    """Rather no backup than one that looks whole."""
    with connected(store_settings, database_home, postgres.OWNER) as connection:
        connection.execute("DROP POLICY aitelier_backup_looks ON turns")
        connection.commit()
        with pytest.raises(SnapshotError, match=r"hides rows of public\.turns"):
            back_up(store_settings, tmp_path / "backups")
    assert finished_backups(tmp_path / "backups") == ()


async def test_a_database_that_is_away(store_settings: StoreSettings, tmp_path: Path) -> None:
    """It says so, and leaves no backup."""
    away = replace(store_settings, database_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SnapshotError, match="cannot be reached"):
        back_up(away, tmp_path / "backups")
    assert finished_backups(tmp_path / "backups") == ()

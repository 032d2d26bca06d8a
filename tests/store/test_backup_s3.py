"""Objects of a bucket in a backup, brought back into another bucket of a real S3 server."""

from pathlib import Path

from store.backup import make_backup
from store.blobs_s3 import S3Blobs
from store.engine import Database
from store.restore import Consents, load_backup
from store.settings import StoreSettings
from tests.database import Shop
from tests.peers import s3_server
from tests.store.erasure.world import make_call
from tests.store.restoring import KEY, NOW, NewHome, quiet


async def test_from_bucket_to_bucket(
    store_settings: StoreSettings, database: Database, bakery: Shop, tmp_path: Path,
    new_home: NewHome,
) -> None:  # fmt: skip  # fixtures, close together
    """Every object arrives byte by byte, one of several parts too, and nothing else."""
    with s3_server.running() as s3:
        old, new = S3Blobs(s3.bucket(versioned=True)), S3Blobs(s3.bucket())
        call = await make_call(database, old, bakery, NOW)
        long = bytes(range(256)) * 40_000
        old.put(f"exports/{call.id}", long)
        backup = make_backup(store_settings, old, tmp_path, [KEY.to_public()], now=NOW, progress=quiet)
        assert (backup.contents.objects, backup.contents.missing) == (2, 0)
        consents = Consents(ledger_lost=True)
        load_backup(new_home.settings, new, backup, [KEY], later=None, consents=consents, progress=quiet)
        assert list(new.list()) == list(old.list())
        assert new.read_at(f"exports/{call.id}", 0, len(long) + 1) == long

"""The jobs of the audit log, with an authority that is asked over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from scripts.audit_jobs import PERIODIC, audit_tasks, stamper_of
from scripts.child import CannotStartError
from scripts.settings import Settings, read_settings
from store.audit import anchors
from store.audit.anchors import NotAnchoredError
from store.blobs import Blobs, FolderBlobs
from store.engine import Database
from store.house import HOUSE
from store.jobs import Round, Work
from store.settings import StoreSettings
from tests.database import Shop, bakery, database, database_home, store_settings
from tests.peers import time_stamper
from tests.peers.time_stamper import Authority
from tests.store.audit.exported import some_entries

__all__ = ["bakery", "database", "database_home", "store_settings"]


@pytest.fixture
async def authority() -> AsyncIterator[Authority]:
    async with time_stamper.running() as running:
        yield running


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return FolderBlobs(tmp_path / "blobs")


def _settings(url: str, certificate: Path) -> Settings:
    return read_settings({"AITELIER_TSA_URL": url, "AITELIER_TSA_CERT": str(certificate)})[0]


def _work(database: Database, blobs: Blobs) -> Work:
    return Work(database=database, blobs=blobs, tenant_id=HOUSE, job_id=1, task=anchors.TASK, arguments={})


async def test_the_hourly_round_is_stamped(
    database: Database,
    store_settings: StoreSettings,
    bakery: Shop,
    blobs: Blobs,
    authority: Authority,
    tmp_path: Path,
) -> None:
    """What was signed is stamped by a job; an authority that is away makes it fail, so that it is tried again."""
    await some_entries(database, bakery, 1)
    certificate = tmp_path / "root.pem"
    certificate.write_bytes(authority.root_pem)
    (hourly,) = [one for one in PERIODIC if one.name == "audit_checkpoints"]
    await hourly.handler(Round(database=database, blobs=blobs, at=datetime.now(UTC)))
    with psycopg.connect(str(store_settings.database_url)) as connection:
        found = connection.execute("SELECT task_name FROM jobs.procrastinate_jobs").fetchall()
    assert found == [(anchors.TASK,)]
    for url in ("http://127.0.0.1:9/", f"{authority.url}nowhere"):
        away = audit_tasks(_settings(url, certificate))[anchors.TASK]
        with pytest.raises(NotAnchoredError), capture_logs() as logged:
            await away(_work(database, blobs))
        assert logged[0]["event"] == "audit_not_anchored"
    await audit_tasks(_settings(authority.url, certificate))[anchors.TASK](_work(database, blobs))
    (newest,) = await anchors.newest_anchored(database, bakery.tenant_id)
    assert (newest.kind, authority.asked) == ("time_stamp", 1)


async def test_without_an_authority_nobody_is_asked(database: Database, bakery: Shop, blobs: Blobs) -> None:
    """The job is done at once."""
    await some_entries(database, bakery, 1)
    settings = read_settings({})[0]
    assert stamper_of(settings) is None
    await audit_tasks(settings)[anchors.TASK](_work(database, blobs))
    assert await anchors.newest_anchored(database, bakery.tenant_id) == ()


def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    """A PEM file of something else is named with what to do."""
    certificate = tmp_path / "key.pem"
    certificate.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    with pytest.raises(CannotStartError, match="AITELIER_TSA_CERT"):
        stamper_of(_settings("http://127.0.0.1:9/", certificate))

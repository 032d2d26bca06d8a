"""Another machine's home, into which tests restore what they backed up."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pyrage
import pytest

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import postgres
from store.backup import Backup, make_backup
from store.blobs import FolderBlobs
from store.engine import Database
from store.erasure.sessions import carry_out, erase_sessions
from store.restore import Consents, finish, load_backup
from store.settings import StoreSettings
from tests.database import MASTER_KEY, Shop, address

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
KEY = pyrage.x25519.Identity.generate()
_restored = count()


def quiet(_what: str, _done: int) -> None:
    """Nobody watches."""


def back_up(settings: StoreSettings, target: Path, *, now: datetime = NOW) -> Backup:
    return make_backup(settings, FolderBlobs(settings.blobs), target, [KEY.to_public()], now=now, progress=quiet)


@contextmanager
def empty_database(home: Path) -> Iterator[str]:
    """The name of a database with nothing in it."""
    name = f"restored_{next(_restored)}"
    with psycopg.connect(address(home, postgres.SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} OWNER {postgres.OWNER}")  # type: ignore[arg-type]
        try:
            yield name
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@dataclass
class NewHome:
    """Another machine's home, still empty."""

    settings: StoreSettings
    all_seeing: str

    @property
    def blobs(self) -> FolderBlobs:
        return FolderBlobs(self.settings.blobs)

    def load(self, backup: Backup, *, later: Backup | None = None, **consents: bool) -> None:
        load_backup(
            self.settings, self.blobs, backup, [KEY], later=later, consents=Consents(**consents), progress=quiet
        )

    async def finish(self, backup: Backup, now: datetime = NOW) -> Any:
        async with self.opened() as database:
            return await finish(
                self.settings, database, self.blobs, backup_name=backup.folder.name, now=now,
                seller_country="DE", actor=OPERATOR,
            )  # fmt: skip  # one thing a line would be long

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Database]:
        database = await Database.open(self.settings)
        try:
            yield database
        finally:
            await database.close()


@pytest.fixture
def new_home(database_home: Path, tmp_path: Path) -> Iterator[NewHome]:
    with empty_database(database_home) as name:
        settings = StoreSettings(
            address(database_home, postgres.OWNER, name), tmp_path / "new", MASTER_KEY, pool_size=2
        )
        yield NewHome(settings, address(database_home, postgres.SUPERUSER, name))


async def erase(database: Database, blobs: FolderBlobs, shop: Shop, session_id: Any) -> None:
    async with database.tenant(shop.tenant_id) as store:
        receipt = await erase_sessions(store, blobs, [session_id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
    await carry_out(database, blobs, shop.tenant_id, receipt.erasure_id)

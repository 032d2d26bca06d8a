"""One database and one application for all tests of a file; a test makes what it changes for itself."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from store import postgres
from store.settings import StoreSettings
from tests.admin.world import World, open_world
from tests.database import MASTER_KEY, address, database, database_home, store_settings
from tests.leases import fresh_database

__all__ = ["database", "database_home", "store_settings"]


@pytest.fixture(scope="module")
def world_settings(database_home: Path) -> Iterator[StoreSettings]:
    """A migrated database for the tests of one file."""
    with fresh_database(database_home) as name:
        yield StoreSettings(address(database_home, postgres.OWNER, name), database_home, MASTER_KEY, pool_size=4)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(world_settings: StoreSettings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The cast, and the application; of tests marked with `pytest.mark.asyncio(loop_scope="module")`."""
    async with open_world(world_settings, tmp_path_factory.mktemp("world")) as made:
        yield made

"""Objects for the tests of erasure, and a look past the walls between tenants."""

from pathlib import Path

import psycopg
import pytest

from store import postgres
from store.blobs import Blobs, FolderBlobs
from store.settings import StoreSettings
from tests.database import address


@pytest.fixture
def blobs(store_settings: StoreSettings) -> Blobs:
    """A folder of its own."""
    return FolderBlobs(store_settings.blobs)


@pytest.fixture
def all_seeing(store_settings: StoreSettings, database_home: Path) -> str:
    """The address of this test's database for a superuser, whom row security does not bind."""
    assert store_settings.database_url
    name = psycopg.conninfo.conninfo_to_dict(store_settings.database_url)["dbname"]
    return address(database_home, postgres.SUPERUSER, str(name))

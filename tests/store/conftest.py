"""The store is tested on a real PostgreSQL."""

from tests.database import bakery, database, database_home, florist, store_settings
from tests.store.restoring import new_home

__all__ = ["bakery", "database", "database_home", "florist", "new_home", "store_settings"]

"""The oracle is tested on a real PostgreSQL."""

from tests.database import bakery, database, database_home, store_settings

__all__ = ["bakery", "database", "database_home", "store_settings"]

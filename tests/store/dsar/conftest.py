"""Requests about data are tested on a real PostgreSQL, as the rest of the store."""

from tests.database import bakery, database, database_home, florist, store_settings

__all__ = ["bakery", "database", "database_home", "florist", "store_settings"]

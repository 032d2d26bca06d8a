"""The operator's own books: what the server itself is asked and owes, before any tenant is known.

They are kept as a tenant's are, under an id that no customer has, so that the same walls, keys, audit log and outbox
hold for them, and no customer can see into them any more than into another's.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from sqlmodel import select

from store.engine import Database
from store.scope import TenantStore
from store.tables.setup import TenantTable

HOUSE: Final = UUID("00000000-0000-7000-8000-000000000000")
"""No customer's: ids of customers begin with the time they were made at."""
_NAME: Final = "The operator of this server"


@asynccontextmanager
async def open_house(database: Database) -> AsyncIterator[TenantStore]:
    """One transaction of the operator's books, which are made when they are first opened.

    Raises:
        StoreAwayError: The database is away.
    """
    async with database.tenant(HOUSE) as store:
        if await store.first(select(TenantTable)) is None:
            await store.put(TenantTable, [{"name": _NAME, "max_calls": 0}])
            await store.keys.new_tenant_keys(store)
        yield store

"""Where the data of each project may go, as this desk knows it: asked anew each time, and remembered for bad times."""

import asyncio
from typing import Final
from uuid import UUID

import structlog

from policies.residency import Bounds
from store.bounds import NoProjectError, bounds_of
from store.engine import Database, StoreAwayError

log = structlog.get_logger()

ASK_SECONDS: Final = 0.5
"""A caller who has lost the model hears nothing meanwhile."""
STRICTEST: Final = Bounds("eu_only", hipaa=True)


class KnownBounds:
    """One desk's."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[UUID, Bounds] = {}

    def saw(self, project_id: UUID, bounds: Bounds) -> None:
        """Somebody has just read them."""
        self._seen[project_id] = bounds

    async def now(self, tenant_id: UUID, project_id: UUID) -> Bounds:
        """As they are; while the database is away, as they were seen last, and the strictest if they never were."""
        try:
            async with asyncio.timeout(ASK_SECONDS), self._database.tenant(tenant_id) as store:
                found = await bounds_of(store, project_id)
        except (StoreAwayError, TimeoutError):
            log.warning("bounds_remembered", reason="the database is away", known=project_id in self._seen)
            return self._seen.get(project_id, STRICTEST)
        except NoProjectError:
            return STRICTEST
        self.saw(project_id, found)
        return found

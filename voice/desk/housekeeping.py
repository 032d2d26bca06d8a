"""What a desk keeps beside the store, and must not keep for longer: damaged files, clips, what it remembers.

The store erases what it holds. This looks after the copies on a machine: journals and recordings in `damaged/` of the
spool, which still carry their wrapped keys; clips of wordings that nobody uses any more; scenarios and numbers in
memory.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from policies.retention import DAMAGED_DAYS
from store import tenants
from store.engine import Database, StoreAwayError
from store.erasure.ledger import erased_among
from voice.desk.clips import ClipShelf, Sentence
from voice.desk.plans import Planner
from voice.desk.spool import Spool

log = structlog.get_logger()

SPOOL_SECONDS: Final = 60.0
MEMORY_SECONDS: Final = 3600.0
_DAMAGED: Final = timedelta(days=DAMAGED_DAYS)
_EXPIRED: Final = timedelta(days=1)
"""So long somebody may look at the files of a call that the store does not know (any more)."""


class Housekeeping:
    """One per machine."""

    def __init__(self, database: Database, planner: Planner, shelf: ClipShelf, spool: Spool) -> None:
        self._database = database
        self._planner = planner
        self._shelf = shelf
        self._spool = spool

    async def run(self) -> None:
        """Look for ever. While the database is away nothing is dropped."""
        tidied_at = time.monotonic()
        while True:
            try:
                await self.sweep_damaged(time.time())
                if time.monotonic() - tidied_at >= MEMORY_SECONDS:
                    await self.tidy()
                    tidied_at = time.monotonic()
            except StoreAwayError:
                log.info("housekeeping_waits", reason="the database is away")
            await asyncio.sleep(SPOOL_SECONDS)

    async def sweep_damaged(self, now: float) -> int:
        """Drop damaged files of calls that were erased, or are too old; of how many calls.

        `now` is in seconds since the epoch. Raises `StoreAwayError`.
        """
        aside = await asyncio.to_thread(self._spool.set_aside)
        if not aside:
            return 0
        known, erased = await self._known(tuple(UUID(session_id) for session_id in aside))
        dropped = 0
        for session_id, since in aside.items():
            call, age = UUID(session_id), timedelta(seconds=now - since)
            if call in erased or age > (_DAMAGED if call in known else _EXPIRED):
                await asyncio.to_thread(self._spool.drop_set_aside, session_id)
                log.warning("damaged_files_dropped", call=session_id, erased=call in erased)
                dropped += 1
        return dropped

    async def tidy(self) -> int:
        """Forget scenarios and numbers, and drop clips that no scenario says any more; how many.

        Raises `StoreAwayError`.
        """
        self._planner.forget()
        async with self._database.platform() as platform:
            everyone = await tenants.all_tenants(platform)
        wanted: set[Sentence] = set()
        for tenant in everyone:
            wanted |= await self._planner.sentences_of(tenant.id)
        return await self._shelf.keep_only(wanted)

    async def _known(self, session_ids: tuple[UUID, ...]) -> tuple[set[UUID], set[UUID]]:
        """Calls that can still be read, whosesoever they are, and calls that somebody had erased."""
        known: set[UUID] = set()
        erased: set[UUID] = set()
        async with self._database.platform() as platform:
            everyone = await tenants.all_tenants(platform)
        for tenant in everyone:
            async with self._database.tenant(tenant.id) as store:
                known |= (await store.keys.data_keys(store, session_ids)).keys()
                erased |= await erased_among(store, session_ids)
        return known, erased

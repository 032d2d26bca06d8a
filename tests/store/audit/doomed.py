"""A program that adds a trunk, and kills itself before the statement, or the commit, that it is told.

Reads orders, one JSON list a line: tenant, step. Each is carried out by a fork, whose exit status is the answer. Step 0
adds one trunk after the other, until somebody else kills it; its process id is the answer.
"""

import asyncio
import json
import os
import signal
import sys
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from store import trunks
from store.engine import Database
from store.settings import StoreSettings
from tests.store.audit.exported import ANNA

_steps = 0
_last = 0


def _step() -> None:
    global _steps  # noqa: PLW0603  # of a program that is about to die
    _steps += 1
    if _steps == _last:
        os.kill(os.getpid(), signal.SIGKILL)


_execute, _commit = psycopg.AsyncCursor.execute, psycopg.AsyncConnection.commit


async def _counted_execute(self: Any, *arguments: Any, **named: Any) -> Any:
    _step()
    return await _execute(self, *arguments, **named)


async def _counted_commit(self: Any) -> None:
    _step()
    await _commit(self)
    _step()


async def _main(settings: StoreSettings, tenant_id: UUID, step: int) -> None:
    global _last  # noqa: PLW0603  # as above
    database = await Database.open(settings)
    psycopg.AsyncCursor.execute = _counted_execute  # type: ignore[method-assign]
    psycopg.AsyncConnection.commit = _counted_commit  # type: ignore[method-assign]
    _last = step
    for number in count():
        async with database.tenant(tenant_id) as store:
            await trunks.create(store, name=f"{step}/{number}", networks=["192.0.2.1/32"], actor=ANNA)
        if step:
            break
    await database.close()


if __name__ == "__main__":
    store_settings = StoreSettings(sys.argv[1], Path(sys.argv[2]), bytes(range(32)))
    for line in sys.stdin:
        order_tenant, order_step = json.loads(line)
        pid = os.fork()
        if pid == 0:
            asyncio.run(_main(store_settings, UUID(order_tenant), order_step))
            os._exit(0)
        if order_step == 0:
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()

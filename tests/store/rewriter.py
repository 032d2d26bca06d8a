"""A program that brings a tenant's rows under new keys, and kills itself before the commit that it is told.

Reads orders, one JSON list a line: tenant, step. Each is carried out by a fork, whose exit status is the answer.
"""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import configure_mappers

from policies.audit_tags import OPERATOR
from store import key_rotation, reencryption
from store.engine import Database
from store.scope import TenantStore
from store.settings import StoreSettings

_steps = 0
_last = 0
_commit = TenantStore.commit


async def _counted_commit(self: TenantStore) -> None:
    global _steps  # noqa: PLW0603  # of a program that is about to die
    _steps += 1
    if _steps == _last:
        os.kill(os.getpid(), signal.SIGKILL)
    await _commit(self)


async def reencrypt(database: Database, tenant_id: UUID) -> None:
    """Renew everything, and destroy the old keys as if a backup's life had passed."""
    await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
    for days in (0, 31):
        async with database.tenant(tenant_id) as store:
            await key_rotation.destroy_empty(store, actor=OPERATOR, now=datetime.now(UTC) + timedelta(days=days))


async def _main(settings: StoreSettings, tenant: str) -> None:
    database = await Database.open(settings)
    await reencrypt(database, UUID(tenant))
    await database.close()


if __name__ == "__main__":
    store_settings = StoreSettings(sys.argv[1], Path(sys.argv[2]), bytes(range(32)))
    reencryption.AT_ONCE = 2  # type: ignore[misc]  # so that there are several pages
    TenantStore.commit = _counted_commit  # type: ignore[method-assign]
    configure_mappers()
    for line in sys.stdin:
        order_tenant, _last = json.loads(line)
        pid = os.fork()
        if pid == 0:
            asyncio.run(_main(store_settings, order_tenant))
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()

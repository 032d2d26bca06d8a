"""A program that erases, and kills itself before the step that it is told: a commit, or a change of an object.

Reads orders, one JSON list a line: tenant, what to erase, its ids, step. Each is carried out by a fork, whose exit
status is the answer.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from uuid import UUID

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store.blobs import FolderBlobs
from store.engine import Database
from store.erasure import batches, projects, sessions
from store.scope import TenantStore
from store.settings import StoreSettings

sessions.AT_ONCE = projects.AT_ONCE = batches.AT_ONCE = 2  # type: ignore[misc]  # so that there are several batches
_steps = 0
_last = 0


def _step() -> None:
    global _steps  # noqa: PLW0603  # of a program that is about to die
    _steps += 1
    if _steps == _last:
        os.kill(os.getpid(), signal.SIGKILL)


class _Blobs(FolderBlobs):
    def put(self, name: str, content: bytes) -> int:
        _step()
        return super().put(name, content)

    def delete(self, name: str) -> bool:
        _step()
        return super().delete(name)


_commit = TenantStore.commit


async def _counted_commit(self: TenantStore) -> None:
    _step()
    await _commit(self)


TenantStore.commit = _counted_commit  # type: ignore[method-assign]


async def erase_calls(database: Database, blobs: FolderBlobs, tenant_id: UUID, ids: list[UUID]) -> None:
    """Ask, and carry out."""
    async with database.tenant(tenant_id) as store:
        receipt = await sessions.erase_sessions(store, blobs, ids, actor=OPERATOR, reason=Reason.CALLER_ASKED)
    await sessions.carry_out(database, blobs, tenant_id, receipt.erasure_id)


async def erase_project(database: Database, blobs: FolderBlobs, tenant_id: UUID, ids: list[UUID]) -> None:
    """The same for a project."""
    async with database.tenant(tenant_id) as store:
        await projects.delete_project(store, ids[0], actor=OPERATOR)
    await projects.carry_out(database, blobs, tenant_id, ids[0])


async def _main(settings: StoreSettings, tenant: str, what: str, ids: list[str]) -> None:
    database = await Database.open(settings)
    act = {"calls": erase_calls, "project": erase_project}[what]
    await act(database, _Blobs(settings.blobs), UUID(tenant), [UUID(one) for one in ids])
    await database.close()


if __name__ == "__main__":
    store_settings = StoreSettings(sys.argv[1], Path(sys.argv[2]), bytes(range(32)))
    for line in sys.stdin:
        order_tenant, order_what, order_ids, _last = json.loads(line)
        pid = os.fork()
        if pid == 0:
            asyncio.run(_main(store_settings, order_tenant, order_what, order_ids))
            os._exit(0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()

"""Killed at each step and done again, an erasure ends as if nobody had been killed."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlmodel import select

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import projects as set_up
from store.blobs import Blobs
from store.engine import Database
from store.erasure import projects, sessions
from store.settings import StoreSettings
from store.tables.catalogue import TABLES
from store.tables.retention import ErasureTable
from tests.database import Shop, make_shop
from tests.store.erasure.world import make_call, objects

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)
_ROOT = Path(__file__).parents[3]
_MOST_STEPS = 60


class Doomed:
    """The program of `doomed.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def erase(self, tenant_id: UUID, what: str, ids: list[UUID], step: int) -> bool:
        """Erase, killed before the step; whether it came to its end before."""
        assert self._process.stdin
        assert self._process.stdout
        order = [str(tenant_id), what, [str(one) for one in ids], step]
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = await asyncio.to_thread(self._process.stdout.readline)
        assert answer.strip() in {"0", str(-signal.SIGKILL)}, answer
        return answer.strip() == "0"


@contextmanager
def _doomed(settings: StoreSettings) -> Iterator[Doomed]:
    program = [sys.executable, "-m", "tests.store.erasure.doomed", str(settings.database_url), str(settings.home)]
    with subprocess.Popen(program, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Doomed(process)
        process.kill()


def _end_state(all_seeing: str, blobs: Blobs, tenant_id: UUID) -> dict[str, Any]:
    """How many rows of each table are left of a tenant, its objects, and what its receipt counts."""
    with psycopg.connect(all_seeing) as connection:
        state: dict[str, Any] = {
            name: connection.execute(f"SELECT count(*) FROM {name} WHERE tenant_id = %s", (tenant_id,)).fetchone()  # noqa: S608
            for name in (table.__table__.fullname for table in TABLES)  # type: ignore[attr-defined]
            if not name.startswith("audit_")  # more tries, more entries
        }
        state["receipts"] = connection.execute(
            "SELECT counts, receipt IS NOT NULL FROM erasures WHERE tenant_id = %(tenant)s UNION ALL"
            " SELECT counts, receipt IS NOT NULL FROM project_deletions WHERE tenant_id = %(tenant)s",
            {"tenant": tenant_id},
        ).fetchall()
    return {**state, "objects": len(objects(blobs, f"recordings/{tenant_id}/"))}


async def _shop_with_calls(database: Database, blobs: Blobs, number: int) -> tuple[Shop, list[UUID]]:
    shop = await make_shop(database, f"Shop {number}", f"+4930231250{number:02}")
    return shop, [(await make_call(database, blobs, shop, NOW)).id for _ in range(3)]


async def _finish_calls(database: Database, blobs: Blobs, shop: Shop, calls: list[UUID]) -> None:
    """What a restart does: the job goes on, or whoever got no answer asks again."""
    async with database.tenant(shop.tenant_id) as store:
        asked = await store.first(select(ErasureTable.id))
        if asked is None:
            receipt = await sessions.erase_sessions(store, blobs, calls, actor=OPERATOR, reason=Reason.CALLER_ASKED)
            asked = receipt.erasure_id
    await sessions.carry_out(database, blobs, shop.tenant_id, asked)


async def _finish_project(database: Database, blobs: Blobs, shop: Shop, _: list[UUID]) -> None:
    async with database.tenant(shop.tenant_id) as store:
        project = await set_up.find(store, shop.project_id)
        if project is not None and project.deletion_asked_at is None:
            await projects.delete_project(store, shop.project_id, actor=OPERATOR)
    await projects.carry_out(database, blobs, shop.tenant_id, shop.project_id)


@pytest.mark.parametrize(("what", "finish"), [("calls", _finish_calls), ("project", _finish_project)])
async def test_killed_at_each_step_it_ends_the_same(
    store_settings: StoreSettings, database: Database, blobs: Blobs, all_seeing: str, what: str, finish: Any
) -> None:
    """Whichever commit or object the process dies before, doing it again leads to the state of an unharmed run."""
    with _doomed(store_settings) as doomed:
        states = []
        for step in range(_MOST_STEPS):  # step 0 never comes: an unharmed run
            shop, calls = await _shop_with_calls(database, blobs, step)
            ended = await doomed.erase(shop.tenant_id, what, calls if what == "calls" else [shop.project_id], step)
            await finish(database, blobs, shop, calls)
            states.append(_end_state(all_seeing, blobs, shop.tenant_id))
            assert states[-1] == states[0], f"killed before step {step}"
            if ended and step:
                break
        assert len(states) > 10, "it was killed again and again"
        assert states[0]["objects"] == 0
        assert ended, "the last one came to its end"

"""Killed between an act and its entry, a process leaves neither; killed after both, it leaves both."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from policies.audit_tags import Tag
from store import trunks
from store.audit import log
from store.engine import Database
from store.settings import StoreSettings
from tests.database import Shop
from tests.store.audit.exported import exported

_ROOT = Path(__file__).parents[3]
_MOST_STEPS = 40
_MOMENTS_S = (0.05, 0.1, 0.2, 0.35)


@pytest.fixture
def doomed(store_settings: StoreSettings) -> Iterator["subprocess.Popen[str]"]:
    """The program of `doomed.py`."""
    program = [sys.executable, "-m", "tests.store.audit.doomed", str(store_settings.database_url)]
    program.append(str(store_settings.home))
    with subprocess.Popen(program, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def _asked(doomed: "subprocess.Popen[str]", shop: Shop, step: int) -> int:
    assert doomed.stdin
    doomed.stdin.write(json.dumps([str(shop.tenant_id), step]) + "\n")
    doomed.stdin.flush()
    return _answer(doomed)


def _answer(doomed: "subprocess.Popen[str]") -> int:
    assert doomed.stdout
    return int(doomed.stdout.readline())


async def _trunks_and_entries(database: Database, shop: Shop) -> tuple[set[str], set[str]]:
    async with database.tenant(shop.tenant_id) as store:
        there = {str(trunk.id) for trunk in await trunks.all_of(store)}
        told = await log.entries(store, tag=Tag.TRUNK_ADDED, limit=100_000)
    return there, {entry.objects["trunk"] for entry in told}


async def test_killed_before_each_statement(database: Database, bakery: Shop, doomed: "subprocess.Popen[str]") -> None:
    """Before the commit there is nothing of either, afterwards there is both; the log goes on and is whole."""
    left = []
    for step in range(1, _MOST_STEPS):
        status = await asyncio.to_thread(_asked, doomed, bakery, step)
        there, told = await _trunks_and_entries(database, bakery)
        assert there == told
        left.append(len(there))
        if status == 0:
            break
        assert status == -signal.SIGKILL
    else:
        pytest.fail("it never came to its end")
    assert left[:4] == [0, 0, 0, 0]
    assert left[-2:] == [1, 2], "killed behind the commit, and not killed"
    assert (await exported(database, bakery)).verified().problems == []


async def test_killed_at_any_moment(database: Database, bakery: Shop, doomed: "subprocess.Popen[str]") -> None:
    """One that adds trunk after trunk leaves as many entries, whenever it is killed."""
    count = 0
    for moment_s in _MOMENTS_S:
        pid = await asyncio.to_thread(_asked, doomed, bakery, 0)
        before = count
        while count == before:  # it has begun
            await asyncio.sleep(0.01)
            count = len((await _trunks_and_entries(database, bakery))[0])
        await asyncio.sleep(moment_s)
        os.kill(pid, signal.SIGKILL)
        assert await asyncio.to_thread(_answer, doomed) == -signal.SIGKILL
        there, told = await _trunks_and_entries(database, bakery)
        assert there == told
        count = len(there)
    assert (await exported(database, bakery)).verified().problems == []

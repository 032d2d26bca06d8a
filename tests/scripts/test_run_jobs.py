"""The process of the jobs, in a whole server."""

import ast
import asyncio
import base64
import os
import signal
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from scripts.run_jobs import figures_text, tasks_of
from scripts.settings import read_settings
from store.engine import Database
from store.erasure import expiry
from store.jobs import defer
from store.settings import StoreSettings
from store.worker import TaskFigures
from tests.database import MASTER_KEY, Shop, bakery, database, database_home, store_settings
from tests.scripts.conftest import ROOT, Server, served, until

__all__ = ["bakery", "database", "database_home", "store_settings"]


def _figures(server: Server) -> str:
    with urllib.request.urlopen(f"{server.admin}/metrics", timeout=5) as answer:  # noqa: S310  # a server of our own
        text: str = answer.read().decode()
    return text


@pytest.mark.long
def test_the_jobs_are_done_by_a_process_of_their_own(server: Server) -> None:
    """It is there, is started again when it is killed, and shows its figures."""
    before = server.pid("jobs")
    until(lambda: 'aitelier_part_answers{part="jobs"} 1' in _figures(server))
    os.kill(before, signal.SIGKILL)
    until(lambda: any(one.name == "jobs" and one.pid not in {None, before} for one in server.status.processes))
    until(server.ready)


async def test_jobs_run_on_a_machine_of_their_own(
    store_settings: StoreSettings, database: Database, bakery: Shop
) -> None:
    """With a database of one's own, a server that only does jobs does them, and ends in order."""
    environment = {
        "AITELIER_DATABASE_URL": str(store_settings.database_url),
        "AITELIER_MASTER_KEY": base64.b64encode(MASTER_KEY).decode(),
    }
    async with database.tenant(bakery.tenant_id) as store:
        await defer(store, expiry.TASK)

    def whole() -> None:
        with served(environment, "--roles", "jobs") as server:
            assert {process.name for process in server.status.processes} == {"jobs"}
            until(lambda: '"job_done"' in server.text() and expiry.TASK in server.text())
            assert server.stop() == 0

    await asyncio.to_thread(whole)


def _left_behind() -> Iterator[tuple[str, str]]:
    """Where in the store work is left behind, and for which task."""
    for path in (ROOT / "store").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "defer":
                task = ast.unparse(node.args[1])
                if task != "row.then_task":  # given by whoever asks for an erasure
                    yield module, task


@pytest.mark.parametrize(("module", "task"), list(_left_behind()))
def test_whatever_is_left_behind_is_done(module: str, task: str) -> None:
    """Each task that the store leaves work for is one that the process of the jobs knows."""
    if module not in sys.modules:
        pytest.fail(f"{module} leaves work behind, and the process of the jobs does not even import it")
    name = eval(task, vars(sys.modules[module]))  # noqa: S307  # an expression of our own source
    assert name in tasks_of(*read_settings({}))


def test_a_late_job_is_an_alarm() -> None:
    """What was due a quarter of an hour ago shows as late; what was not, does not."""
    text = figures_text({"slow": TaskFigures(3, 0, 901.0, 0, 7), "quick": TaskFigures(1, 1, 5.0, 9, 0)}, 2)
    assert 'aitelier_jobs_late{task="slow"} 1.0' in text
    assert 'aitelier_jobs_late{task="quick"} 0.0' in text
    assert 'aitelier_jobs_waiting{task="slow"} 3.0' in text
    assert 'aitelier_jobs_failed{task="slow"} 7.0' in text
    assert "aitelier_project_deletions_late 2.0" in text

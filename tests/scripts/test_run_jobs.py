"""The process of the jobs, in a whole server."""

import os
import signal
import urllib.request

from scripts.run_jobs import figures_text
from store.worker import TaskFigures
from tests.scripts.conftest import Server, until


def _figures(server: Server) -> str:
    with urllib.request.urlopen(f"{server.admin}/metrics", timeout=5) as answer:  # noqa: S310  # a server of our own
        text: str = answer.read().decode()
    return text


def test_the_jobs_are_done_by_a_process_of_their_own(server: Server) -> None:
    """It is there, is started again when it is killed, and shows its figures."""
    before = server.pid("jobs")
    until(lambda: 'aitelier_part_answers{part="jobs"} 1' in _figures(server))
    os.kill(before, signal.SIGKILL)
    until(lambda: any(one.name == "jobs" and one.pid not in {None, before} for one in server.status.processes))
    until(server.ready)


def test_a_late_job_is_an_alarm() -> None:
    """What was due a quarter of an hour ago shows as late; what was not, does not."""
    text = figures_text({"slow": TaskFigures(3, 0, 901.0, 0, 7), "quick": TaskFigures(1, 1, 5.0, 9, 0)}, 2)
    assert 'aitelier_jobs_late{task="slow"} 1.0' in text
    assert 'aitelier_jobs_late{task="quick"} 0.0' in text
    assert 'aitelier_jobs_waiting{task="slow"} 3.0' in text
    assert 'aitelier_jobs_failed{task="slow"} 7.0' in text
    assert "aitelier_project_deletions_late 2.0" in text

"""What `/metrics` and `/readyz` show, gathered from the parts of a running server."""

import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from admin.auth.failed_codes import FailedCodes
from policies.problems import Problem
from scripts.operators import ask
from scripts.run_jobs import FIGURES as JOBS_FIGURES
from scripts.status import read_status
from sip.control import CONTROL_NAME, request_report
from voice.waist.messages import DeskAwayError, LiveCallsListed, LiveCallsRequested, ProblemsListed, ProblemsRequested

_FIGURES_OLD_S: Final = 30.0
_PROCESS_REMEDY: Final = "It is started again by itself; its lines in the log say why it ended"
_DRAIN_REMEDY: Final = "Wait for its end, and start it again"


async def problems(run_folder: Path, *, has_desk: bool) -> tuple[Problem, ...]:
    """Processes that do not do their work, and what the desk finds away or full."""
    status = read_status(run_folder)
    if status is None:
        return (Problem(part="supervisor", problem="is gone", remedy="Start the server again: scripts/serve"),)
    found = [
        Problem(part=process.name, problem="does not work yet, or again", remedy=_PROCESS_REMEDY)
        for process in status.processes
        if not process.ready
    ]
    if status.draining:
        found.append(Problem(part="supervisor", problem="takes no new calls: it is to end", remedy=_DRAIN_REMEDY))
    if has_desk:
        try:
            found += (await ask(run_folder, ProblemsRequested(), ProblemsListed)).problems
        except DeskAwayError:
            found.append(Problem(part="desk", problem="does not answer", remedy=_PROCESS_REMEDY))
    return tuple({problem.part: problem for problem in found}.values())


async def problem_figures(look: Callable[[], Awaitable[Iterable[Problem]]]) -> str:
    """The same as figures: none while all is well."""
    registry = CollectorRegistry()
    gauge = Gauge(
        "aitelier_problem", "1 for each part that does not work now; see /readyz.", ["part"], registry=registry
    )
    for problem in await look():
        gauge.labels(part=problem.part).set(1)
    return generate_latest(registry).decode()


async def sign_in_figures(failed: FailedCodes) -> str:
    """Codes that signed nobody in."""
    registry = CollectorRegistry()
    counter = Counter(
        "aitelier_failed_codes", "Codes of sign-ins and second factors that were wrong.", ["kind"], registry=registry
    )
    for kind, count in failed.counts.items():
        counter.labels(kind=kind).inc(count)
    return generate_latest(registry).decode()


async def edge_figures(run_folder: Path) -> str:
    """The edge's own figures. Raises `OSError` or `TimeoutError` when it is away."""
    return (await request_report(run_folder / CONTROL_NAME)).metrics


async def desk_figures(run_folder: Path) -> str:
    """Calls by state, as the desk sees them. Raises `ConnectionError` when it is away."""
    try:
        calls = (await ask(run_folder, LiveCallsRequested(), LiveCallsListed)).calls
    except DeskAwayError as error:
        raise ConnectionError(str(error)) from error
    registry = CollectorRegistry()
    gauge = Gauge("aitelier_calls", "Calls that are up, by state.", ["state"], registry=registry)
    for call in calls:
        gauge.labels(state=call.state).inc()
    return generate_latest(registry).decode()


async def jobs_figures(run_folder: Path) -> str:
    """The jobs of all machines. Raises `TimeoutError` when this one's process has not looked lately."""
    path = run_folder / JOBS_FIGURES
    if not path.exists() or time.time() - path.stat().st_mtime > _FIGURES_OLD_S:
        raise TimeoutError("the process of the jobs has not written figures lately")
    return path.read_text(encoding="utf-8")


async def process_figures(run_folder: Path) -> str:
    """Which processes are up and how often each was started again."""
    status = read_status(run_folder)
    registry = CollectorRegistry()
    up = Gauge("aitelier_process_up", "1 while the process does its work.", ["process"], registry=registry)
    restarts = Gauge("aitelier_process_restarts", "Starts after the first one.", ["process"], registry=registry)
    for process in status.processes if status is not None else ():
        up.labels(process=process.name).set(1 if process.ready else 0)
        restarts.labels(process=process.name).set(process.restarts)
    return generate_latest(registry).decode()

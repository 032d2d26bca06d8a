"""What the server says of itself to anyone: whether it lives, what it lacks, its figures, and who else gets data."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Final

import structlog
from aiohttp import web

from policies import security_txt
from policies.problems import Problem

log = structlog.get_logger()

Problems = Callable[[], Awaitable[Sequence[Problem]]]
"""What does not work now."""
Figures = Callable[[], Awaitable[str]]
"""Figures of one part in Prometheus' text format."""
Listed = Callable[[], bytes | None]
"""The register of sub-processors as JSON; None while it is not known."""

PROBLEMS: Final = web.AppKey[Problems]("problems")
FIGURES: Final = web.AppKey[Mapping[str, Figures]]("figures")
LISTED: Final = web.AppKey[Listed]("listed")
BASE_URL: Final = web.AppKey[str | None]("base_url")


async def health(_request: web.Request) -> web.Response:
    """200 as long as this process answers at all."""
    return web.json_response({"status": "ok"})


async def readiness(request: web.Request) -> web.Response:
    """200 while calls are taken and nothing of them is lost, 503 otherwise; with every problem and what to do."""
    problems = await request.app[PROBLEMS]()
    missing = sorted(problem.part for problem in problems if not problem.calls_go_on)
    content = {"ready": not missing, "waiting_for": missing, "problems": [asdict(problem) for problem in problems]}
    return web.json_response(content, status=503 if missing else 200)


async def metrics(request: web.Request) -> web.Response:
    """The figures of all parts that answer; one that does not is named by `aitelier_part_answers 0`."""
    texts: list[str] = []
    answers: list[str] = []
    for name, gather in request.app[FIGURES].items():
        try:
            texts.append((await gather()).rstrip("\n"))
        except (OSError, TimeoutError, ValueError) as error:
            log.warning("figures_missing", part=name, error=type(error).__name__)
            answers.append(f'aitelier_part_answers{{part="{name}"}} 0')
        else:
            answers.append(f'aitelier_part_answers{{part="{name}"}} 1')
    texts.append("\n".join(("# TYPE aitelier_part_answers gauge", *answers)))
    body = "\n".join(filter(None, texts)) + "\n"
    return web.Response(body=body.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def security(request: web.Request) -> web.Response:
    """How to report a weakness (RFC 9116)."""
    return web.Response(text=security_txt.security_txt(request.app[BASE_URL]))


async def security_policy(_request: web.Request) -> web.Response:
    """What somebody who reports one may expect."""
    return web.Response(text=security_txt.policy())


async def security_thanks(_request: web.Request) -> web.Response:
    """The hall of fame."""
    return web.Response(text=security_txt.thanks())


async def subprocessors(request: web.Request) -> web.Response:
    """Who else gets data: no list rather than one that leaves somebody out."""
    listed = request.app[LISTED]()
    if listed is None:
        return web.json_response({"title": "The register is not known yet. Try again soon."}, status=503)
    return web.Response(body=listed, content_type="application/json")

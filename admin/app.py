"""The admin's web application: every URL and its handler on one page.

Now: whether the server lives (`/healthz`), whether it would take a call (`/readyz`), and its figures (`/metrics`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import structlog
from aiohttp import web

log = structlog.get_logger()

Ready = Callable[[], Mapping[str, bool]]
"""Each part of the server by name, and whether it does its work."""
Figures = Callable[[], Awaitable[str]]
"""Figures of one part in Prometheus' text format."""

READY: Final = web.AppKey[Ready]("ready")
FIGURES: Final = web.AppKey[Mapping[str, Figures]]("figures")

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(ready: Ready, figures: Mapping[str, Figures]) -> web.Application:
    """The application.

    Args:
        ready: Asked for each `/readyz`.
        figures: Where `/metrics` gathers from, by the name of the part.
    """
    app = web.Application(client_max_size=64 << 10)
    app[READY] = ready
    app[FIGURES] = figures
    app.on_response_prepare.append(_add_headers)
    app.add_routes(
        [
            web.get("/healthz", health),
            web.get("/readyz", readiness),
            web.get("/metrics", metrics),
        ]
    )
    return app


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


async def health(_request: web.Request) -> web.Response:
    """200 as long as this process answers at all."""
    return web.json_response({"status": "ok"})


async def readiness(request: web.Request) -> web.Response:
    """200 when every part of the server works, 503 and their names when some do not."""
    parts = request.app[READY]()
    missing = sorted(name for name, works in parts.items() if not works)
    ready = bool(parts) and not missing
    return web.json_response({"ready": ready, "waiting_for": missing}, status=200 if ready else 503)


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
    return web.Response(
        body=body.encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8", **_HEADERS}
    )

"""The admin's web application: the routes, behind the door, and what every answer carries."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import structlog
from aiohttp import web

from admin.door import behind_the_door
from admin.probes import BASE_URL, FIGURES, LISTED, PROBLEMS, Figures, Listed, Problems
from admin.problems import ProblemError, as_answer
from admin.routes import ROUTES
from admin.services import SERVICES, Services
from store.engine import StoreAwayError
from voice.waist.messages import DeskAwayError

log = structlog.get_logger()

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_LARGEST_BODY = 64 << 10
"""Bytes."""


def make_app(
    problems: Problems,
    figures: Mapping[str, Figures],
    services: Services | None,
    *,
    listed: Listed = lambda: None,
    base_url: str | None = None,
) -> web.Application:
    """The application.

    Args:
        problems: Asked for each `/readyz`.
        figures: Where `/metrics` gathers from, by the name of the part.
        services: What everything behind a sign-in works with.
        listed: Asked for each `/subprocessors.json`.
        base_url: Under which strangers reach the server by https, without a slash at the end; None where they do not.
    """
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[_answer_problems])
    app[PROBLEMS] = problems
    app[FIGURES] = figures
    app[LISTED] = listed
    app[BASE_URL] = base_url
    if services is not None:
        app[SERVICES] = services
    app.on_response_prepare.append(_add_headers)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, behind_the_door(route))
    return app


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")


@web.middleware
async def _answer_problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProblemError as error:
        return as_answer(error)
    except (StoreAwayError, DeskAwayError):
        return as_answer(
            ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "A part of the server does not answer.",
                remedy="Try again soon; /readyz says which part it is",
            )
        )

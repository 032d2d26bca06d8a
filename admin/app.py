"""The admin's web application: the routes, behind the door, and what every answer carries."""

from collections.abc import Mapping
from typing import Final

from aiohttp import web

from admin.auth.identify import TOKENS, keep_signed_in
from admin.auth.tokens import Tokens
from admin.door import behind_the_door
from admin.errors import answer_errors
from admin.guards import guard
from admin.headers import add_headers
from admin.probes import BASE_URL, FIGURES, LISTED, PROBLEMS, Figures, Listed, Problems
from admin.rates import RATES, Rates
from admin.route import Operation, Route
from admin.routes import ROUTES
from admin.services import SERVICES, Services
from admin.shared_answers import SHARED, SharedAnswers

_LARGEST_BODY: Final = 64 << 10
"""Bytes."""


def make_app(
    problems: Problems,
    figures: Mapping[str, Figures],
    services: Services | None,
    *,
    listed: Listed = lambda: None,
    base_url: str | None = None,
    rates: Rates | None = None,
) -> web.Application:
    """The application.

    Args:
        problems: Asked for each `/readyz`.
        figures: Where `/metrics` gathers from, by the name of the part.
        services: What everything behind a sign-in works with.
        listed: Asked for each `/subprocessors.json`.
        base_url: Under which strangers reach the server by https, without a slash at the end; None where they do not.
        rates: What the HTTP API takes from each.
    """
    app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[answer_errors, guard])
    app[PROBLEMS] = problems
    app[FIGURES] = figures
    app[LISTED] = listed
    app[BASE_URL] = base_url
    app[RATES] = rates or Rates()
    app[SHARED] = SharedAnswers()
    if services is not None:
        app[SERVICES] = services
        app[TOKENS] = Tokens()
    app.on_response_prepare.append(add_headers)
    app.on_response_prepare.append(keep_signed_in)
    for route in ROUTES:
        handler = behind_the_door(route)
        app.router.add_route(route.method, route.path, handler)
        if route.method == "GET" and not _goes_on(route):
            app.router.add_route("HEAD", route.path, handler)
    return app


def _goes_on(route: Route) -> bool:
    """Whether the answer has no end, so that nobody can wait for what its headers would be."""
    return isinstance(route, Operation) and route.media_type == "text/event-stream"

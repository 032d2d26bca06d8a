"""What is looked at in every request, before anybody asks who sent it."""

import ipaddress
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

from aiohttp import web

from admin.csrf import refuse_foreign
from admin.problems import ProblemError
from admin.services import SERVICES

_LONGEST_PATH: Final = 4096
"""Characters, with the query."""


@web.middleware
async def guard(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let in what is meant for this server, can be read, and was sent by no other site's page."""
    if not _is_meant_for_us(request):
        raise ProblemError(
            HTTPStatus.MISDIRECTED_REQUEST,
            "This server is not reached under that name.",
            field="Host",
            remedy="Use the address that the server has printed at its start",
        )
    if len(request.raw_path) > _LONGEST_PATH:
        raise ProblemError(HTTPStatus.REQUEST_URI_TOO_LONG, "The address is too long.", remedy="Ask for less at once")
    if "\0" in unquote(request.raw_path):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "The address holds a character that no text has.", field="path")
    refuse_foreign(request)
    return await handler(request)


def _is_meant_for_us(request: web.Request) -> bool:
    """Whether the name is ours: over plain HTTP, somebody's DNS could bring a browser here under theirs.

    Over TLS the browser has compared it with the certificate.
    """
    if request.secure:
        return True
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 6.3
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        services = request.app.get(SERVICES)
        return services is not None and name == urlsplit(services.base_url).hostname
    return True

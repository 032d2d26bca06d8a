"""What went wrong, told to whoever asked: problem details for programs, a page or the way on for people.

Nothing of an error that nobody foresaw is told, and of what it says nothing is logged: it may be personal. Where it
happened is.
"""

import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import structlog
from aiohttp import web

from admin.ask import ENROL, STEP_UP
from admin.pages import confirm
from admin.pages.render import problem_page
from admin.paths import came_from, safe_path
from admin.problems import ConflictError, ProblemError, as_answer
from store.blobs import BlobsAwayError
from store.engine import StoreAwayError
from store.visibility import LockedError
from voice.waist.messages import DeskAwayError

log = structlog.get_logger()

_SAYS: Final = {
    HTTPStatus.BAD_REQUEST: ("This is no request that can be read.", "Send it as HTTP/1.1 with a plain path"),
    HTTPStatus.NOT_FOUND: ("There is no such thing here.", "The API is described at /api, and in /api/v1/openapi.json"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("This cannot be done here.", "Use a method that the header Allow names"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("This is too large.", "Send less at once"),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "This failed, and it is the server's fault.",
        "Try again; if it stays so, tell the operator the time: the log says where it failed",
    ),
}
_NOTED: Final = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_OWN_FIELDS: Final = frozenset({"Host", "Origin", "csrf_token", "X-CSRF-Token"})
_WAY_ON: Final = {STEP_UP: "/account/confirm", ENROL: "/account/security"}


@web.middleware
async def answer_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever ends a request into an answer."""
    try:
        return await handler(request)
    except ProblemError as error:
        return await _before_confirming(request, error) or _answer(request, error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _answer(request, _of_framework(error))
    except LockedError as error:
        return _answer(request, ConflictError(error.problem, remedy=error.remedy))
    except (StoreAwayError, DeskAwayError, BlobsAwayError):
        return _answer(request, away())
    except ConnectionError:  # whoever asked has gone
        raise
    except Exception as error:  # noqa: BLE001 - the last net: everything else is a defect, and is answered as one
        _tell(request, error)
        return _answer(request, _plain(HTTPStatus.INTERNAL_SERVER_ERROR))


def away() -> ProblemError:
    """503: a part of the server does not answer."""
    error = ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "A part of the server does not answer.",
        remedy="Try again soon; /readyz says which part it is",
    )
    error.headers["Retry-After"] = "5"
    return error


def _of_framework(error: web.HTTPException) -> ProblemError:
    status = HTTPStatus(error.status)
    problem = _plain(status)
    if "Allow" in error.headers:
        problem.headers["Allow"] = error.headers["Allow"]
    return problem


def _plain(status: HTTPStatus) -> ProblemError:
    detail, remedy = _SAYS.get(status, (f"{status.phrase}.", ""))
    return ProblemError(status, detail, remedy=remedy)


def _tell(request: web.Request, error: Exception) -> None:
    """Name the error and where it was raised; its text and the request's may be personal."""
    frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:]]
    resource = request.match_info.route.resource
    log.error(
        "request_failed",
        method=request.method if request.method.isalpha() else "?",
        route=None if resource is None else resource.canonical,
        error=type(error).__name__,
        at=" ".join(frames),
    )


def _note(request: web.Request, error: ProblemError) -> None:
    """Have a refusal in the log: what was asked for, and why not; not who, which would be personal."""
    if error.status in _NOTED:
        resource = request.match_info.route.resource
        log.info(
            "request_refused",
            method=request.method if request.method.isalpha() else "?",
            route=None if resource is None else resource.canonical,
            status=error.status.value,
            field=error.problem.field if error.problem.field in _OWN_FIELDS else "",
        )


def _answer(request: web.Request, error: ProblemError) -> web.Response:
    _note(request, error)
    if not _is_for_people(request):
        return as_answer(error)
    onwards = _way_on(request, error)
    if onwards is not None:
        return _sent_to(request, onwards)
    return problem_page(request, error)


async def _before_confirming(request: web.Request, error: ProblemError) -> web.Response | None:
    """What a person gets whose form came too late for its second factor: what they typed is not lost."""
    if error.problem.type != STEP_UP or request.method != "POST" or not _is_for_people(request):
        return None
    try:
        asking = await confirm.ask_before(request, came_from(request))
    except StoreAwayError:
        return None
    if asking is not None:
        _note(request, error)
    return asking


def _is_for_people(request: web.Request) -> bool:
    return not request.path.startswith("/api/") and "text/html" in request.headers.get("Accept", "")


def _way_on(request: web.Request, error: ProblemError) -> str | None:
    """Where a person can do what is missing; after it they come back to the page they were on."""
    if error.status is HTTPStatus.UNAUTHORIZED:
        way = "/sign-in"
    elif error.problem.type in _WAY_ON:
        way = _WAY_ON[error.problem.type]
    else:
        return None
    back = safe_path(request.raw_path) if request.method in {"GET", "HEAD"} else came_from(request)
    return f"{way}?next={quote(back, safe='/')}"


def _sent_to(request: web.Request, url: str) -> web.Response:
    """303 for a browser; what htmx asked for, it would put into the page instead."""
    if request.headers.get("HX-Request") == "true":
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": url})
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": url})

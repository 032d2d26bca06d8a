"""What went wrong, as an answer: problem details (RFC 9457) for programs, a page for people."""

from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

CONTENT_TYPE = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Problem details. `field` and `remedy` are ours (RFC 9457 section 3.2)."""

    title: str
    status: int
    type: str = "about:blank"
    detail: str = ""
    field: str = ""
    """What of the request is meant: a name in the body, the query or the path, or a header."""
    remedy: str = ""
    """What to do next."""


class ProblemError(Exception):
    """Ends a request with this status. Its texts are shown: nothing personal, nothing of another tenant."""

    def __init__(
        self, status: HTTPStatus, detail: str, *, field: str = "", remedy: str = "", kind: str = "about:blank"
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers: dict[str, str] = {}
        self.problem = Problem(
            title=status.phrase, status=status.value, type=kind, detail=detail, field=field, remedy=remedy
        )


class NotThereError(ProblemError):
    """404: it does not exist, or not for whoever asks."""

    def __init__(self, detail: str = "There is no such thing here.", **more: Any) -> None:
        super().__init__(HTTPStatus.NOT_FOUND, detail, **more)


class RefusedError(ProblemError):
    """403: it exists, and whoever asks may not."""

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail, **more)


class BadRequestError(ProblemError):
    """422: understood, and wrong; names the field."""

    def __init__(self, detail: str, *, field: str, remedy: str = "") -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, detail, field=field, remedy=remedy)


class ConflictError(ProblemError):
    """409: not as things are now."""

    def __init__(self, detail: str, **more: Any) -> None:
        super().__init__(HTTPStatus.CONFLICT, detail, **more)


def as_answer(error: ProblemError) -> web.Response:
    """For programs."""
    return web.Response(
        body=msgspec.json.encode(error.problem),
        status=error.status.value,
        content_type=CONTENT_TYPE,
        headers={"Cache-Control": "no-store", **error.headers},
    )

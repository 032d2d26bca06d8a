"""Running an operation of the HTTP API: parameters in, by the handler's signature; its answer out, as JSON."""

import functools
import inspect
import re
import typing
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from admin.ask import Ask
from admin.problems import BadRequestError, NotThereError, ProblemError
from admin.route import Operation, Visit

TENANT: Final = "tenant_id"
"""The parameter by which a person says whose things are meant; of a key it is known."""
_TOO_LARGE: Final = 1 << 63
_UNUSUAL: Final = re.compile(rb"\\u0000|[0-9]{19}")
"""Stands in JSON that may hold what no column does."""


class Signature(msgspec.Struct, frozen=True):
    """What an operation takes besides who asks, and what it gives."""

    path: dict[str, Any]
    """Types by the names in the path."""
    query: Any
    """A struct, or None."""
    body: Any
    """A struct, or None."""
    answer: Any
    """A struct; None for 204; `web.StreamResponse` for what the handler answers itself."""


@functools.cache
def signature_of(handler: Callable[..., Any]) -> Signature:
    """Read it from the function."""
    hints = typing.get_type_hints(handler)
    answer = hints.pop("return")
    _who, *names = inspect.signature(handler).parameters
    return Signature(
        path={name: hints[name] for name in names if name not in {"query", "body"}},
        query=hints.get("query"),
        body=hints.get("body"),
        answer=None if answer is type(None) else answer,
    )


async def run_operation(route: Operation, who: Ask | Visit | web.Request) -> web.StreamResponse:
    """Call it, for whoever may.

    Raises:
        ProblemError: 404 for an id that is none, 422 naming the field, and what the operation itself refuses.
    """
    request = who if isinstance(who, web.Request) else who.request
    signature = signature_of(route.handler)
    given: dict[str, Any] = {}
    for name, kind in signature.path.items():
        try:
            given[name] = msgspec.convert(request.match_info[name], kind, strict=False)
        except msgspec.ValidationError:
            raise NotThereError from None
    query = _query(request, signature.query)
    if signature.query is not None:
        given["query"] = query
    if signature.body is not None:
        given["body"] = await _body(request, signature.body)
    answer = await route.handler(who, **given)
    if isinstance(answer, web.StreamResponse):
        return answer
    headers = {"Cache-Control": "no-store"}
    if answer is None:
        return web.Response(status=204, headers=headers)
    return web.Response(
        body=msgspec.json.encode(answer), status=route.status, content_type=route.media_type, headers=headers
    )


def _query(request: web.Request, kind: Any) -> Any:
    fields = {one.encode_name: one for one in msgspec.structs.fields(kind)} if kind is not None else {}
    values: dict[str, str | list[str]] = {}
    for name in request.query:
        if name == TENANT:
            continue
        if name not in fields:
            raise BadRequestError("There is no such parameter.", field=name, remedy="/api lists those that there are")
        given = request.query.getall(name)
        if typing.get_origin(fields[name].type) in {list, tuple}:
            values[name] = given
        elif len(given) > 1:
            raise BadRequestError("This is given twice.", field=name)
        else:
            values[name] = given[0]
    if kind is None:
        return None
    try:
        query = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(error, "query") from None
    for name, field in fields.items():
        _refuse_what_no_column_holds(getattr(query, field.name), name)
    return query


async def _body(request: web.Request, kind: Any) -> Any:
    content = await request.read()
    if not content and type(None) in typing.get_args(kind):
        return None
    if request.content_type != "application/json":
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The body is JSON.",
            field="Content-Type",
            remedy="Send Content-Type: application/json",
        )
    try:
        body = msgspec.json.decode(content, type=kind)
        if _UNUSUAL.search(content):
            _refuse_what_no_column_holds(msgspec.json.decode(content), "body")
    except msgspec.ValidationError as error:
        raise _wrong(error, "body") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequestError("The body is no JSON.", field="body") from None
    return body


def _refuse_what_no_column_holds(value: Any, field: str) -> None:
    """PostgreSQL has no text with U+0000 in it, and its integers have 64 bits."""
    match value:
        case str() if "\0" in value:
            raise BadRequestError("A text holds a character that no text has.", field=field, remedy="Leave out U+0000")
        case int() if not -_TOO_LARGE <= value < _TOO_LARGE:
            raise BadRequestError("This number is too large.", field=field)
        case dict():
            for pair in value.items():
                _refuse_what_no_column_holds(list(pair), field)
        case list() | tuple():
            for part in value:
                _refuse_what_no_column_holds(part, field)


def _wrong(error: msgspec.ValidationError, where: str) -> BadRequestError:
    """Msgspec's words name the place as `$.field`; they hold no value that was sent, except the name of a field."""
    text, _, place = str(error).partition(" - at `")
    return BadRequestError(f"{text}.", field=place.rstrip("`").removeprefix("$").removeprefix(".") or where)

"""Running an operation of the HTTP API: parameters in, by the handler's signature; its answer out, as JSON."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from admin.ask import Ask
from admin.problems import BadRequestError, NotThereError
from admin.route import Operation


class Signature(msgspec.Struct, frozen=True):
    """What an operation takes besides the `Ask`, and what it gives."""

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
    names = [name for name in inspect.signature(handler).parameters if name != "ask"]
    return Signature(
        path={name: hints[name] for name in names if name not in {"query", "body"}},
        query=hints.get("query"),
        body=hints.get("body"),
        answer=answer,
    )


async def run_operation(route: Operation, ask: Ask) -> web.StreamResponse:
    """Call it.

    Raises:
        ProblemError: 404 for an id that is none, 422 naming the field, and what the operation itself refuses.
    """
    signature = signature_of(route.handler)
    given: dict[str, Any] = {}
    for name, kind in signature.path.items():
        try:
            given[name] = msgspec.convert(ask.request.match_info[name], kind, strict=False)
        except msgspec.ValidationError:
            raise NotThereError from None
    if signature.query is not None:
        given["query"] = _query(ask.request, signature.query)
    if signature.body is not None:
        given["body"] = await _body(ask.request, signature.body)
    answer = await route.handler(ask, **given)
    if isinstance(answer, web.StreamResponse):
        return answer
    headers = {"Cache-Control": "no-store"}
    if answer is None:
        return web.Response(status=204, headers=headers)
    return web.Response(
        body=msgspec.json.encode(answer), status=route.status, content_type=route.media_type, headers=headers
    )


def _query(request: web.Request, kind: Any) -> Any:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise BadRequestError("This is given twice.", field=name)
        if name != "tenant_id":
            values[name] = value
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _wrong(error, "query") from None


async def _body(request: web.Request, kind: Any) -> Any:
    if request.content_type != "application/json":
        raise BadRequestError("The body is JSON.", field="Content-Type", remedy="Send Content-Type: application/json")
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.ValidationError as error:
        raise _wrong(error, "body") from None
    except msgspec.DecodeError:
        raise BadRequestError("The body is no JSON.", field="body") from None


def _wrong(error: msgspec.ValidationError, where: str) -> BadRequestError:
    """Msgspec's words name the place as `$.field`; they hold no value that was sent, except the name of a field."""
    text, _, place = str(error).partition(" - at `")
    return BadRequestError(f"{text}.", field=place.rstrip("`").removeprefix("$").removeprefix(".") or where)

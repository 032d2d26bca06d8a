"""The HTTP API for people: each operation with what it needs and the line that calls it."""

import functools
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from admin import openapi
from admin.examples import example_of
from admin.openapi import Json
from admin.operations import signature_of
from admin.pages.render import open_page
from admin.route import Open, Operation
from admin.services import SERVICES
from policies.access import Scope

KEY: Final = "$KEY"
"""In the lines: the shell's variable with the API key."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as the page and the README show it."""

    method: str
    path: str
    summary: str
    scope: str
    """Empty where none is needed."""
    curl: str
    parameters: Sequence[Json]
    answer: str
    """An example, or empty."""


async def description(request: web.Request) -> web.Response:
    """The description of the API (OpenAPI 3.1)."""
    return web.json_response(_description(request.app[SERVICES].base_url), content_type="application/json")


async def documentation(request: web.Request) -> web.Response:
    """The API for people."""
    base_url = request.app[SERVICES].base_url
    nouns: dict[str, list[Shown]] = {}
    for operation in _operations():
        nouns.setdefault(openapi.noun_of(operation), []).append(shown(operation, base_url))
    return open_page(request, "api.html", nouns=dict(sorted(nouns.items())), base_url=base_url, key=KEY)


@functools.cache
def _description(base_url: str) -> Json:
    return openapi.document(_operations(), base_url)


def _operations() -> Sequence[Operation]:
    from admin.api_routes import API  # noqa: PLC0415 - names this page, too

    return API


@functools.lru_cache(maxsize=1024)
def shown(operation: Operation, base_url: str) -> Shown:
    """What there is to tell of an operation."""
    _, _, answer, components = openapi.schemas_of_handler(operation)
    described: Json = openapi.document([operation], base_url)["paths"][operation.path][operation.method.lower()]
    example = None if answer is None else example_of(answer, components)
    return Shown(
        method=operation.method,
        path=operation.path,
        summary=openapi.summary_of(operation),
        scope=operation.needs.value if isinstance(operation.needs, Scope) else "",
        curl=curl(operation, base_url),
        parameters=[one for one in described["parameters"] if one["in"] == "query" and one["name"] != "tenant_id"],
        answer="" if example is None else json.dumps(example, indent=2, ensure_ascii=False),
    )


def curl(operation: Operation, base_url: str) -> str:
    """The line that calls it. Ids are the shell's variables, such as `$SESSION_ID`."""
    path = operation.path
    for name in signature_of(operation.handler).path:
        path = path.replace("{" + name + "}", "$" + name.upper())
    parts = ["curl -sS --fail-with-body"]
    if operation.media_type == "text/event-stream":
        parts.append("-N")
    if operation.method != "GET":
        parts.append(f"-X {operation.method}")
    if operation.needs is not Open.ANYONE:
        parts.append(f'-H "Authorization: Bearer {KEY}"')
    if operation.method == "POST" and isinstance(operation.needs, Scope):
        parts.append('-H "Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)"')
    query, body, _, components = openapi.schemas_of_handler(operation)
    if body is not None:
        text = json.dumps(example_of(body, components), ensure_ascii=False)
        parts += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(text)}"]
    return " ".join([*parts, f'"{base_url}{path}{_needed(query, components)}"'])


def _needed(query: Json | None, components: Json) -> str:
    """The query, of what cannot be left out."""
    if query is None:
        return ""
    schema = openapi.resolved(query, components)
    pairs: list[tuple[str, Any]] = [
        (name, example_of(one, components, name))
        for name, one in schema["properties"].items()
        if name in schema.get("required", ())
    ]
    return "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""

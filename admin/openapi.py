"""The description of the HTTP API (OpenAPI 3.1), read from the operations' signatures: what it says is what is done."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final

import msgspec
from aiohttp import web

from admin import idempotency, rates
from admin.examples import example_of
from admin.operations import TENANT, Signature, signature_of
from admin.problems import CONTENT_TYPE, Problem
from admin.route import Open, Operation
from policies.access import Scope

Json = dict[str, Any]
PATH: Final = "/api/v1/openapi.json"
_TEMPLATE: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_SAYS: Final[Mapping[int, str]] = {
    206: "The piece that `Range` asks for; `Content-Range` says which it is.",
    304: "It is as it was when its `ETag` was told.",
    400: "The request cannot be read.",
    401: "Nobody is known who asks.",
    403: "Whoever asks may not; `type` says whether a second factor would help.",
    404: "It does not exist, or not for whoever asks.",
    409: "Not as things are now.",
    410: "It was there, and is gone for good.",
    412: "Somebody has changed it meanwhile.",
    413: "The body is too large.",
    414: "The address is too long.",
    415: "The body is of a type that is not taken here.",
    416: "There is no such range.",
    421: "This server is not reached under that name.",
    422: "Understood, and wrong: `field` says where.",
    428: "Say which version is meant, by `If-Match`.",
    429: "More requests than the limit allows.",
    500: "The server's fault. The log says where.",
    502: "Whom the server asked did not understand.",
    503: "A part of the server does not answer.",
    504: "A part of the server did not answer in time.",
}
_OF_ALL: Final = (400, 404, 414, 421, 422, 429, 500, 503)
_ABOUT: Final = """\
For everything that the web admin can do, by the same functions.

**Who asks**: an API key as `Authorization: Bearer ait_live_…`, which acts in its own tenant, or a person's access
token, who names the tenant with `?tenant_id=`. Each operation needs one scope.

**Lists** answer with `items`. Those that take `limit` and `cursor` come in pages, and answer with `next_cursor`, which
is null on the last one; the others come whole. Ids are UUIDs (version 7), times UTC (RFC 3339).

**Errors** are problem details (RFC 9457): `detail` says what is wrong, `field` where, `remedy` what to do.

**Sent again**: a POST with an `Idempotency-Key` is done once; for a day the same request gets the same answer.

**Limits**: `RateLimit-Policy` and `RateLimit` tell what is left; after a 429 wait for `Retry-After` seconds."""


def document(operations: Sequence[Operation], server: str) -> Json:
    """The whole description; `server` is where it is reached."""
    signatures = {operation: signature_of(operation.handler) for operation in operations}
    schemas, components = _schemas_of([Problem, *_kinds(signatures.values())])
    paths: Json = {}
    for operation, signature in signatures.items():
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, signature, schemas, components
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Aitelier",
            "version": version("aitelier"),
            "summary": "The voice-agent server's HTTP API.",
            "description": _ABOUT,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": server}],
        "tags": [{"name": name} for name in sorted({noun_of(operation) for operation in operations})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "responses": {f"Problem{status}": _problem(status) for status in _SAYS if status >= HTTPStatus.BAD_REQUEST},
            "headers": _HEADERS,
            "securitySchemes": _SECURITY,
        },
    }


def noun_of(operation: Operation) -> str:
    """What it is about: the part of its path after `/api/v1`."""
    return operation.path.split("/")[3]


def summary_of(operation: Operation) -> str:
    """The first sentence of the handler's docstring."""
    return (inspect.getdoc(operation.handler) or "").split("\n\n")[0].replace("\n", " ").strip()


def _description_of(operation: Operation) -> str:
    """What follows the first sentence, without the sections for those who read the program."""
    _, _, rest = (inspect.getdoc(operation.handler) or "").partition("\n\n")
    for section in ("Raises:", "Args:", "Returns:", "Yields:"):
        rest = rest.partition(section)[0]
    return rest.strip()


def statuses_of(operation: Operation) -> Sequence[int]:
    """Every status that the operation may answer, the success first."""
    signature = signature_of(operation.handler)
    found = {*_OF_ALL, *operation.problems}
    if operation.needs is not Open.ANYONE:
        found |= {401, 403}
    if signature.body is not None:
        found |= {413, 415}
    if operation.method == "POST":
        found.add(409)
    if operation.takes_range:
        found |= {206, 416}
    return (204 if signature.answer is None else operation.status, *sorted(found))


def answers_itself(signature: Signature) -> bool:
    """Whether the handler makes the response, as for files and streams."""
    return isinstance(signature.answer, type) and issubclass(signature.answer, web.StreamResponse)


@functools.cache
def schemas_of_handler(operation: Operation) -> tuple[Json | None, Json | None, Json | None, Json]:
    """Schemas of the query, the body and the answer of one operation, and the components that they name."""
    signature = signature_of(operation.handler)
    schemas, components = _schemas_of(_kinds([signature]))
    answer = None if answers_itself(signature) else signature.answer
    query, body, answered = (
        None if kind is None else schemas[kind] for kind in (signature.query, signature.body, answer)
    )
    return query, body, answered, components


def _kinds(signatures: Any) -> list[Any]:
    found: dict[Any, None] = {}
    for signature in signatures:
        for kind in (*signature.path.values(), signature.query, signature.body, signature.answer):
            if kind is not None and not (isinstance(kind, type) and issubclass(kind, web.StreamResponse)):
                found[kind] = None
    return list(found)


def _schemas_of(kinds: Sequence[Any]) -> tuple[Mapping[Any, Json], Json]:
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
    return dict(zip(kinds, schemas, strict=True)), components


def _operation(operation: Operation, signature: Signature, schemas: Mapping[Any, Json], components: Json) -> Json:
    described: Json = {
        "operationId": operation.handler.__name__,
        "summary": summary_of(operation),
        "tags": [noun_of(operation)],
        "parameters": _parameters(operation, signature, schemas, components),
        "responses": _responses(operation, signature, schemas, components),
        "security": _security(operation),
    }
    if isinstance(operation.needs, Scope):
        described["x-scope"] = operation.needs.value
    if rest := _description_of(operation):
        described["description"] = rest
    if signature.body is not None:
        schema = schemas[signature.body]
        content = {_JSON: {"schema": schema, "example": example_of(schema, components)}}
        described["requestBody"] = {"required": not _may_be_null(schema), "content": content}
    return described


def _may_be_null(schema: Json) -> bool:
    return any(one.get("type") == "null" for one in schema.get("anyOf", ()))


def _parameters(
    operation: Operation, signature: Signature, schemas: Mapping[Any, Json], components: Json
) -> list[Json]:
    found: list[Json] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schemas[kind],
            "example": example_of(schemas[kind], components),
        }
        for name, kind in signature.path.items()
    ]
    if signature.query is not None:
        schema = resolved(schemas[signature.query], components)
        required = schema.get("required", ())
        for name, one in schema["properties"].items():
            parameter = {"name": name, "in": "query", "required": name in required, "schema": without_null(one)}
            if text := one.get("description"):
                parameter["description"] = text
            found.append(parameter)
    if operation.takes_range:
        found.append(
            {
                "name": "Range",
                "in": "header",
                "required": False,
                "schema": {"type": "string"},
                "example": "bytes=0-65535",
                "description": "Which piece, as RFC 9110 14.2 writes it; of several the whole is answered.",
            }
        )
    if isinstance(operation.needs, Scope):
        found.append(
            {
                "name": TENANT,
                "in": "query",
                "required": False,
                "schema": {"type": "string", "format": "uuid"},
                "description": "Whose things are meant, of a person; a key's tenant is known.",
            }
        )
        if operation.method == "POST":
            found.append(
                {
                    "name": idempotency.HEADER,
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string", "pattern": "^[!-~]+$", "maxLength": idempotency.LONGEST},
                    "description": "Chosen at random by whoever asks; the same request is done once under it.",
                }
            )
    return found


def resolved(schema: Json, components: Json) -> Json:
    """What a reference means."""
    reference = schema.get("$ref")
    return schema if reference is None else components[reference.rpartition("/")[2]]


def without_null(schema: Json) -> Json:
    """A query has no null: what may be left out is left out."""
    rest = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    kept = {name: value for name, value in schema.items() if name not in {"anyOf", "description"}}
    if kept.get("default", "") is None:
        del kept["default"]
    if not rest:
        return kept
    return {**kept, **rest[0]} if len(rest) == 1 else {**kept, "anyOf": rest}


def _responses(operation: Operation, signature: Signature, schemas: Mapping[Any, Json], components: Json) -> Json:
    first, *others = statuses_of(operation)
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in ("RateLimit", "RateLimit-Policy")}
    if not isinstance(operation.needs, Scope):
        headers = {}
    if operation.takes_range:
        headers["Accept-Ranges"] = {"$ref": "#/components/headers/Accept-Ranges"}
    success: Json = {"description": HTTPStatus(first).phrase, "headers": headers}
    if answers_itself(signature) and first != HTTPStatus.NO_CONTENT:
        success["content"] = {operation.media_type: {"schema": {"type": "string"}}}
    elif signature.answer is not None and not answers_itself(signature):
        schema = schemas[signature.answer]
        success["content"] = {operation.media_type: {"schema": schema, "example": example_of(schema, components)}}
    responses: Json = {str(first): success}
    for status in others:
        if status < HTTPStatus.BAD_REQUEST:
            responses[str(status)] = {**success, "description": _SAYS.get(status, HTTPStatus(status).phrase)}
            if status == HTTPStatus.PARTIAL_CONTENT:
                told = {"Content-Range": {"$ref": "#/components/headers/Content-Range"}}
                responses[str(status)]["headers"] = {**headers, **told}
        else:
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    return responses


def _problem(status: int) -> Json:
    example = {"title": HTTPStatus(status).phrase, "status": status, "detail": _SAYS[status]}
    content = {CONTENT_TYPE: {"schema": {"$ref": _TEMPLATE.format(name="Problem")}, "example": example}}
    found: Json = {"description": _SAYS[status], "content": content}
    if status in {429, 503}:
        found["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        found["headers"] = {"Content-Range": {"$ref": "#/components/headers/Content-Range"}}
    return found


def _security(operation: Operation) -> list[Json]:
    if operation.needs is Open.ANYONE:
        return []
    scopes = [operation.needs.value] if isinstance(operation.needs, Scope) else []
    people: list[Json] = [{"person": scopes}, {"cookie": scopes}]
    return [{"key": scopes}, *people] if scopes else people


_HEADERS: Final[Json] = {
    "Accept-Ranges": {
        "description": "In which unit pieces are asked for.",
        "schema": {"type": "string"},
        "example": "bytes",
    },
    "Content-Range": {
        "description": "The first and the last byte of the piece, and how many there are in all; of a 416 only that.",
        "schema": {"type": "string", "pattern": "^bytes ([0-9]+-[0-9]+|\\*)/[0-9]+$"},
        "example": "bytes 0-65535/480044",
    },
    "RateLimit": {
        "description": "What is left of the limit: `r` requests in the next `t` seconds.",
        "schema": {"type": "string"},
        "example": f'"{rates.API.name}";r=1199;t=60',
    },
    "RateLimit-Policy": {
        "description": "The limit: `q` requests in `w` seconds.",
        "schema": {"type": "string"},
        "example": rates.API.policy,
    },
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
}
_SECURITY: Final[Json] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "ait_live_…",
        "description": "An API key: made under API keys in the web admin, with the scopes it needs and no others.",
    },
    "person": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The access token of somebody who has signed in, good for 15 minutes.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-aitelier_access",
        "description": "The same in a browser, which sends it to pages of the web admin only.",
    },
}

"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is not done again.

After draft-ietf-httpapi-idempotency-key-header: the same key with the same request gets the same answer for a day,
with another request 422, and while the first is still being done 409. Keys belong to whoever sends them. Only what
succeeded is kept: a request that was refused has done nothing, and may be sent again under its key.
"""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import msgspec
from aiohttp import web

from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError
from admin.route import Operation
from store import answers

HEADER: Final = "Idempotency-Key"
LONGEST: Final = 255
_KEPT_HEADERS: Final = ("Location", "ETag")


class _Answer(msgspec.Struct, frozen=True):
    """What is kept of an answer."""

    body: str
    content_type: str
    headers: dict[str, str]


async def once(route: Operation, ask: Ask, run: Callable[[], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Do it, unless it was done before under the same key.

    Raises:
        ProblemError: 409 and 422 as above, and what the operation itself refuses.
    """
    key = ask.request.headers.get(HEADER)
    if route.method != "POST" or key is None:
        return await run()
    key_hash = hashlib.sha256(_checked(key).encode()).digest()
    request_hash = await _hash_of(ask.request)
    async with ask.store() as store:
        now = datetime.fromtimestamp(ask.services.unix_time(), UTC)
        kept = await answers.begin(store, ask.actor, key_hash, request_hash, now)
    if kept is not None:
        return _again(kept, request_hash)
    response: web.StreamResponse | None = None
    try:
        response = await run()
    finally:
        text = _text_of(route, response)
        async with ask.store() as store:
            if response is not None and response.status < HTTPStatus.BAD_REQUEST:
                await answers.keep(store, ask.actor, key_hash, response.status, text)
            else:
                await answers.drop(store, ask.actor, key_hash)
    return response


def _checked(key: str) -> str:
    """The key, with or without the quotes that a structured field has (RFC 9651 3.3.3)."""
    plain = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if not 1 <= len(plain) <= LONGEST or not all("!" <= character <= "~" for character in plain):
        raise BadRequestError(
            f"This is 1 to {LONGEST} visible ASCII characters.", field=HEADER, remedy="A random UUID serves well"
        )
    return plain


async def _hash_of(request: web.Request) -> bytes:
    """What makes it the same request."""
    body = hashlib.sha256(await request.read()).digest()
    return hashlib.sha256(f"{request.method} {request.raw_path}\n".encode() + body).digest()


def _again(kept: answers.KeptAnswer, request_hash: bytes) -> web.Response:
    if kept.request_hash != request_hash:
        raise BadRequestError(
            "This key was used for another request.", field=HEADER, remedy="Send each request under a key of its own"
        )
    if kept.status is None:
        raise ConflictError(
            "The same request is being done right now.", field=HEADER, remedy="Wait a second, then send it again"
        )
    if kept.text is None:
        raise ConflictError(
            "The same request was done before, and its answer is shown only once.",
            field=HEADER,
            remedy="List what there is; if the answer is lost, undo it and start anew under another key",
        )
    answer = msgspec.json.decode(kept.text, type=_Answer)
    headers = {**answer.headers, "Idempotency-Replayed": "true"}
    body = answer.body.encode()
    if not body:
        return web.Response(status=kept.status, headers=headers)
    return web.Response(body=body, status=kept.status, content_type=answer.content_type, headers=headers)


def _text_of(route: Operation, response: web.StreamResponse | None) -> str | None:
    if route.shown_once or not isinstance(response, web.Response):
        return None
    body = response.body if isinstance(response.body, bytes | bytearray) else b""
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return msgspec.json.encode(_Answer(body.decode(), response.content_type, headers)).decode()

"""Requests that a browser was tricked into: refused by where they come from, and by a token in every form.

`refuse_foreign` looks at each request that changes something. `refuse_without_token` looks at those that a browser sent
a cookie with, once it is known whose cookie it is: a form of ours has the token of that sign-in in it, and the HTTP API
wants to see that the request comes from a page of ours.
"""

import hmac
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from admin.forms import form_of
from admin.identity import Identity
from admin.problems import RefusedError
from admin.services import Services

FIELD: Final = "csrf_token"
"""Of every form of a page: `<input type="hidden" name="csrf_token" value="…">`."""
HEADER: Final = "X-CSRF-Token"
"""For a script of ours, in place of the field."""
TOKEN: Final = web.RequestKey("csrf_token", str)
"""The token of the sign-in that a request came with, for whoever writes a form."""
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_REMEDY: Final = "Go back to the page, load it again, and send it from there"


def token_of(services: Services, identity: Identity) -> str:
    """What only a page that was made for this sign-in can know; good as long as the sign-in is."""
    key = services.database.keys.server_key("aitelier form token v1")
    return hmac.digest(key, identity.device_id.bytes, "sha256").hex()[:32]


def refuse_foreign(request: web.Request) -> None:
    """Go on with what changes something only if no page of another site has sent it.

    Browsers say so by `Sec-Fetch-Site`, which no page can set (W3C Fetch Metadata), and before that by `Origin`
    (RFC 6454). What names neither is no browser of the last years, and is let in: it has to bring a key or the token.

    Raises:
        ProblemError: 403.
    """
    if request.method not in _SAFE and _is_ours(request) is False:
        raise RefusedError("This was sent from another site.", field="Origin", remedy=_REMEDY)


async def refuse_without_token(request: web.Request, services: Services, identity: Identity, *, is_api: bool) -> None:
    """Go on with what changes something on the strength of a cookie only if a page of ours has sent it.

    Raises:
        ProblemError: 403; 400 and 413 for a form that cannot be read.
    """
    if not identity.by_cookie or request.method in _SAFE:
        return
    given = request.headers.get(HEADER)
    if given is None and not is_api:
        given = (await form_of(request)).get(FIELD)
    if given is None and is_api and _is_ours(request):
        return
    if given is None or not hmac.compare_digest(given.encode(), token_of(services, identity).encode()):
        raise RefusedError(
            "This did not come from a page of this sign-in.", field=HEADER if is_api else FIELD, remedy=_REMEDY
        )


def _is_ours(request: web.Request) -> bool | None:
    """Whether a page of this very server sent it; None where nothing says so."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return None
    try:
        return urlsplit(origin).netloc.lower() == request.host.lower()
    except ValueError:
        return False

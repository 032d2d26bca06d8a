"""Cookies of a sign-in: the access token, the refresh token, and a secret by which a browser is known again.

None can be read by a script or is sent along by another site's forms. Over TLS their names begin with `__Host-`, which
ties them to this host (RFC 6265bis, 4.1.3.2). Plain HTTP is spoken on loopback only, and there browsers disagree about
`Secure` cookies, so they go without. `Lax`, not `Strict`: who follows a link from a mail is to be signed in.
"""

from http.cookies import SimpleCookie
from typing import Final, Literal

from aiohttp import web

from admin.auth.tokens import LIFE_S
from store.people.devices import ROLLING_LIFE

Name = Literal["access", "refresh", "browser"]
_MAX_AGE_S: Final[dict[Name, int]] = {
    "access": LIFE_S,
    "refresh": int(ROLLING_LIFE.total_seconds()),
    "browser": 400 * 86_400,  # the longest that browsers keep one (RFC 6265bis, 5.5)
}


def cookie_name(name: Name, *, secure: bool) -> str:
    """As the browser knows it."""
    return f"__Host-aitelier_{name}" if secure else f"aitelier_{name}"


def read_cookie(request: web.Request, name: Name) -> str | None:
    """What the browser has sent."""
    return request.cookies.get(cookie_name(name, secure=request.secure))


def set_cookie(request: web.Request, response: web.StreamResponse, name: Name, value: str) -> None:
    """Have the browser keep it."""
    _add(request, response, name, value, _MAX_AGE_S[name])


def forget_cookies(request: web.Request, response: web.StreamResponse) -> None:
    """Have the browser forget the sign-in. It stays known as a browser."""
    _add(request, response, "access", "", 0)
    _add(request, response, "refresh", "", 0)


def _add(request: web.Request, response: web.StreamResponse, name: Name, value: str, max_age_s: int) -> None:
    """As a header: the framework's own cookies are written before the last hand is laid on an answer."""
    cookie: SimpleCookie = SimpleCookie({cookie_name(name, secure=request.secure): value})
    (morsel,) = cookie.values()
    secure = "yes" if request.secure else ""
    morsel.update({"path": "/", "max-age": str(max_age_s), "httponly": "yes", "samesite": "Lax", "secure": secure})
    response.headers.add("Set-Cookie", morsel.OutputString())

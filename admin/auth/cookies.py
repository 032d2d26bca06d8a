"""Cookies of a sign-in: the access token, the refresh token, and a secret by which a browser is known again.

None can be read by a script or is sent along by another site's forms. Over TLS their names begin with `__Host-`, which
ties them to this host (RFC 6265bis, 4.1.3.2). Plain HTTP is spoken on loopback only, and there browsers disagree about
`Secure` cookies, so they go without. `Lax`, not `Strict`: who follows a link from a mail is to be signed in.
"""

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
    response.set_cookie(
        cookie_name(name, secure=request.secure),
        value,
        max_age=_MAX_AGE_S[name],
        path="/",
        secure=request.secure,
        httponly=True,
        samesite="Lax",
    )


def forget_cookies(request: web.Request, response: web.StreamResponse) -> None:
    """Have the browser forget the sign-in. It stays known as a browser."""
    for name in ("access", "refresh"):
        response.del_cookie(
            cookie_name(name, secure=request.secure),  # type: ignore[arg-type]  # of the two names above
            path="/",
            secure=request.secure,
            httponly=True,
            samesite="Lax",
        )

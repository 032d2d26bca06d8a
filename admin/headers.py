"""What every answer carries, whatever it is."""

from typing import Final

from aiohttp import web

from admin.rates import RATE_HEADERS
from admin.services import SERVICES

PERMISSIONS: Final = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
"""What a page may use of the browser; a page that calls sets a policy of its own (W3C Permissions Policy)."""

_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
    # With less than this a browser hides from us, too, that a form comes from a page of ours (Fetch 3.2).
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_HSTS: Final = "max-age=63072000; includeSubDomains"
"""Two years (RFC 6797); ASVS 3.4.1 asks for one."""


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add what the handler has not set itself."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.update(request.get(RATE_HEADERS, {}))
    services = request.app.get(SERVICES)
    if request.secure or (services is not None and services.is_public):
        response.headers.setdefault("Strict-Transport-Security", _HSTS)
    response.headers.pop("Server", None)

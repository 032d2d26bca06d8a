"""Pages: a template filled in, in the frame of whoever looks at it; and where one goes after a form.

Templates get `csrf_token`, `nonce`, `notice`, `zone`, `path`, `asset`, and, on pages of a tenant, `links`, `home`,
`may` and `Scope` besides what the page hands over. A name that is missing is an error, never an empty place.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from admin.ask import Ask
from admin.assets import asset_url
from admin.csrf import TOKEN
from admin.pages import shown
from admin.pages.navigation import links_for
from admin.problems import ProblemError
from admin.route import Visit
from admin.switcher import tenants_in
from admin.zones import zone_of
from policies.access import Scope

_NOTICE_COOKIE: Final = "notice"
_NOTICE_S: Final = 60
_LONGEST_NOTICE: Final = 500

_templates: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent.parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_templates.globals["asset"] = asset_url
_templates.filters.update(shown.FILTERS)


def page(ask: Ask, name: str, /, *, status: int = 200, **values: Any) -> web.Response:
    """A page of a tenant, with the menu of whoever asks.

    Args:
        ask: Who asks, and for which tenant.
        name: Of the template.
        status: Of the answer: 422 where a form comes back with what is wrong in it.
        values: What the template names.
    """
    frame = {
        "links": links_for(ask),
        "home": f"/t/{ask.tenant_id}",
        "tenant_id": ask.tenant_id,
        "tenants": tenants_in(ask.request),
        "may": ask.may,
        "Scope": Scope,
    }
    return _rendered(ask.request, name, status, {**frame, **values})


def account_page(visit: Visit, name: str, /, *, status: int = 200, **values: Any) -> web.Response:
    """A page about somebody's own account, of no tenant."""
    return _rendered(visit.request, name, status, {"links": (), **values})


def open_page(request: web.Request, name: str, /, *, status: int = 200, **values: Any) -> web.Response:
    """A page for anyone."""
    return _rendered(request, name, status, {"links": (), **values})


def part(ask: Ask, name: str, /, **values: Any) -> web.Response:
    """A piece of a page that htmx puts into one; its template does not extend `base.html`."""
    return page(ask, name, **values)


def problem_page(request: web.Request, error: ProblemError) -> web.Response:
    """What went wrong, for people: what it is, and what to do next."""
    response = open_page(request, "problem.html", status=error.status.value, problem=error.problem)
    response.headers.update(error.headers)
    return response


def go_to(request: web.Request, url: str, notice: str = "") -> web.Response:
    """See another page after a form was taken in (303), with a sentence about what was done on top of it.

    Args:
        request: The form's.
        url: A path of this server.
        notice: Shown once; nothing personal.
    """
    response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": url})
    if notice:
        text = base64.urlsafe_b64encode(notice[:_LONGEST_NOTICE].encode()).decode()
        response.set_cookie(
            _notice_cookie(request), text, max_age=_NOTICE_S, path="/", httponly=True, samesite="Strict",
            secure=request.secure,
        )  # fmt: skip  # one cookie, one line of attributes
    return response


def _rendered(request: web.Request, name: str, status: int, values: Mapping[str, Any]) -> web.Response:
    nonce = secrets.token_urlsafe(16)
    notice = _notice_of(request)
    text = _templates.get_template(name).render(
        nonce=nonce,
        csrf_token=request.get(TOKEN, ""),
        notice=notice,
        zone=zone_of(request).key,
        path=request.path,
        **values,
    )
    headers = {"Content-Security-Policy": content_security_policy(nonce), "Cache-Control": "no-store"}
    response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
    if notice:
        response.del_cookie(_notice_cookie(request), path="/", secure=request.secure, httponly=True, samesite="Strict")
    return response


def content_security_policy(nonce: str) -> str:
    """What a page may load: this server's own files, and scripts and styles that carry the nonce (CSP level 3)."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            f"style-src 'self' 'nonce-{nonce}'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "media-src 'self' blob:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def _notice_cookie(request: web.Request) -> str:
    return f"__Host-{_NOTICE_COOKIE}" if request.secure else _NOTICE_COOKIE


def _notice_of(request: web.Request) -> str:
    text = request.cookies.get(_notice_cookie(request), "")
    try:
        return base64.urlsafe_b64decode(text).decode()[:_LONGEST_NOTICE]
    except (binascii.Error, ValueError):
        return ""

"""Showing a second factor, when something asks for it; then back to where one was.

A form that came too late waits meanwhile: what was typed goes along with the question, and is sent once more by whoever
has answered it. It lies in the pages of that browser only, which no cache keeps.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from admin.auth import second_factor
from admin.auth.identify import identify
from admin.csrf import FIELD
from admin.forms import form_of
from admin.pages.render import account_page, go_to
from admin.paths import safe_path
from admin.route import Visit
from admin.services import SERVICES
from store.people.second_factors import Factors, Shown

_NOT_SIGNED: Final = "The passkey could not be verified, or it took more than five minutes. Try again, or use a code."


async def show(visit: Visit) -> web.Response:
    """Ask for a code or a passkey; who has neither is asked to set one up."""
    return await _ask(visit, {"next": visit.request.query.get("next", "")})


async def ask_before(request: web.Request, back: str) -> web.Response | None:
    """Ask, in answer to a form that came too late, and keep what was typed; None where nothing was.

    `back` is where somebody gets who has no second factor to show.
    """
    services = request.app[SERVICES]
    identity = await identify(request, services)
    typed = [(name, text) for name, text in (await request.post()).items() if isinstance(text, str) and name != FIELD]
    if identity is None or not typed:
        return None
    visit = Visit(request=request, services=services, identity=identity)
    asking = await _ask(visit, {"next": back, "form": request.raw_path, "typed": urlencode(typed)})
    if asking.status == HTTPStatus.OK:
        asking.set_status(HTTPStatus.FORBIDDEN)
    return asking


async def by_code(visit: Visit) -> web.Response:
    """Take six digits of the app, or a recovery code."""
    form = await form_of(visit.request)
    shown = await second_factor.confirm_with_code(visit, form.get("code", ""))
    return _done(visit, form) if shown is Shown.RIGHT else await _ask(visit, form, error=second_factor.SAYS[shown])


async def by_passkey(visit: Visit) -> web.Response:
    """Take what the browser had signed."""
    form = await form_of(visit.request)
    shown = await second_factor.confirm_with_passkey(visit, form.get("answer", ""))
    return _done(visit, form) if shown is Shown.RIGHT else await _ask(visit, form, passkey_error=_NOT_SIGNED)


async def passkey_options(visit: Visit) -> web.Response:
    """What the browser is to have signed."""
    return web.Response(text=await second_factor.options_for_confirming(visit), content_type="application/json")


def _done(visit: Visit, form: Mapping[str, str]) -> web.Response:
    onwards = safe_path(form.get("next"))
    waiting = _waiting(form)
    if waiting is not None:
        where, typed = waiting
        return account_page(visit, "confirm_waiting.html", form=where, typed=typed, next=onwards)
    return go_to(visit.request, onwards, "Confirmed. For a quarter of an hour you will not be asked again.")


def _waiting(form: Mapping[str, str]) -> tuple[str, Sequence[tuple[str, str]]] | None:
    """Where the form goes that waits, and its fields."""
    where = safe_path(form.get("form"), "")
    return (where, parse_qsl(form.get("typed", ""), keep_blank_values=True)) if where else None


async def _ask(visit: Visit, form: Mapping[str, str], *, error: str = "", passkey_error: str = "") -> web.Response:
    onwards = safe_path(form.get("next"))
    factors = await second_factor.factors(visit)
    if not factors.count:
        return go_to(visit.request, f"/account/security?{urlencode({'next': onwards})}")
    return account_page(
        visit,
        "confirm.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error or passkey_error else HTTPStatus.OK,
        next=onwards,
        form=safe_path(form.get("form"), ""),
        typed=form.get("typed", ""),
        error=error,
        passkey_error=passkey_error,
        has_app=factors.totp_since is not None,
        has_passkey=_has_passkey_here(visit, factors),
        codes_left=factors.recovery_codes_left,
    )


def _has_passkey_here(visit: Visit, factors: Factors) -> bool:
    party = second_factor.party_of(visit)
    return any(one.relying_party == party.id for one in factors.passkeys)

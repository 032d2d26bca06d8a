"""Showing a second factor, when something asks for it; then back to where one was."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from aiohttp import web

from admin.auth import second_factor
from admin.forms import form_of
from admin.pages.render import account_page, go_to
from admin.paths import safe_path
from admin.rates import RATES, Limit
from admin.route import Visit
from store.people.second_factors import Factors, Shown

_ANSWERS: Final = Limit("second-factor-answers", 60, 600)
"""Of one person. What keeps guesses off is the count of wrong codes; this keeps the log of them readable."""
_NOT_SIGNED: Final = "The passkey could not be verified, or it took more than five minutes. Try again, or use a code."
_SAYS: Final = {
    Shown.WRONG: "This is not right, or was used before. A code of the app works once: wait for the next one.",
    Shown.TOO_MANY: "Ten codes were wrong within a day, so none is accepted now. Use a passkey or a recovery code.",
}


async def show(visit: Visit) -> web.Response:
    """Ask for a code or a passkey; who has neither is asked to set one up."""
    return await _ask(visit, visit.request.query)


async def by_code(visit: Visit) -> web.Response:
    """Take six digits of the app, or a recovery code."""
    form = await _form(visit)
    shown = await second_factor.confirm_with_code(visit, form.get("code", ""))
    return _done(visit, form) if shown is Shown.RIGHT else await _ask(visit, form, error=_SAYS[shown])


async def by_passkey(visit: Visit) -> web.Response:
    """Take what the browser had signed."""
    form = await _form(visit)
    shown = await second_factor.confirm_with_passkey(visit, form.get("answer", ""))
    return _done(visit, form) if shown is Shown.RIGHT else await _ask(visit, form, passkey_error=_NOT_SIGNED)


async def passkey_options(visit: Visit) -> web.Response:
    """What the browser is to have signed."""
    return web.Response(text=await second_factor.options_for_confirming(visit), content_type="application/json")


async def _form(visit: Visit) -> Mapping[str, str]:
    visit.request.app[RATES].take(_ANSWERS, str(visit.identity.user_id))
    return await form_of(visit.request)


def _done(visit: Visit, form: Mapping[str, str]) -> web.Response:
    return go_to(
        visit.request, safe_path(form.get("next")), "Confirmed. For a quarter of an hour you will not be asked again."
    )


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
        error=error,
        passkey_error=passkey_error,
        has_app=factors.totp_since is not None,
        has_passkey=_has_passkey_here(visit, factors),
        codes_left=factors.recovery_codes_left,
    )


def _has_passkey_here(visit: Visit, factors: Factors) -> bool:
    party = second_factor.party_of(visit)
    return any(one.relying_party == party.id for one in factors.passkeys)

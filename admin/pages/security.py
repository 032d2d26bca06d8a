"""My security: how somebody proves who they are, where they are signed in, and what happened to their account."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web

from admin.auth import second_factor
from admin.auth.identify import now_of
from admin.auth.step_up import must_have_second_factor
from admin.forms import form_of
from admin.pages.render import account_page, go_to
from admin.paths import safe_path
from admin.problems import NotThereError
from admin.route import Visit
from policies.audit_tags import Actor, Tag
from store.audit.log import entries
from store.house import open_house
from store.people import accounts, devices

HOME: Final = "/account/security"
_EVENTS: Final = 12
_HAPPENED: Final[Mapping[str, str]] = {
    Tag.ACCOUNT_MADE: "Your account was made",
    Tag.DEVICE_SIGNED_IN: "Signed in",
    Tag.DEVICE_SIGNED_OUT: "Signed out",
    Tag.DEVICE_REVOKED: "A device was signed out from here",
    Tag.RECOVERY_CODES_MADE: "New recovery codes were made",
    Tag.SECOND_FACTOR_ADDED: "A second factor was added",
    Tag.SECOND_FACTOR_REMOVED: "A second factor was removed",
    Tag.SECOND_FACTOR_SHOWN: "Confirmed",
    Tag.SECOND_FACTOR_REFUSED: "A wrong answer was refused",
}
_WITH: Final[Mapping[str, str]] = {
    "totp": "authenticator app",
    "passkey": "passkey",
    "recovery_code": "recovery code",
}


async def show(visit: Visit) -> web.Response:
    """Everything on one page; who comes here to set up a first factor finds that on top."""
    onwards = visit.request.query.get("next")
    factors = await second_factor.factors(visit)
    if onwards is not None and factors.count and visit.identity.second_factor_age_s is None:
        return go_to(visit.request, f"/account/confirm?{urlencode({'next': safe_path(onwards)})}")
    must_have = await must_have_second_factor(visit.services, visit.identity)
    async with open_house(visit.services.database) as house:
        account = await accounts.find(house, visit.identity.user_id)
        signed_in = await devices.devices_of(house, visit.identity.user_id, now_of(visit.services))
        acts = await entries(house, tag="platform:", actor_id=str(visit.identity.user_id), limit=_EVENTS)
    if account is None:
        raise NotThereError
    happened = [
        (act.at, _HAPPENED[act.tag], _WITH.get(str(act.facts.get("factor")), ""))
        for act in acts
        if act.tag in _HAPPENED
    ]
    return account_page(
        visit,
        "security.html",
        email=account.email,
        factors=factors,
        must_have=must_have,
        takes_passkeys=second_factor.party_of(visit).takes_passkeys,
        at_localhost=second_factor.at_localhost(visit),
        devices=sorted(signed_in, key=lambda one: one.id != visit.identity.device_id),  # this one first
        this_device=visit.identity.device_id,
        happened=happened,
        next=safe_path(onwards, ""),
    )


async def begin_app(visit: Visit) -> web.Response:
    """Make a secret for an authenticator app, and go to where it is shown."""
    form = await form_of(visit.request)
    await second_factor.begin_app(visit)
    return go_to(visit.request, f"{HOME}/app?{urlencode({'next': safe_path(form.get('next'), '')})}")


async def show_app(visit: Visit) -> web.Response:
    """The QR code of the app that is being set up."""
    return await _show_app(visit, safe_path(visit.request.query.get("next"), ""))


async def confirm_app(visit: Visit) -> web.Response:
    """Take the app into use by its first code."""
    form = await form_of(visit.request)
    onwards = safe_path(form.get("next"), "")
    codes = await second_factor.confirm_app(visit, form.get("code", ""))
    if codes is None:
        error = "This is not the code that the app shows now. Look whether the phone's clock is right."
        return await _show_app(visit, onwards, error=error, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    return _added(visit, codes, onwards, "Your authenticator app is set up.")


async def remove_app(visit: Visit) -> web.Response:
    """Accept its codes no more."""
    await second_factor.remove_app(visit)
    return go_to(visit.request, HOME, "The authenticator app is removed.")


async def passkey_options(visit: Visit) -> web.Response:
    """What the browser needs to make a passkey."""
    return web.Response(text=await second_factor.options_for_adding(visit), content_type="application/json")


async def add_passkey(visit: Visit) -> web.Response:
    """Take what the browser has made into use."""
    form = await form_of(visit.request)
    codes = await second_factor.add_passkey(visit, form.get("answer", ""), form.get("label", ""))
    return _added(visit, codes, safe_path(form.get("next"), ""), "Your passkey is set up.")


async def remove_passkey(visit: Visit) -> web.Response:
    """Accept it no more."""
    await second_factor.remove_passkey(visit, _id_of(visit, "passkey_id"))
    return go_to(visit.request, HOME, "The passkey is removed.")


async def new_codes(visit: Visit) -> web.Response:
    """Ten new recovery codes, shown this once."""
    return _show_codes(visit, await second_factor.new_codes(visit), HOME, "The codes from before work no more.")


async def revoke_device(visit: Visit) -> web.Response:
    """End a sign-in at once."""
    async with open_house(visit.services.database) as house:
        ended = await devices.revoke_device(
            house,
            visit.identity.user_id,
            _id_of(visit, "device_id"),
            actor=_actor(visit),
            at=now_of(visit.services),
        )
    if not ended:
        raise NotThereError
    return go_to(visit.request, HOME, "That device is signed out.")


async def revoke_others(visit: Visit) -> web.Response:
    """End every sign-in but this one."""
    identity = visit.identity
    async with open_house(visit.services.database) as house:
        count = await devices.revoke_others(
            house, identity.user_id, identity.device_id, actor=_actor(visit), at=now_of(visit.services)
        )
    return go_to(visit.request, HOME, "One device is signed out." if count == 1 else f"{count} devices are signed out.")


async def _show_app(visit: Visit, onwards: str, *, error: str = "", status: int = HTTPStatus.OK) -> web.Response:
    setup = await second_factor.app_being_set_up(visit)
    if setup is None:
        return go_to(visit.request, HOME, "Setting up the app took too long. Begin again.")
    return account_page(visit, "security_app.html", status=status, setup=setup, next=onwards, error=error)


def _added(visit: Visit, codes: Sequence[str], onwards: str, notice: str) -> web.Response:
    if codes:
        return _show_codes(visit, codes, onwards or HOME, notice)
    return go_to(visit.request, onwards or HOME, notice)


def _show_codes(visit: Visit, codes: Sequence[str], onwards: str, said: str) -> web.Response:
    return account_page(visit, "security_codes.html", codes=codes, next=onwards, said=said)


def _id_of(visit: Visit, name: str) -> UUID:
    try:
        return UUID(visit.request.match_info[name])
    except ValueError:
        raise NotThereError from None


def _actor(visit: Visit) -> Actor:
    return Actor("user", str(visit.identity.user_id))

"""The pages of signing in and out. An address is asked for, a mail is sent, and a code or a link of it comes back.

What is answered never depends on whether the address is known: see `store.people.challenges`.
"""

import re
from datetime import datetime
from typing import Final
from urllib.parse import quote

import structlog
from aiohttp import web

from admin.auth.browsers import label_of
from admin.auth.cookies import read_cookie, set_cookie
from admin.auth.identify import identify, now_of, sign_browser_in, sign_browser_out
from admin.forms import form_of
from admin.pages.render import account_page, go_to, open_page
from admin.paths import safe_path
from admin.rates import RATES, Limit, source_of
from admin.route import Visit
from admin.services import SERVICES, Services
from store.dsar.contacts import BadAddressError
from store.house import open_house
from store.people import accounts, challenges, devices
from store.people.first_owner import make_first_owner
from store.people.memberships import tenants_of
from store.scope import TenantStore

log = structlog.get_logger()

MAILS: Final = Limit("sign-in", 30, 600)
"""Of sign-ins that one source may begin; a whole office may be one."""
ANSWERS: Final = Limit("sign-in-answers", 60, 600)
"""Of codes and links that one source may try."""
_BROWSER: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_START_AGAIN: Final = "That code is no longer good. Ask for a new one."
_IS_KNOWN: Final = "Somebody has signed in with this address before. Sign in with it first, then open this link again."
_SAYS: Final = {
    "wrong": "This is not the code in the mail. Look again: it has six digits.",
    "link_only": "Too many wrong codes were given for this address today. Open the link in the mail, in this browser.",
}


async def home(visit: Visit) -> web.StreamResponse:
    """The first page of whoever is signed in: their business, or that they are a member of none."""
    async with visit.services.database.platform() as platform:
        tenants = await tenants_of(platform, visit.identity.user_id)
    if tenants:
        return go_to(visit.request, f"/t/{tenants[0].id}/")
    async with open_house(visit.services.database) as house:
        account = await accounts.find(house, visit.identity.user_id)
    return account_page(visit, "sign_in_nowhere.html", email="" if account is None else account.email)


async def ask_address(request: web.Request) -> web.StreamResponse:
    """Ask who wants to come in."""
    onwards = safe_path(request.query.get("next"))
    if await identify(request, request.app[SERVICES]) is not None:
        return go_to(request, onwards)
    return open_page(request, "sign_in.html", onwards=onwards, email="", error="")


async def send_mail(request: web.Request) -> web.StreamResponse:
    """Mail a code and a link to the address, whoever's it is."""
    request.app[RATES].take(MAILS, source_of(request))
    services, form = request.app[SERVICES], await form_of(request)
    onwards = safe_path(form.get("next"))
    try:
        email = accounts.read_email(form.get("email", ""))
    except BadAddressError as error:
        values = {"onwards": onwards, "email": form.get("email", ""), "error": _sentence(error)}
        return open_page(request, "sign_in.html", status=422, **values)
    browser = _browser_of(request) or challenges.new_secret()
    async with open_house(services.database) as house:
        await challenges.start(house, email, browser=browser, base_url=services.base_url, at=now_of(services))
    response = go_to(request, f"/sign-in/code?next={quote(onwards, safe='/')}")
    set_cookie(request, response, "browser", browser)
    return response


async def ask_code(request: web.Request) -> web.StreamResponse:
    """Ask for the code that was mailed."""
    return await _code_page(request, safe_path(request.query.get("next")))


async def check_code(request: web.Request) -> web.StreamResponse:
    """Sign in with the code, in the browser that asked for it."""
    request.app[RATES].take(ANSWERS, source_of(request))
    services, form = request.app[SERVICES], await form_of(request)
    onwards, browser = safe_path(form.get("next")), _browser_of(request)
    if browser is None:
        return go_to(request, "/sign-in", _START_AGAIN)
    signed_in, at = None, now_of(services)
    async with open_house(services.database) as house:
        answer = await challenges.guess(house, form.get("code", ""), browser=browser, at=at)
        if isinstance(answer, challenges.Proven):
            signed_in = await _open_device(request, house, answer.email, browser, at)
    if signed_in is not None:
        await sign_browser_in(request, services, signed_in)
        return go_to(request, onwards)
    log.warning("sign_in_refused", why=answer)
    services.failed_codes.note("mail")
    if answer == "over":
        return go_to(request, f"/sign-in?next={quote(onwards, safe='/')}", _START_AGAIN)
    return await _code_page(request, onwards, error=_SAYS[str(answer)])


async def look_at_link(request: web.Request) -> web.StreamResponse:
    """Show a button: programs that look at mail follow links, and must not use one up."""
    services, link = request.app[SERVICES], request.match_info["token"]
    async with open_house(services.database) as house:
        state = await challenges.look_at_link(house, link, browser=_browser_of(request), at=now_of(services))
    if state == "first_owner":
        return await _owner_page(request, services)
    return open_page(request, "sign_in_link.html", state=state)


async def use_link(request: web.Request) -> web.StreamResponse:
    """Sign in with the link, in the browser that asked for it; or become the first owner."""
    request.app[RATES].take(ANSWERS, source_of(request))
    services, link, browser = request.app[SERVICES], request.match_info["token"], _browser_of(request)
    at = now_of(services)
    async with open_house(services.database) as house:
        state = await challenges.look_at_link(house, link, browser=browser, at=at)
        proven = await challenges.use_link(house, link, browser=browser, at=at) if browser is not None else None
        signed_in = None if proven is None else await _open_device(request, house, proven.email, browser or "", at)
    if signed_in is not None:
        await sign_browser_in(request, services, signed_in)
        return go_to(request, "/")
    if state == "first_owner":
        return await _become_owner(request, services, link)
    return open_page(request, "sign_in_link.html", state="over" if state == "good" else state)


async def sign_out(visit: Visit) -> web.StreamResponse:
    """End this sign-in."""
    async with open_house(visit.services.database) as house:
        await devices.sign_out(house, visit.identity.user_id, visit.identity.device_id, now_of(visit.services))
    sign_browser_out(visit.request)
    return go_to(visit.request, "/sign-in", "You are signed out.")


async def _become_owner(request: web.Request, services: Services, link: str) -> web.StreamResponse:
    """Whoever is signed in, or a new account: nobody gets into somebody's account with this link."""
    identity, at = await identify(request, services), now_of(services)
    signed_in = None
    try:
        email = "" if identity else accounts.read_email((await form_of(request)).get("email", ""))
    except BadAddressError as error:
        return await _owner_page(request, services, error=_sentence(error))
    async with open_house(services.database) as house:
        if identity is None and await accounts.find_by_email(house, email) is not None:
            return await _owner_page(request, services, error=_IS_KNOWN)
        tenant_id = await challenges.use_owner_link(house, link, at=at)
        if tenant_id is not None and identity is None:
            signed_in = await _open_device(request, house, email, _browser_of(request) or challenges.new_secret(), at)
    user_id = identity.user_id if identity else None if signed_in is None else signed_in.user_id
    if tenant_id is None or user_id is None or not await make_first_owner(services.database, tenant_id, user_id):
        return open_page(request, "sign_in_link.html", state="over")
    if signed_in is not None:
        await sign_browser_in(request, services, signed_in)
    return go_to(request, f"/t/{tenant_id}/")


async def _owner_page(request: web.Request, services: Services, error: str = "") -> web.StreamResponse:
    is_signed_in = await identify(request, services) is not None
    status = 422 if error else 200
    return open_page(request, "sign_in_owner.html", status=status, is_signed_in=is_signed_in, error=error)


async def _code_page(request: web.Request, onwards: str, error: str = "") -> web.StreamResponse:
    services, browser = request.app[SERVICES], _browser_of(request)
    async with open_house(services.database) as house:
        email = await challenges.address_of(house, browser, now_of(services)) if browser is not None else None
    if email is None:
        return go_to(request, f"/sign-in?next={quote(onwards, safe='/')}")
    status = 422 if error else 200
    return open_page(request, "sign_in_code.html", status=status, onwards=onwards, email=email, error=error)


async def _open_device(
    request: web.Request, house: TenantStore, email: str, browser: str, at: datetime
) -> devices.SignedIn:
    account = await accounts.find_or_make(house, email)
    label = label_of(request.headers.get("User-Agent"))
    return await devices.open_device(house, account.id, label=label, browser=browser, at=at)


def _browser_of(request: web.Request) -> str | None:
    """The secret of the browser's cookie, if it is one of ours."""
    text = read_cookie(request, "browser")
    return text if text is not None and _BROWSER.fullmatch(text) else None


def _sentence(error: BadAddressError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."

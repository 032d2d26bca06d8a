"""Who sent a request: a person, by the access token of their sign-in, which is looked up each time.

A browser whose access token is over goes on with its refresh token within the same request, so that nobody is thrown
out of a form; `keep_signed_in` hands it the new ones with the answer. A sign-in that is ended is over with the next
request, on every route.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from aiohttp import web

from admin.auth.cookies import forget_cookies, read_cookie, set_cookie
from admin.auth.tokens import Tokens
from admin.identity import Identity
from admin.services import Services
from store.house import HOUSE, open_house
from store.people import devices

TOKENS: Final = web.AppKey[Tokens]("tokens")
_BEARER: Final = "bearer "


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What the browser gets with the answer. None: what it has sent is worth nothing any more."""

    access_token: str
    refresh_token: str


_REFRESHED: Final = web.RequestKey[Refreshed | None]("refreshed")
_ANSWERED: Final = web.RequestKey[bool]("answered")


async def identify(request: web.Request, services: Services) -> Identity | None:
    """The person whose access token came with the request; None without a good one."""
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, token = header[: len(_BEARER)].lower(), header[len(_BEARER) :]
        return await _by_access_token(request, services, token, by_cookie=False) if scheme == _BEARER else None
    access = read_cookie(request, "access")
    identity = None if access is None else await _by_access_token(request, services, access, by_cookie=True)
    return identity or await _by_refresh_token(request, services)


async def sign_browser_in(request: web.Request, services: Services, signed_in: devices.SignedIn) -> None:
    """Have the answer to this request sign its browser in."""
    access = await request.app[TOKENS].sign(services, user_id=signed_in.user_id, device_id=signed_in.device_id)
    request[_REFRESHED] = Refreshed(access, signed_in.refresh_token)


def sign_browser_out(request: web.Request) -> None:
    """Have the answer to this request make its browser forget the sign-in."""
    request[_REFRESHED] = None


async def keep_signed_in(request: web.Request, response: web.StreamResponse) -> None:
    """Hand new tokens over with whatever is answered (`on_response_prepare`)."""
    request[_ANSWERED] = True
    if _REFRESHED not in request:
        return
    refreshed = request[_REFRESHED]
    if refreshed is None:
        forget_cookies(request, response)
    else:
        set_cookie(request, response, "access", refreshed.access_token)
        set_cookie(request, response, "refresh", refreshed.refresh_token)


def now_of(services: Services) -> datetime:
    """The services' clock, as the store takes it."""
    return datetime.fromtimestamp(services.unix_time(), UTC)


async def _by_access_token(request: web.Request, services: Services, token: str, *, by_cookie: bool) -> Identity | None:
    read = await request.app[TOKENS].read(services, token)
    if read is None:
        return None
    return await _identity(request, services, read.user_id, read.device_id, by_cookie=by_cookie)


async def _by_refresh_token(request: web.Request, services: Services) -> Identity | None:
    token = read_cookie(request, "refresh")
    if token is None or _ANSWERED in request:  # what the browser cannot be handed any more must not be used up
        return None
    async with open_house(services.database) as house:
        signed_in = await devices.refresh(house, token, at=now_of(services))
    if signed_in is None:
        sign_browser_out(request)
        return None
    await sign_browser_in(request, services, signed_in)
    return await _identity(request, services, signed_in.user_id, signed_in.device_id, by_cookie=True)


async def _identity(
    request: web.Request, services: Services, user_id: UUID, device_id: UUID, *, by_cookie: bool
) -> Identity | None:
    now = now_of(services)
    async with services.database.tenant(HOUSE) as house:
        live = await devices.find_live(house, device_id, now, is_use=not _asks_by_itself(request))
    if live is None or live.user_id != user_id:
        return None
    shown_at = live.second_factor_at
    return Identity(
        user_id=user_id,
        device_id=device_id,
        second_factor_age_s=None if shown_at is None else (now - shown_at).total_seconds(),
        has_second_factor=live.has_second_factor,
        by_cookie=by_cookie,
        idle_limit_s=live.idle_limit_s,
    )


def _asks_by_itself(request: web.Request) -> bool:
    """Whether a page that lies open may have sent it, so that nobody need be there."""
    if request.headers.get("Accept") == "text/event-stream":
        return True
    return request.method == "GET" and request.headers.get("HX-Request") == "true"

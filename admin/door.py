"""The door: every request passes it once, and comes out as what its handler takes, or as a refusal."""

import functools
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from admin.ask import Ask, problem_of
from admin.auth.identify import identify
from admin.auth.principals import key_principal, person_principal
from admin.csrf import TOKEN, refuse_without_token, token_of
from admin.idempotency import once
from admin.identity import Identity
from admin.operations import run_operation
from admin.problems import BadRequestError, NotThereError, ProblemError
from admin.rates import RATE_HEADERS, RATES, source_of
from admin.route import Open, Operation, Route, Visit
from admin.services import SERVICES, Services
from admin.switcher import note_tenants
from policies.access import Principal, Refusal, Scope, authorize


class NobodyError(ProblemError):
    """401: who asks is not known. A page sends people to sign in."""

    def __init__(self) -> None:
        super().__init__(
            HTTPStatus.UNAUTHORIZED,
            "This needs a sign-in or an API key.",
            remedy="Send an API key as Authorization: Bearer ait_live_…, or sign in",
        )
        self.headers["WWW-Authenticate"] = "Bearer"


def behind_the_door(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The route's handler, for aiohttp."""

    async def anyone(request: web.Request) -> web.StreamResponse:
        return await _handled(route, request)

    async def signed_in(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        identity = await identify(request, services)
        if identity is None:
            raise NobodyError
        await _came_from_us(route, request, services, identity)
        return await _handled(route, Visit(request=request, services=services, identity=identity))

    async def with_scope(request: web.Request) -> web.StreamResponse:
        assert isinstance(route.needs, Scope)  # noqa: S101 - chosen below; tells the type checker
        services = request.app[SERVICES]
        principal = await _counted(route, request, services)
        if route.is_operation:
            who = f"{principal.actor.kind} {principal.actor.id}"
            request[RATE_HEADERS] = request.app[RATES].take(request.app[RATES].api, who)
        verdict = authorize(principal, route.needs)
        if isinstance(verdict, Refusal):
            raise problem_of(verdict)
        again = functools.partial(_principal, route, request, services)
        ask = Ask(request=request, services=services, principal=principal, scope=route.needs, again=again)
        return await _handled(route, ask)

    if isinstance(route.needs, Scope):
        return with_scope
    return anyone if route.needs is Open.ANYONE else signed_in


async def _handled(route: Route, who: Ask | Visit | web.Request) -> web.StreamResponse:
    if not isinstance(route, Operation):
        response: web.StreamResponse = await route.handler(who)
        return response
    if isinstance(who, Ask):
        return await once(route, who, lambda: run_operation(route, who))
    return await run_operation(route, who)


async def _counted(route: Route, request: web.Request, services: Services) -> Principal:
    """Whoever asks; where nobody is known, they are counted by their address, and slowed down in the end."""
    try:
        return await _principal(route, request, services)
    except ProblemError as error:
        if route.is_operation and error.status is HTTPStatus.UNAUTHORIZED:
            request.app[RATES].take(request.app[RATES].strangers, source_of(request))
        raise


async def _principal(route: Route, request: web.Request, services: Services) -> Principal:
    if route.is_operation:
        principal = await key_principal(request, services)
        if principal is not None:
            if request.query.get("tenant_id", str(principal.tenant_id)).lower() != str(principal.tenant_id):
                raise NotThereError
            return principal
    identity = await identify(request, services)
    if identity is None:
        raise NobodyError
    await _came_from_us(route, request, services, identity)
    principal = await person_principal(services, identity, _tenant_id(route, request, identity))
    if principal is None:
        raise NotThereError
    if not route.is_operation:
        await note_tenants(request, services, identity)
    return principal


async def _came_from_us(route: Route, request: web.Request, services: Services, identity: Identity) -> None:
    """What a browser sends by itself has to come from a page of ours; forms that are answered get the token."""
    request[TOKEN] = token_of(services, identity)
    await refuse_without_token(request, services, identity, is_api=route.is_operation)


def _tenant_id(route: Route, request: web.Request, _identity: Identity) -> UUID:
    """Of a page it is in the path; a person who uses the API names it in the query."""
    text = request.query.get("tenant_id") if route.is_operation else request.match_info.get("tenant_id")
    if text is None:
        raise BadRequestError(
            "Which tenant is meant?", field="tenant_id", remedy="Add ?tenant_id=…; an API key needs none"
        )
    try:
        return UUID(text)
    except ValueError:
        raise NotThereError from None

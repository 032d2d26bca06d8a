"""What somebody may do in a tenant: of a person by their memberships, of a program by its key."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from admin.identity import Identity
from admin.problems import ProblemError
from admin.services import Services
from policies.access import Grant, Principal
from policies.api_keys import PREFIX, is_from, is_well_formed
from policies.audit_tags import Actor
from store.api_keys import ApiKey, find_key, note_use, whose_key
from store.house import HOUSE
from store.people.devices import limit_idling
from store.people.memberships import note_seen, standing_of

_BEARER = "bearer "
_SEEN_EVERY = timedelta(hours=1)


class KeyNotGoodError(ProblemError):
    """401: whoever sent it holds a key that opens nothing, and is told why as far as they hold it."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(HTTPStatus.UNAUTHORIZED, detail, field="Authorization", remedy=remedy)
        self.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'


async def key_principal(request: web.Request, services: Services) -> Principal | None:
    """Whoever has the API key of the request's `Authorization` header; None where it holds none.

    Raises:
        KeyNotGoodError: It holds one that opens nothing, whoever else may be signed in.
    """
    text = key_in(request)
    if text is None:
        return None
    found = None
    if is_well_formed(text):
        async with services.database.platform() as platform:
            found = await whose_key(platform, text)
    if found is None:
        raise KeyNotGoodError("There is no such key.", "Copy the whole key, or make a new one under API keys")
    now = datetime.fromtimestamp(services.unix_time(), UTC)
    async with services.database.tenant(found.tenant_id) as store:
        key = await find_key(store, found.id)
        if key is None:
            raise KeyNotGoodError("There is no such key.", "Make a new one under API keys")
        _refuse_what_is_over(key, now, request.remote)
        await note_use(store, key.id, now)
    return Principal(
        actor=Actor("key", str(key.id)), tenant_id=found.tenant_id, grants=(Grant(key.scopes, key.project_id),)
    )


async def person_principal(services: Services, identity: Identity, tenant_id: UUID) -> Principal | None:
    """The person within this tenant; None where they are no member, or there is no such tenant."""
    async with services.database.tenant(tenant_id) as store:
        standing = await standing_of(store, identity.user_id)
        if not standing.grants:
            return None
        now = datetime.fromtimestamp(services.unix_time(), UTC)
        if standing.last_seen_at is None or standing.last_seen_at < now - _SEEN_EVERY:
            await note_seen(store, identity.user_id, now)
    if standing.idle_minutes is not None and identity.idle_limit_s is None:
        async with services.database.tenant(HOUSE) as house:
            await limit_idling(house, identity.device_id, standing.idle_minutes * 60)
    return Principal(
        actor=Actor("user", str(identity.user_id)),
        tenant_id=tenant_id,
        grants=standing.grants,
        second_factor_age_s=identity.second_factor_age_s,
        must_have_second_factor=standing.must_have_second_factor or identity.has_second_factor,
    )


def key_in(request: web.Request) -> str | None:
    """The API key of a request, good or not. It is taken from the header only, never from an address."""
    value = request.headers.get("Authorization", "")
    if value[: len(_BEARER)].lower() != _BEARER:
        return None
    text = value[len(_BEARER) :].strip()
    return text if text.startswith(PREFIX) else None


def _refuse_what_is_over(key: ApiKey, now: datetime, address: str | None) -> None:
    if key.revoked_at is not None:
        raise KeyNotGoodError("This key was revoked.", "Make a new one under API keys")
    if key.is_over(now):
        raise KeyNotGoodError("This key has ended.", "Make a new one under API keys")
    if not is_from(key.networks, address):
        raise KeyNotGoodError("This key may not be used from this network.", "Use it from where it was made for")

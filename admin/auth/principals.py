"""What somebody may do in a tenant: of a person by their memberships, of a program by its key."""

from uuid import UUID

from aiohttp import web

from admin.identity import Identity
from admin.services import Services
from policies.access import Principal


async def key_principal(_request: web.Request, _services: Services) -> Principal | None:
    """Whoever has the API key of the request's `Authorization` header; None without a good one."""
    return None


async def person_principal(_services: Services, _identity: Identity, _tenant_id: UUID) -> Principal | None:
    """The person within this tenant; None where they are no member, or there is no such tenant."""
    return None

"""The tenants that whoever looks at a page can go to: of people of an agency, there are several."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from admin.identity import Identity
from admin.services import Services
from store.people.memberships import TenantOfPerson, tenants_of

OWN_TENANTS: Final = web.RequestKey("own_tenants", tuple[TenantOfPerson, ...])


async def note_tenants(request: web.Request, services: Services, identity: Identity) -> None:
    """Find them for the page that is about to be made; the pieces that htmx asks for have no switcher."""
    if "HX-Request" in request.headers:
        return
    async with services.database.platform() as platform:
        request[OWN_TENANTS] = await tenants_of(platform, identity.user_id)


def tenants_in(request: web.Request) -> Sequence[TenantOfPerson]:
    """What was found."""
    found: Sequence[TenantOfPerson] = request.get(OWN_TENANTS, ())
    return found

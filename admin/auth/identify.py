"""Who sent a request."""

from aiohttp import web

from admin.identity import Identity
from admin.services import Services


async def identify(_request: web.Request, _services: Services) -> Identity | None:
    """The person whose access token came with the request; None without a good one."""
    return None

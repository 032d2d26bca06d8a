"""An erasure: how far it is, and what proves it. It goes on whether somebody looks or not."""

from uuid import UUID

from aiohttp import web

from admin.api.erasures import get_erasure, get_erasure_receipt
from admin.ask import Ask
from admin.pages.render import page
from admin.problems import NotThereError


async def show(ask: Ask) -> web.Response:
    """The page; it asks again by itself until all is done."""
    return page(ask, "erasure.html", erasure=await get_erasure(ask, _erasure_in(ask)))


async def receipt(ask: Ask) -> web.Response:
    """The signed receipt, as a file."""
    erasure_id = _erasure_in(ask)
    response = web.json_response(await get_erasure_receipt(ask, erasure_id))
    response.headers["Content-Disposition"] = f'attachment; filename="receipt-{erasure_id}.json"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _erasure_in(ask: Ask) -> UUID:
    try:
        return UUID(ask.request.match_info["erasure_id"])
    except ValueError:
        raise NotThereError from None

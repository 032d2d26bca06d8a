"""Erasures: how far each is, and what proves it. They go on whether somebody looks or not."""

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from admin.api.erasures import ErasureListQuery, get_erasure, get_erasure_receipt, list_erasures
from admin.ask import Ask
from admin.pages.queries import id_in, query_of, with_query
from admin.pages.render import page, part


async def erasures(ask: Ask) -> web.Response:
    """The list, newest first."""
    found = await list_erasures(ask, query_of(ask.request, ErasureListQuery))
    return page(
        ask,
        "erasures.html",
        found=found,
        next_url=with_query(ask.request, cursor=found.next_cursor) if found.next_cursor else "",
        first_url=with_query(ask.request, cursor=None) if "cursor" in ask.request.query else "",
    )


async def show(ask: Ask) -> web.Response:
    """One of them; the page asks again by itself until all is done."""
    return page(ask, "erasure.html", erasure=await get_erasure(ask, id_in(ask.request, "erasure_id")))


async def progress(ask: Ask) -> web.Response:
    """How far it is, for a page that waits."""
    return part(ask, "erasure_progress.html", erasure=await get_erasure(ask, id_in(ask.request, "erasure_id")))


async def receipt(ask: Ask) -> web.Response:
    """The signed receipt, as a file."""
    erasure_id = id_in(ask.request, "erasure_id")
    return send_receipt(await get_erasure_receipt(ask, erasure_id), f"receipt-{erasure_id}")


def send_receipt(signed: Mapping[str, Any], name: str) -> web.Response:
    """A signed receipt as a file of this name, as `aitelier receipts verify` takes it."""
    return web.Response(
        body=msgspec.json.format(msgspec.json.encode(signed)) + b"\n",
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}.json"', "Cache-Control": "no-store"},
    )

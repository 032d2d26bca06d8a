"""Erasures: how far each is, and what proves it. They go on whether somebody looks or not."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from aiohttp import web

from admin.api.erasures import ErasureListQuery, get_erasure, get_erasure_receipt, list_erasures
from admin.ask import Ask
from admin.csv import send_csv
from admin.pages.lists import around, every
from admin.pages.queries import id_in, query_of
from admin.pages.render import page, part
from admin.pages.shown import plain
from policies.erasure import Reason

_HEAD: Final = ("Erasure", "Why", "By", "Asked", "Calls", "Gone", "Finished", "Backups forget")


async def erasures(ask: Ask) -> web.Response:
    """The list, newest first."""
    query = query_of(ask.request, ErasureListQuery)
    found = await list_erasures(ask, query)
    return page(
        ask,
        "erasures.html",
        found=found,
        **around(ask.request, f"/t/{ask.tenant_id}/erasures", found.next_cursor),
        query=query,
        reasons=[("", "Any"), *((reason.value, plain(reason)) for reason in Reason)],
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as CSV."""
    query = query_of(ask.request, ErasureListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(list_erasures, ask), query):
            done = (one.calls, one.calls_done, one.finished_at, one.backups_forget_at)
            yield one.id, one.reason, str(one.by), one.asked_at, *done

    return await send_csv(ask, "erasures", _HEAD, rows())


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

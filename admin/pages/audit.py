"""Audit: who did what and when, how far that is proven, and the whole as a file."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from admin.api import audit as api
from admin.api.audit import TAGS, AuditQuery
from admin.ask import Ask
from admin.csv import send_csv
from admin.pages.lists import around, every
from admin.pages.queries import blank, query_of, with_query
from admin.pages.render import go_to, page
from admin.zones import midnight, zone_of
from policies.audit_tags import Tag

_HEAD: Final = ("No.", "When", "By", "Kind", "Id of who did it", "Act", "On", "Facts")


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What the form above the list asks for: days where the API takes moments."""

    tag: str | None = None
    actor: str | None = None
    about: str | None = None
    since: date | None = None
    until: date | None = None
    """The last day."""
    cursor: int | None = None


async def show(ask: Ask) -> web.Response:
    """The list, and the state of the log."""
    query = query_of(ask.request, AuditFilter)
    found = await api.list_audit(ask, _query(query, zone_of(ask.request)))
    return page(
        ask,
        "audit.html",
        found=found,
        state=await api.get_audit_state(ask),
        query=blank(ask.request.query),
        tags=TAGS,
        **around(ask.request, f"/t/{ask.tenant_id}/audit", found.next_cursor),
        by_url=lambda actor: with_query(ask.request, actor=actor, cursor=None),
        about_url=lambda about: with_query(ask.request, about=about, cursor=None),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The list as CSV. What it says about persons is not in it; the export has that, with its proof."""
    query = _query(query_of(ask.request, AuditFilter), zone_of(ask.request))

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_audit, ask), query):
            on = "; ".join(f"{kind} {known}" for kind, known in one.objects.items())
            facts = "; ".join(f"{name}={value}" for name, value in one.facts.items())
            yield (one.index, one.at, one.by, one.by.kind, one.by.id, one.tag, on, facts)

    return await send_csv(ask, "audit", _HEAD, rows(), tag=Tag.AUDIT_EXPORTED)


async def check(ask: Ask) -> web.Response:
    """Check every entry now."""
    state = await api.check_audit(ask)
    sound = state.check is not None and state.check.sound
    notice = "Every entry is what it was." if sound else "The log contradicts itself."
    return go_to(ask.request, f"/t/{ask.tenant_id}/audit#proof", notice)


async def keys(ask: Ask) -> web.Response:
    """The public keys, as `aitelier audit key` prints them."""
    text = "".join(f"{key}\n" for key in (await api.get_audit_keys(ask)).public_keys)
    return web.Response(text=text, headers={"Content-Disposition": 'attachment; filename="audit-keys.txt"'})


async def export(ask: Ask) -> web.StreamResponse:
    """The whole log, as a file that `aitelier audit verify` proves."""
    return await api.export_audit(ask)


def _query(query: AuditFilter, zone: ZoneInfo) -> AuditQuery:
    return AuditQuery(
        tag=query.tag,
        actor=query.actor,
        about=query.about,
        since=None if query.since is None else midnight(query.since, zone),
        until=None if query.until is None else midnight(query.until + timedelta(days=1), zone),
        cursor=query.cursor,
    )

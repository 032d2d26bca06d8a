"""Overview: how things go, at one look."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web
from msgspec.structs import replace

from admin.api import overview as api
from admin.api.overview import Overview, OverviewQuery
from admin.api.sessions import SessionQuery, list_sessions
from admin.ask import Ask
from admin.pages.names import names_for
from admin.pages.queries import query_of
from admin.pages.render import page
from admin.zones import zone_of
from store import numbers

_LAST_CALLS = 8


async def show(ask: Ask) -> web.Response:
    """The page."""
    zone = zone_of(ask.request)
    query = replace(query_of(ask.request, OverviewQuery), time_zone=zone.key)
    figures = await api.get_overview(ask, query)
    last = await list_sessions(ask, SessionQuery(limit=_LAST_CALLS, project_id=query.project_id))
    dialled: Sequence[str] = ()
    if not last.items:
        async with ask.store() as store:
            known = await numbers.all_numbers(store)
        dialled = [ask.services.telephone.line.uri(one.called) for one in known if _may_dial(ask, one)]
    return page(
        ask,
        "overview.html",
        figures=figures,
        days=query.days,
        project_id=query.project_id,
        last=last.items,
        names=await names_for(ask),
        chart=_chart(figures, query.days, zone),
        in_zone=zone,
        dialled=dialled,
    )


def _may_dial(ask: Ask, number: numbers.Number) -> bool:
    """Whether it belongs to a project that whoever asks knows of, and a softphone can dial it: it is not a number."""
    return (ask.projects is None or number.project_id in ask.projects) and not number.called.startswith("+")


def _chart(figures: Overview, days: int, zone: ZoneInfo) -> Mapping[str, Any]:
    """For `charts.js`: unix seconds, the zone that they are shown in, and one row of values for each line."""
    spans = figures.spans
    return {
        "hourly": days == 1,
        "zone": zone.key,
        "times": [int(span.began.timestamp()) for span in spans],
        "answered": [span.answered for span in spans],
        "missed": [span.missed for span in spans],
        "minutes": [span.minutes for span in spans],
    }

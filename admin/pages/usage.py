"""Usage: what was used, by month and project."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aiohttp import web

from admin.api import usage as api
from admin.api.usage import MonthOfUsage, Usage, UsageQuery
from admin.ask import Ask
from admin.csv import send_csv
from admin.pages.lists import around
from admin.pages.names import names_for
from admin.pages.queries import query_of
from admin.pages.render import page
from admin.pages.shown import plain

_HEAD: Final = ("Month", "Project", "Kind", "Quantity", "Calls")
_CALL_MS: Final = "call_ms"


@dataclass(frozen=True, slots=True)
class Line:
    """A project within a month."""

    month: str
    project_id: UUID | None
    quantities: Mapping[str, int]
    """By kind."""
    calls: int

    @property
    def minutes(self) -> float:
        """That calls were up."""
        return self.quantities.get(_CALL_MS, 0) / 60_000


async def show(ask: Ask) -> web.Response:
    """The page."""
    query = query_of(ask.request, UsageQuery)
    found = await api.get_usage(ask, query)
    lines = _lines(found)
    kinds = sorted({one.kind for one in found.items} - {_CALL_MS})
    return page(
        ask,
        "usage.html",
        lines=lines,
        kinds=kinds,
        headings=[(plain(kind), "num") for kind in kinds],
        minutes=sum(line.minutes for line in lines),
        calls=sum(line.calls for line in lines),
        query=query,
        names=await names_for(ask),
        **around(ask.request, f"/t/{ask.tenant_id}/usage", None),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as CSV."""
    found = await api.get_usage(ask, query_of(ask.request, UsageQuery))
    names = await names_for(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        for one in found.items:
            project = "deleted" if one.project_id is None else names.project(one.project_id)
            yield (one.month, project, one.kind, one.quantity, one.calls)

    return await send_csv(ask, "usage", _HEAD, rows())


def _lines(found: Usage) -> Sequence[Line]:
    by_line: defaultdict[tuple[str, UUID | None], list[MonthOfUsage]] = defaultdict(list)
    for one in found.items:
        by_line[one.month, one.project_id].append(one)
    return [
        Line(month, project_id, {one.kind: one.quantity for one in some}, max(one.calls for one in some))
        for (month, project_id), some in by_line.items()
    ]

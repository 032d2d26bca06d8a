"""Usage: minutes, calls and tokens, by project and month."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.ask import Ask
from admin.problems import BadRequestError
from store import usage

Month = Annotated[str, Meta(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
"""`2026-01`, in UTC."""


class MonthOfUsage(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one kind a project used within a month."""

    month: Month
    project_id: UUID | None
    """None: what is left of projects that were deleted."""
    kind: str
    """Such as `call_ms`: milliseconds that calls were up."""
    quantity: int
    calls: int
    """In which it was used."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What was used, newest month first."""

    items: tuple[MonthOfUsage, ...]


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which months, the first and the last; by default this one and the two before it."""

    since: Month | None = None
    until: Month | None = None
    project_id: UUID | None = None


async def get_usage(ask: Ask, query: UsageQuery) -> Usage:
    """Add up what was used, by month, project and kind."""
    if query.project_id is not None:
        ask.check(query.project_id)
    now = ask.now
    first = _start(query.since) if query.since else months_later(datetime(now.year, now.month, 1, tzinfo=UTC), -2)
    last = _start(query.until) if query.until else datetime(now.year, now.month, 1, tzinfo=UTC)
    if first > last:
        raise BadRequestError("The first month comes after the last.", field="since", remedy="Give an earlier one")
    within = ask.projects if query.project_id is None else {query.project_id}
    async with ask.store() as store:
        found = await usage.by_month(store, since=first, until=months_later(last, 1), project_ids=within)
    return Usage(
        items=tuple(
            MonthOfUsage(
                month=f"{one.month:%Y-%m}",
                project_id=one.project_id,
                kind=one.kind,
                quantity=one.quantity,
                calls=one.calls,
            )
            for one in found
        )
    )


def months_later(month: datetime, count: int) -> datetime:
    """The first moment of the month that comes so many later."""
    years, months = divmod(month.month - 1 + count, 12)
    return month.replace(year=month.year + years, month=months + 1)


def _start(month: str) -> datetime:
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)

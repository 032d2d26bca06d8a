"""How things go: calls of the last days in figures, and what somebody should look at."""

from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from admin.ask import Ask
from admin.probes import PROBLEMS
from admin.problems import BadRequestError
from admin.shared_answers import SHARED
from admin.zones import last_days, zone_named
from policies.access import Scope
from store import overview
from store.dsar.cases import list_cases
from store.overview import Quality, Span
from store.recordings import SAMPLES_PER_SECOND
from store.scope import TenantStore

_STEPS: Final = (timedelta(hours=1), timedelta(minutes=15))
"""In which calls are counted: hours, and less where a clock is put forward by less than an hour."""
_SOON: Final = timedelta(days=7)
_MOST_CASES: Final = 100


class OverviewQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Of how many days, today included, of which project, and where days begin."""

    days: Literal[1, 7, 30] = 7
    project_id: UUID | None = None
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    """Such as Europe/Berlin (IANA)."""


class SpanFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An hour of today, or a day of the zone that was asked for."""

    began: datetime
    calls: int
    answered: int
    missed: int
    minutes: float


class WaitFigures(msgspec.Struct, frozen=True, kw_only=True):
    """In ms; null without a single call that it was measured in."""

    p50: int | None
    p95: int | None


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """Something that somebody should look at."""

    what: str
    remedy: str
    kind: Literal["server", "request"]
    is_pressing: bool
    """Calls are lost, or a deadline is over."""


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """How things go."""

    since: datetime
    live: int
    """Calls that are up now."""
    calls: int
    answered: int
    missed: int
    minutes: float
    reply: WaitFigures
    """From the end of what a caller says to the agent's first sound: of each call the median."""
    first_audio: WaitFigures
    """From the answer to the first sound."""
    consent: Mapping[str, int]
    """Calls by what the caller answered: given, refused, no_answer; or not_asked."""
    spans: tuple[SpanFigures, ...]
    alarms: tuple[Alarm, ...]


async def get_overview(ask: Ask, query: OverviewQuery) -> Overview:
    """Show how things go."""
    if query.project_id is not None:
        ask.check(query.project_id)
    projects = ask.projects if query.project_id is None else (query.project_id,)
    zone = zone_named(query.time_zone)
    if zone is None:
        raise BadRequestError("There is no such time zone.", field="time_zone", remedy="Such as Europe/Berlin")
    begins = _begins(ask.now, query.days, zone)
    since = begins[0]
    step = next(one for one in _STEPS if all((began - since) % one == timedelta(0) for began in begins))
    # Of a million calls this takes a tenth of a second, and a whole team has the page open.
    spans, quality = await ask.request.app[SHARED].answer(
        (ask.tenant_id, projects if projects is None else frozenset(projects), since, step),
        lambda: _counted(ask, since, step, projects),
    )
    async with ask.store() as store:
        live = await overview.live_calls(store, project_ids=projects)
        requests = await _requests(ask, store)
    server = [
        Alarm(
            what=f"{problem.part.capitalize()} {problem.problem}.",
            remedy=f"{problem.remedy}.",
            kind="server",
            is_pressing=not problem.calls_go_on,
        )
        for problem in await ask.request.app[PROBLEMS]()
    ]
    return Overview(
        since=since,
        live=live,
        calls=sum(span.calls for span in spans),
        answered=sum(span.answered for span in spans),
        missed=sum(span.missed for span in spans),
        minutes=_minutes(sum(span.heard_samples for span in spans)),
        reply=WaitFigures(p50=quality.reply.p50, p95=quality.reply.p95),
        first_audio=WaitFigures(p50=quality.first_audio.p50, p95=quality.first_audio.p95),
        consent=quality.consent,
        spans=_added_up(spans, begins),
        alarms=(*server, *requests),
    )


async def _counted(
    ask: Ask, since: datetime, step: timedelta, projects: Collection[UUID] | None
) -> tuple[Sequence[Span], Quality]:
    async with ask.store() as store:
        spans = await overview.by_time(store, since=since, step=step, project_ids=projects)
        return spans, await overview.quality(store, since=since, project_ids=projects)


def _begins(now: datetime, days: int, zone: ZoneInfo) -> Sequence[datetime]:
    """When each span begins, in UTC: so that the last one holds this moment."""
    if days == 1:
        hour = now.astimezone(zone).replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        return [hour - timedelta(hours=ago) for ago in reversed(range(24))]
    return last_days(now, days, zone)


def _added_up(counted: Sequence[Span], begins: Sequence[datetime]) -> tuple[SpanFigures, ...]:
    """What was counted in small steps, by the spans that are shown; also those in which nobody called."""
    of_span: list[list[Span]] = [[] for _ in begins]
    for one in counted:
        of_span[bisect_right(begins, one.began) - 1].append(one)
    return tuple(
        SpanFigures(
            began=began,
            calls=sum(one.calls for one in some),
            answered=sum(one.answered for one in some),
            missed=sum(one.missed for one in some),
            minutes=_minutes(sum(one.heard_samples for one in some)),
        )
        for began, some in zip(begins, of_span, strict=True)
    )


def _minutes(samples: int) -> float:
    return round(samples / SAMPLES_PER_SECOND / 60, 1)


async def _requests(ask: Ask, store: TenantStore) -> Sequence[Alarm]:
    """What callers have asked for and is due soon, or overdue; for those who may answer it."""
    if not ask.may(Scope.DSAR_READ):
        return ()
    projects = ask.principal.projects_with(Scope.DSAR_READ)
    cases = await list_cases(store, project_ids=projects, limit=_MOST_CASES)
    over = sum(case.due_at <= ask.now for case in cases)
    soon = sum(ask.now < case.due_at <= ask.now + _SOON for case in cases)
    return [
        Alarm(
            what=f"{_so_many(number)} {when}.", remedy="Answer under Caller requests.", kind="request", is_pressing=late
        )
        for number, when, late in ((over, "overdue", True), (soon, "due within a week", False))
        if number
    ]


def _so_many(number: int) -> str:
    return "A caller's request is" if number == 1 else f"{number} callers' requests are"

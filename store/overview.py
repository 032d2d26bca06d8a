"""Figures of many calls at once: how many, how long, how quick, and what was consented to."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from store.scope import TenantStore
from store.transfers import first_id

# A call is as new as its id; what PostgreSQL need not guess about `planned_at` lets it count without sorting.
_BY_TIME: Final = """
SELECT date_bin(CAST(:step AS interval), greatest(planned_at, CAST(:since AS timestamptz)),
                CAST(:since AS timestamptz)) AS began,
       count(*),
       count(heard_samples),
       count(*) FILTER (WHERE state = 'ended' AND heard_samples IS NULL),
       coalesce(sum(heard_samples), 0)
FROM sessions
WHERE tenant_id = :tenant_id AND id >= :first AND state <> 'spare'
  AND (CAST(:project_ids AS uuid[]) IS NULL OR project_id = ANY (CAST(:project_ids AS uuid[])))
GROUP BY began
"""
_WAITS: Final = """
SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY reply_ms),
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_audio_ms),
       count(*) FILTER (WHERE consent = 'given'),
       count(*) FILTER (WHERE consent = 'refused'),
       count(*) FILTER (WHERE consent = 'no_answer'),
       count(*) FILTER (WHERE consent = 'not_asked')
FROM sessions
WHERE tenant_id = :tenant_id AND id >= :first AND state = 'ended'
  AND (CAST(:project_ids AS uuid[]) IS NULL OR project_id = ANY (CAST(:project_ids AS uuid[])))
"""
_LIVE: Final = """
SELECT count(*) FROM sessions
WHERE tenant_id = :tenant_id AND state = 'open' AND planned_at > :since
  AND (CAST(:project_ids AS uuid[]) IS NULL OR project_id = ANY (CAST(:project_ids AS uuid[])))
"""
_LONGEST: Final = timedelta(hours=2)
"""What was planned longer ago is up no more: its machine died, and nobody will say that the call has ended."""


@dataclass(frozen=True, slots=True)
class Span:
    """What happened from a moment on, until the next one's."""

    began: datetime
    calls: int
    answered: int
    missed: int
    heard_samples: int
    """Of 1/8000 s."""


@dataclass(frozen=True, slots=True)
class Waits:
    """In ms, the middle one and the one that 5 % exceed; None without a single measurement."""

    p50: int | None
    p95: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How quick the calls were, and what was consented to in how many of them."""

    reply: Waits
    """From the end of what a caller says to the agent's first sound: of each call the median."""
    first_audio: Waits
    """From the answer to the first sound."""
    consent: Mapping[str, int]
    """Calls by what the caller answered: given, refused, no_answer; or not_asked."""


async def by_time(
    store: TenantStore, *, since: datetime, step: timedelta, project_ids: Collection[UUID] | None = None
) -> tuple[Span, ...]:
    """The calls since a moment, in spans of one length that begin with it; spans without calls are left out."""
    rows = await store.fixed(_BY_TIME, since=since, step=step, first=first_id(since), project_ids=_listed(project_ids))
    spans = [Span(began, calls, answered, missed, int(heard)) for began, calls, answered, missed, heard in rows]
    return tuple(sorted(spans, key=lambda span: span.began))  # there may be hundreds: comparing whole rows is slow


async def quality(store: TenantStore, *, since: datetime, project_ids: Collection[UUID] | None = None) -> Quality:
    """Of the calls since then that are over."""
    ((reply, first_audio, given, refused, no_answer, not_asked),) = await store.fixed(
        _WAITS, first=first_id(since), project_ids=_listed(project_ids)
    )
    consent = {"given": given, "refused": refused, "no_answer": no_answer, "not_asked": not_asked}
    return Quality(reply=_waits(reply), first_audio=_waits(first_audio), consent=consent)


async def live_calls(store: TenantStore, *, project_ids: Collection[UUID] | None = None) -> int:
    """Calls that are planned or up now, on all machines."""
    ((found,),) = await store.fixed(_LIVE, since=datetime.now(UTC) - _LONGEST, project_ids=_listed(project_ids))
    return int(found)


def _waits(percentiles: Sequence[int | None] | None) -> Waits:
    return Waits(None, None) if percentiles is None else Waits(*percentiles)


def _listed(project_ids: Collection[UUID] | None) -> list[UUID] | None:
    return None if project_ids is None else list(project_ids)

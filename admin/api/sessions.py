"""Calls: finding them, and having them erased. What is inside one is in `session_content` and `recordings`."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.erasures import Erasure, get_erasure
from admin.api.shown import Limit
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError, ProblemError
from policies.access import Scope
from policies.erasure import Reason
from policies.numbers import PhoneNumber, parse_number, region_of
from store import call_lists, projects, sessions
from store.call_lists import Outcome, Wanted
from store.erasure.holds import HeldError
from store.erasure.sessions import erase_sessions
from store.projects import Project
from store.recordings import SAMPLES_PER_SECOND
from store.scope import TenantStore

MOST_AT_ONCE = 1000
"""Calls that one request may have erased."""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A call."""

    id: UUID
    project_id: UUID
    scenario_id: UUID
    scenario_version: int
    state: Literal["open", "ended"]
    called: str
    caller: str | None
    """As the line gave it; null where it was withheld, and once the call is erased."""
    trunk: str
    language: str
    planned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    outcome: Outcome | None
    """Null while it is up."""
    duration_s: float | None
    """How long the line was heard."""
    recorded: bool
    """Whether there is a recording now."""
    consent: str | None
    """What the caller answered when they were asked: given, refused, no_answer; or not_asked."""
    first_audio_ms: int | None
    """From the answer to the first sound."""
    reply_ms: int | None
    """From the end of what the caller says to the agent's first sound: the call's median."""
    readable: bool
    """False once the call's key was deleted: what was said in it is lost to everyone."""


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Calls, newest first."""

    items: tuple[Session, ...]
    """Where a number was asked for, these may be fewer than `limit`, and there may still be more."""
    next_cursor: UUID | None


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which calls."""

    project_id: UUID | None = None
    state: Literal["open", "ended"] | None = None
    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Before this moment."""
    caller: Annotated[str, Meta(max_length=64)] | None = None
    """A number as people type it: best in E.164; nationally where the projects are in one country."""
    scenario_id: UUID | None = None
    outcome: Outcome | None = None
    end_reason: Annotated[str, Meta(pattern="^[a-z_]{1,64}$")] | None = None
    recorded: bool | None = None


class SessionQuery(SessionFilter, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which calls, and how many at once."""

    cursor: UUID | None = None
    limit: Limit = 50


class SessionsToErase(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which calls are to be erased."""

    session_ids: Annotated[tuple[UUID, ...], Meta(min_length=1, max_length=MOST_AT_ONCE)]


async def list_sessions(ask: Ask, query: SessionQuery) -> SessionPage:
    """List calls, newest first."""
    async with ask.store() as store:
        wanted = await wanted_calls(ask, store, query)
        page = await call_lists.list_calls(store, wanted, before=query.cursor, limit=query.limit, actor=ask.actor)
    return SessionPage(items=tuple(map(shown_session, page.calls)), next_cursor=page.next_before)


async def get_session(ask: Ask, session_id: UUID) -> Session:
    """Show a call."""
    async with ask.store() as store:
        await check_call(ask, store, session_id, Scope.SESSIONS_READ)
        session = await sessions.find_session(store, session_id, actor=ask.actor)
        if session is None:
            raise NotThereError
        return shown_session(session)


async def erase(ask: Ask, body: SessionsToErase) -> Erasure:
    """Erase calls for good: nobody can read them from now on, and every copy follows within minutes."""
    wanted = set(body.session_ids)
    async with ask.store() as store:
        projects_of = await call_lists.projects_of_calls(store, wanted)
        not_there = NotThereError(
            "One of these calls is not there.", field="session_ids", remedy="List the calls again"
        )
        if projects_of.keys() != wanted:
            raise not_there
        for project_id in set(projects_of.values()):
            try:
                ask.check(project_id, Scope.SESSIONS_DELETE)
            except NotThereError:  # told as of calls that nobody has
                raise not_there from None
        try:
            receipt = await erase_sessions(
                store, ask.services.blobs, wanted, actor=ask.actor, reason=Reason.MEMBER_ASKED
            )
        except HeldError as error:
            raise ConflictError(
                "A legal hold is on one of these calls, so none was erased.",
                field="session_ids",
                remedy=f"Release it first: {', '.join(str(hold_id) for hold_id in error.hold_ids)}",
            ) from error
    return await get_erasure(ask, receipt.erasure_id)


async def check_call(ask: Ask, store: TenantStore, session_id: UUID, scope: Scope) -> None:
    """Go on only if there is such a call, and whoever asks has the scope in its project.

    Raises:
        ProblemError: 404 where nothing is granted there, or there is no such call; 403 where something else is.
    """
    project_id = (await call_lists.projects_of_calls(store, (session_id,))).get(session_id)
    if project_id is None:
        raise NotThereError
    ask.check(project_id, scope)


async def wanted_calls(ask: Ask, store: TenantStore, query: SessionFilter) -> Wanted:
    """What a filter means for whoever asks. Raises `ProblemError` where it cannot be meant so."""
    if query.project_id is not None:
        ask.check(query.project_id)
    project_ids = ask.projects if query.project_id is None else (query.project_id,)
    number = None
    if query.caller is not None:
        everyone = await projects.all_projects(store)
        number = _read_number(query.caller, [one for one in everyone if project_ids is None or one.id in project_ids])
    return Wanted(
        project_ids=project_ids,
        state=query.state,
        since=query.since,
        until=query.until,
        number=number,
        scenario_id=query.scenario_id,
        outcome=query.outcome,
        end_reason=query.end_reason,
        recorded=query.recorded,
    )


def erased_error() -> ProblemError:
    """410: nobody can read it any more."""
    return ProblemError(HTTPStatus.GONE, "This call was erased. What was said in it cannot be read any more.")


def _read_number(typed: str, among: Sequence[Project]) -> PhoneNumber:
    regions: set[str | None] = {region_of(project.jurisdiction) for project in among} or {None}
    found = {number for region in regions if (number := parse_number(typed, region)) is not None}
    if len(found) != 1:
        detail = "This is no telephone number." if not found else "This is a number in several countries."
        raise BadRequestError(detail, field="caller", remedy="Write it with its country code, such as +49 30 123456")
    return found.pop()


def shown_session(session: sessions.Session) -> Session:
    """A call as the API tells it."""
    heard = session.heard_samples or 0
    ended = session.state == "ended"
    return Session(
        id=session.id,
        project_id=session.project_id,
        scenario_id=session.scenario_id,
        scenario_version=session.scenario_version,
        state="ended" if ended else "open",
        called=session.called,
        caller=session.caller,
        trunk=session.trunk,
        language=session.language,
        planned_at=session.planned_at,
        started_at=session.started_at,
        ended_at=session.ended_at,
        ended_by=session.ended_by,
        end_reason=session.end_reason,
        outcome=None if not ended else "answered" if heard else "missed",
        duration_s=None if not heard else round(heard / SAMPLES_PER_SECOND, 1),
        recorded=session.recorded,
        consent=session.consent,
        first_audio_ms=session.first_audio_ms,
        reply_ms=session.reply_ms,
        readable=session.readable,
    )

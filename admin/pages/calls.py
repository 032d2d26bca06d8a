"""Calls: the list, as narrow as somebody wants it; as a file; and what is erased of it."""

from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web
from msgspec import Meta

from admin.api import sessions as api
from admin.api.sessions import Session, SessionPage, SessionQuery, SessionsToErase
from admin.api.shown import Limit
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.forms import check_typed, chosen
from admin.pages.lists import around, every
from admin.pages.names import Names, names_for
from admin.pages.queries import query_of
from admin.pages.render import go_to, page
from admin.pages.shown import plain
from admin.problems import BadRequestError, ConflictError, NotThereError, ProblemError
from admin.zones import midnight, zone_of
from policies.access import Scope
from policies.audit_tags import Tag
from policies.call_flow import END_REASONS
from policies.retention import BACKUP_DAYS
from store.call_lists import Outcome

WORD: Final = "erase"
"""To be typed before anything is erased."""
_HEAD: Final = (
    "id", "planned_at", "project", "scenario", "called", "caller", "state", "outcome", "duration_s", "end_reason",
    "ended_by", "recorded", "consent", "language", "trunk", "first_audio_ms", "reply_ms",
)  # fmt: skip  # as the cells below


class CallsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields over the list."""

    caller: Annotated[str, Meta(max_length=64)] | None = None
    project_id: UUID | None = None
    scenario_id: UUID | None = None
    state: str | None = None
    outcome: Outcome | None = None
    end_reason: Annotated[str, Meta(pattern="^[a-z_]{1,64}$")] | None = None
    recorded: bool | None = None
    since: date | None = None
    until: date | None = None
    """This day too."""
    cursor: UUID | None = None
    limit: Limit = 50

    def as_api(self, zone: ZoneInfo) -> SessionQuery:
        """The same question to the HTTP API; days are those of the zone."""
        return msgspec.convert(
            {
                **msgspec.structs.asdict(self),
                "since": None if self.since is None else midnight(self.since, zone),
                "until": None if self.until is None else midnight(self.until + timedelta(days=1), zone),
            },
            SessionQuery,
        )


async def show(ask: Ask) -> web.Response:
    """The list, with the fields that narrow it."""
    async with ask.in_one_transaction():
        names = await names_for(ask)
        try:
            query = query_of(ask.request, CallsQuery)
            found = await api.list_sessions(ask, query.as_api(zone_of(ask.request)))
        except BadRequestError as error:
            return _page(ask, names, SessionPage(items=(), next_cursor=None), error)
    return _page(ask, names, found)


async def as_csv(ask: Ask) -> web.StreamResponse:
    """All calls that the fields leave, as a file; the audit log knows who took it."""
    query = query_of(ask.request, CallsQuery).as_api(zone_of(ask.request))
    names = await names_for(ask)
    async with ask.store() as store:
        await api.wanted_calls(ask, store, query)  # what is wrong with it is said before anything is sent
    return await send_csv(
        ask,
        f"calls-{ask.now:%Y-%m-%d}",
        _HEAD,
        _rows(ask, query, names),
        tag=Tag.SESSIONS_EXPORTED,
        facts={"narrowed_by": sorted(_narrowed(query))},
    )


async def confirm_erasing(ask: Ask) -> web.Response:
    """Say what will be erased, and ask for a word."""
    return await _confirmation(ask, _ids(ask.request.query.getall("id", [])))


async def erase(ask: Ask) -> web.Response:
    """Erase what was chosen, once the word was typed."""
    ids = _ids(await chosen(ask.request, "id"))
    try:
        check_typed(await form_of(ask.request), WORD)
        found = await api.erase(ask, SessionsToErase(session_ids=ids))
    except (BadRequestError, ConflictError) as error:
        return await _confirmation(ask, ids, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/erasures/{found.id}")


def _page(ask: Ask, names: Names, found: SessionPage, error: ProblemError | None = None) -> web.Response:
    request = ask.request
    return page(
        ask,
        "calls.html",
        status=200 if error is None else error.status.value,
        items=found.items,
        names=names,
        filled=request.query,
        error=None if error is None else error.problem,
        end_reasons=[("", "Any"), *((reason, plain(reason)) for reason in END_REASONS)],
        **around(request, f"/t/{ask.tenant_id}/calls", found.next_cursor),
        may_erase=ask.may(Scope.SESSIONS_DELETE),
    )


async def _confirmation(ask: Ask, ids: Sequence[UUID], error: ProblemError | None = None) -> web.Response:
    calls: list[Session] = []
    for session_id in ids:
        try:
            calls.append(await api.get_session(ask, session_id))
        except NotThereError:
            continue  # erased meanwhile
    if not calls:
        return go_to(ask.request, f"/t/{ask.tenant_id}/calls", "No call was chosen, or it is gone already.")
    return page(
        ask,
        "calls_erase.html",
        status=200 if error is None else error.status.value,
        calls=calls,
        names=await names_for(ask),
        word=WORD,
        backup_days=BACKUP_DAYS,
        error=None if error is None else error.problem,
    )


async def _rows(ask: Ask, query: SessionQuery, names: Names) -> AsyncIterator[Sequence[object]]:
    async for call in every(partial(api.list_sessions, ask), query):
        yield _cells(call, names)


def _cells(call: Session, names: Names) -> Sequence[object]:
    return (
        call.id, call.planned_at, names.project(call.project_id), names.scenario(call.scenario_id), call.called,
        call.caller, call.state, call.outcome, call.duration_s, call.end_reason,
        call.ended_by, call.recorded, call.consent, call.language, call.trunk, call.first_audio_ms, call.reply_ms,
    )  # fmt: skip  # as the head above


def _narrowed(query: SessionQuery) -> list[str]:
    """Which fields were filled in, not with what: a number is somebody's."""
    return [name for name, value in msgspec.structs.asdict(query).items() if value is not None and name != "limit"]


def _ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    try:
        return tuple(dict.fromkeys(UUID(text) for text in texts[: api.MOST_AT_ONCE]))
    except ValueError:
        raise NotThereError from None

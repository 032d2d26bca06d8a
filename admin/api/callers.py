"""What is held about a caller: their calls, found by the number, and a copy of everything."""

from datetime import datetime
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api.requests import Number, check_reach, find_request, number_of, number_typed
from admin.api.shown import Limit
from admin.ask import Ask
from admin.download import download
from store.dsar.export import send_caller
from store.dsar.search import FoundCalls, search
from store.sessions import Session


class CallsWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose calls are looked for."""

    number: Number
    project_id: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class CallsQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which of the caller's calls."""

    cursor: UUID | None = None
    limit: Limit = 50


class CallOfCaller(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the number."""

    session_id: UUID
    project_id: UUID
    at: datetime
    called: str
    language: str
    seconds: float | None
    """None where it never was up."""


class CallsOfCaller(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of one number, newest first."""

    items: tuple[CallOfCaller, ...]
    next_cursor: UUID | None


async def search_calls(ask: Ask, body: CallsWanted) -> CallsOfCaller:
    """Find the calls of a number. The search stands in the audit log; the number only if it has called."""
    check_reach(ask, body.project_id)
    async with ask.store() as store:
        number = await number_typed(store, body.number, body.project_id)
        found = await search(
            store, number, actor=ask.actor, project_id=body.project_id, before=body.cursor, limit=body.limit
        )
    return _calls(found)


async def calls_of_request(ask: Ask, request_id: UUID, query: CallsQuery) -> CallsOfCaller:
    """List the calls that a request is about. Stands in the audit log."""
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
        number = number_of(case)
        found = await search(
            store, number, actor=ask.actor, project_id=case.project_id, before=query.cursor, limit=query.limit
        )
    return _calls(found)


async def export_request(ask: Ask, request_id: UUID) -> web.StreamResponse:
    """Download everything held about the caller as one ZIP file. Stands in the audit log."""
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
        number = number_of(case)
    async with download(ask.request, f"caller-data-{request_id}.zip", "application/zip") as response:
        await send_caller(
            ask.services.database,
            ask.services.blobs,
            ask.tenant_id,
            number,
            response.write,
            actor=ask.actor,
            project_id=case.project_id,
        )
    return response


def _calls(found: FoundCalls) -> CallsOfCaller:
    items = tuple(_call(session) for session in found.sessions)
    return CallsOfCaller(items=items, next_cursor=items[-1].session_id if found.more else None)


def _call(session: Session) -> CallOfCaller:
    up = session.started_at is not None and session.ended_at is not None
    return CallOfCaller(
        session_id=session.id,
        project_id=session.project_id,
        at=session.started_at or session.planned_at,
        called=session.called,
        language=session.language,
        seconds=(session.ended_at - session.started_at).total_seconds() if up else None,  # type: ignore[operator]
    )

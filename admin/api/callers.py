"""What is held about a caller: their calls, found by the number, and a copy of everything."""

import asyncio
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api.requests import Number, check_reach, find_request, number_of, number_typed
from admin.api.shown import Limit, ShownActor, shown_actors
from admin.ask import Ask
from admin.download import download
from admin.problems import ConflictError, NotThereError
from store.dsar import copies
from store.dsar.search import FoundCalls, search
from store.sessions import Session

_PIECE_BYTES: Final = 1 << 20


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


class CopyShown(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of everything held about a caller."""

    by: ShownActor
    asked_at: datetime
    calls: int
    """That there are."""
    calls_done: int
    """That are in it so far."""
    made_at: datetime | None
    """None while it is being made."""
    ends_at: datetime | None
    """From then on nobody can read it."""


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


async def make_copy(ask: Ask, request_id: UUID) -> CopyShown:
    """Have a copy of everything held about the caller made. It goes on by itself; it is kept sealed, for a day."""
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
        number_of(case)
        await copies.ask_copy(store, request_id, actor=ask.actor, now=ask.now)
    return await get_copy(ask, request_id)


async def get_copy(ask: Ask, request_id: UUID) -> CopyShown:
    """Show how far the copy is, and until when it can be had."""
    found = await copy_of(ask, request_id)
    if found is None:
        raise NotThereError
    return found


async def copy_of(ask: Ask, request_id: UUID) -> CopyShown | None:
    """The same; None where nobody has asked for one, or its day is over."""
    async with ask.store() as store:
        await find_request(ask, store, request_id)
        found = await copies.find_copy(store, request_id, ask.now)
    if found is None:
        return None
    return CopyShown(
        by=(await shown_actors(ask, (found.by,)))[found.by],
        asked_at=found.asked_at,
        calls=found.calls,
        calls_done=found.calls_done,
        made_at=found.made_at,
        ends_at=found.ends_at,
    )


async def download_copy(ask: Ask, request_id: UUID) -> web.StreamResponse:
    """Download the copy as one ZIP file, as often as it is wanted. Each time stands in the audit log."""
    try:
        async with ask.store() as store:
            await find_request(ask, store, request_id)
            reader = await copies.open_copy(store, ask.services.blobs, request_id, actor=ask.actor, now=ask.now)
    except copies.NoCopyError:
        raise ConflictError(
            "There is no copy, or it is being made.", remedy="Ask for one, and wait for made_at"
        ) from None
    async with download(ask.request, f"caller-data-{request_id}.zip", "application/zip") as response:
        for at in range(0, reader.length, _PIECE_BYTES):
            await response.write(await asyncio.to_thread(reader.read, at, _PIECE_BYTES))
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

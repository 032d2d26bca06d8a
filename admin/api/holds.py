"""Legal holds: what may not be erased for now, because somebody may need it before a court."""

from datetime import date, datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.shown import Limit, Search, ShownActor, holds_part, shown_actors
from admin.ask import Ask
from admin.problems import BadRequestError, NotThereError
from store.erasure import expiry, holds
from store.erasure.holds import HoldRefusedError
from store.scope import TenantStore


class LegalHold(msgspec.Struct, frozen=True, kw_only=True):
    """One hold."""

    id: UUID
    project_id: UUID
    session_id: UUID | None
    """None: all calls of the project."""
    reason: str
    placed_by: ShownActor
    placed_at: datetime
    expires_at: datetime


class LegalHoldPage(msgspec.Struct, frozen=True, kw_only=True):
    """Holds, oldest first."""

    items: tuple[LegalHold, ...]
    next_cursor: UUID | None


class LegalHoldListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which holds."""

    search: Search | None = None
    """In the reason."""
    project_id: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class NewLegalHold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be held, why, and until when."""

    project_id: UUID
    session_id: UUID | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    """The matter, such as its file number."""
    expires_at: Annotated[datetime, Meta(tz=True)]
    """Within ten years."""


class ReleasePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a hold keeps, and what the next nightly run would take without it."""

    hold: LegalHold
    on: date
    calls_held: int
    recordings: int
    calls: int
    """Calls that would lose their words, or go altogether. None that another hold is on is counted."""


async def list_holds(ask: Ask, query: LegalHoldListQuery) -> LegalHoldPage:
    """List legal holds, oldest first."""
    if query.project_id is not None:
        ask.check(query.project_id)
    async with ask.store() as store:
        found = await holds.list_holds(store, project_id=query.project_id)
    within = ask.projects
    mine = [one for one in found if within is None or one.project_id in within]
    some = [
        one for one in mine if (query.cursor is None or one.id > query.cursor) and holds_part(query.search, one.reason)
    ]
    shown = some[: query.limit]
    actors = await shown_actors(ask, (one.owner for one in shown))
    items = tuple(_hold(one, actors[one.owner]) for one in shown)
    return LegalHoldPage(items=items, next_cursor=items[-1].id if len(some) > query.limit else None)


async def place_hold(ask: Ask, body: NewLegalHold) -> LegalHold:
    """Keep a call, or all calls of a project, from being erased by anybody and by age."""
    ask.check(body.project_id)
    if body.expires_at.tzinfo is None:
        raise BadRequestError("A moment has a zone.", field="expires_at", remedy="Such as 2027-01-31T00:00:00Z")
    try:
        async with ask.store() as store:
            hold = await holds.place_hold(
                store,
                project_id=body.project_id,
                session_id=body.session_id,
                reason=body.reason,
                expires_at=body.expires_at,
                actor=ask.actor,
                now=ask.now,
            )
    except HoldRefusedError as error:
        raise BadRequestError(f"{error}.", field=error.field) from None
    return _hold(hold, (await shown_actors(ask, (hold.owner,)))[hold.owner])


async def preview_release(ask: Ask, hold_id: UUID) -> ReleasePreview:
    """Show how many calls a legal hold keeps, and what would go once it were released."""
    tomorrow = ask.now + timedelta(days=1)
    async with ask.store() as store:
        hold = await _find(ask, store, hold_id)
        calls = await holds.calls_held(store, project_id=hold.project_id, session_id=hold.session_id)
        then = await expiry.preview(store, hold.project_id, None, tomorrow, released=hold_id)
        anyway = await expiry.preview(store, hold.project_id, None, tomorrow)
    return ReleasePreview(
        hold=_hold(hold, (await shown_actors(ask, (hold.owner,)))[hold.owner]),
        on=tomorrow.date(),
        calls_held=calls,
        recordings=then.recordings - anyway.recordings,
        calls=then.sessions - anyway.sessions,
    )


async def release_hold(ask: Ask, hold_id: UUID) -> None:
    """End a legal hold before its day. What is over its time goes with the next nightly run."""
    async with ask.store() as store:
        await _find(ask, store, hold_id)
        if not await holds.release_hold(store, hold_id, actor=ask.actor):
            raise NotThereError


async def _find(ask: Ask, store: TenantStore, hold_id: UUID) -> holds.Hold:
    found = await holds.find_hold(store, hold_id)
    if found is None:
        raise NotThereError
    ask.check(found.project_id)
    return found


def _hold(hold: holds.Hold, placed_by: ShownActor) -> LegalHold:
    return LegalHold(
        id=hold.id,
        project_id=hold.project_id,
        session_id=hold.session_id,
        reason=hold.reason,
        placed_by=placed_by,
        placed_at=hold.placed_at,
        expires_at=hold.expires_at,
    )

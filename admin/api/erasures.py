"""Erasures of calls: how far each is, and its receipt. With the asking, nobody can read the calls any more."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from admin.api.shown import Limit, ShownActor, shown_actors
from admin.ask import Ask
from admin.problems import ConflictError, NotThereError
from policies.erasure import Reason
from store.erasure import sessions
from store.erasure.receipts import hand_out
from store.erasure.sessions import NoErasureError, Receipt
from store.scope import TenantStore


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that are being erased, or were."""

    id: UUID
    reason: str
    by: ShownActor
    asked_at: datetime
    """From then on nobody could read the calls."""
    calls: int
    calls_done: int
    """Of so many the last copy is gone."""
    finished_at: datetime | None
    backups_forget_at: datetime | None
    """When the last backup that holds anything of it is gone."""
    counts: Mapping[str, int]
    """Rows that are gone, by table; of `consent_proofs` and `usage_events` those that stay, cut off."""


class ErasurePage(msgspec.Struct, frozen=True, kw_only=True):
    """Erasures, newest first."""

    items: tuple[Erasure, ...]
    next_cursor: UUID | None


class ErasureListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which erasures."""

    state: Literal["running", "done"] | None = None
    reason: Reason | None = None
    cursor: UUID | None = None
    limit: Limit = 50


async def list_erasures(ask: Ask, query: ErasureListQuery) -> ErasurePage:
    """List erasures of calls, newest first."""
    async with ask.store() as store:
        found = await sessions.list_erasures(
            store,
            before=query.cursor,
            limit=query.limit + 1,
            is_done=None if query.state is None else query.state == "done",
            reason=query.reason,
        )
        some = found[: query.limit]
        left = {one.erasure_id: await _left(store, one) for one in some}
    actors = await shown_actors(ask, (one.actor for one in some))
    items = tuple(_erasure(one, actors[one.actor], left[one.erasure_id]) for one in some if _may_see(ask, one))
    return ErasurePage(items=items, next_cursor=some[-1].erasure_id if len(found) > query.limit else None)


async def get_erasure(ask: Ask, erasure_id: UUID) -> Erasure:
    """Show how far an erasure is."""
    async with ask.store() as store:
        await _find(ask, store, erasure_id)
    return await shown_erasure(ask, erasure_id)


async def shown_erasure(ask: Ask, erasure_id: UUID) -> Erasure:
    """The same, for whoever sees what it was asked for."""
    async with ask.store() as store:
        found = await sessions.find_erasure(store, erasure_id)
        left = await _left(store, found)
    return _erasure(found, (await shown_actors(ask, (found.actor,)))[found.actor], left)


async def get_erasure_receipt(ask: Ask, erasure_id: UUID) -> dict[str, Any]:
    """Hand out the signed receipt of an erasure, which `aitelier receipts verify` checks anywhere."""
    async with ask.store() as store:
        found = await _find(ask, store, erasure_id)
    if found.signed is None:
        raise ConflictError(
            "Copies are still being removed.",
            remedy="Wait until finished_at is set; nobody can read the calls meanwhile",
        )
    return await hand_out(ask.services.database, ask.tenant_id, found.signed)


async def _find(ask: Ask, store: TenantStore, erasure_id: UUID) -> Receipt:
    try:
        found = await sessions.find_erasure(store, erasure_id)
    except NoErasureError:
        raise NotThereError from None
    if not _may_see(ask, found):
        raise NotThereError
    return found


def _may_see(ask: Ask, erasure: Receipt) -> bool:
    """Of which projects the calls were is not known any more: so whoever sees all of them, and who asked for it."""
    return ask.projects is None or erasure.actor == ask.actor


async def _left(store: TenantStore, erasure: Receipt) -> int:
    return 0 if erasure.finished_at is not None else await sessions.calls_left(store, erasure.erasure_id)


def _erasure(found: Receipt, by: ShownActor, left: int) -> Erasure:
    return Erasure(
        id=found.erasure_id,
        reason=found.reason,
        by=by,
        asked_at=found.asked_at,
        calls=found.sessions,
        calls_done=found.sessions - left,
        finished_at=found.finished_at,
        backups_forget_at=found.backups_forget_at,
        counts=found.counts,
    )

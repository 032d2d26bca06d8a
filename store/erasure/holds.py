"""Legal holds: what may not be erased for now, because somebody may need it before a court.

A hold is on one call or on a whole project, and ends on its day unless it is released before. Nothing that it covers
goes, neither by age nor by anybody's wish, and the database itself refuses to delete a row that a hold refers to.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, delete, func, or_, select
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.scope import TenantStore
from store.tables.calls import SessionTable
from store.tables.retention import LegalHoldTable
from store.tables.setup import ProjectTable

LONGEST: Final = timedelta(days=3650)
_TABLE = "legal_holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One hold."""

    id: UUID
    project_id: UUID
    session_id: UUID | None
    """None: all calls of the project."""
    reason: str
    owner: Actor
    placed_at: datetime
    expires_at: datetime


class HeldError(Exception):
    """A legal hold is in the way; names the holds, and of each until when."""

    def __init__(self, holds: Sequence[tuple[UUID, datetime]]) -> None:
        listed = ", ".join(f"{hold_id} until {expires_at:%Y-%m-%d}" for hold_id, expires_at in holds)
        super().__init__(f"Under legal hold: {listed}. Release the hold first: aitelier holds release")
        self.hold_ids = tuple(hold_id for hold_id, _ in holds)


class HoldRefusedError(ValueError):
    """A hold that cannot be placed; names the field, and says why."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


async def place_hold(
    store: TenantStore,
    *,
    project_id: UUID,
    session_id: UUID | None = None,
    reason: str,
    expires_at: datetime,
    actor: Actor,
    now: datetime | None = None,
) -> Hold:
    """Keep a call, or all calls of a project, from being erased until `expires_at`.

    Raises:
        HoldRefusedError: There is no such call or project, no reason, or the end is past or too far.
    """
    now = now or datetime.now(UTC)
    if not reason.strip():
        raise HoldRefusedError("reason", "A hold needs its reason, such as the matter and its file number")
    if not now < expires_at <= now + LONGEST:
        raise HoldRefusedError("expires_at", "A hold ends on a day to come, within ten years")
    if await store.first(select(ProjectTable.id).where(ProjectTable.id == project_id)) is None:
        raise HoldRefusedError("project_id", "There is no such project")
    call = select(SessionTable.id).where(SessionTable.id == session_id, SessionTable.project_id == project_id)
    if session_id is not None and await store.first(call) is None:
        raise HoldRefusedError("session_id", "The project has no such call")
    hold = Hold(
        id=uuid7(),
        project_id=project_id,
        session_id=session_id,
        reason=reason.strip(),
        owner=actor,
        placed_at=now,
        expires_at=expires_at,
    )
    columns = await store.keys.tenant_columns(store)
    await store.add(
        LegalHoldTable(
            tenant_id=store.tenant_id,
            id=hold.id,
            project_id=project_id,
            session_id=session_id,
            reason_sealed=columns.seal(hold.reason, _TABLE, "reason", hold.id),
            owner_kind=actor.kind,
            owner_id=actor.id,
            placed_at=now,
            expires_at=expires_at,
        )
    )
    await record(store, actor, Tag.HOLD_PLACED, objects=_objects(hold), facts={"expires_at": expires_at.isoformat()})
    return hold


async def release_hold(store: TenantStore, hold_id: UUID, *, actor: Actor) -> bool:
    """End a hold before its day; False when there is none."""
    held = await store.first(select(LegalHoldTable).where(LegalHoldTable.id == hold_id))
    if held is None or not await store.change(delete(LegalHoldTable).where(col(LegalHoldTable.id) == hold_id)):
        return False
    await record(store, actor, Tag.HOLD_RELEASED, objects=_objects(held))
    return True


async def list_holds(store: TenantStore, *, project_id: UUID | None = None) -> tuple[Hold, ...]:
    """Holds, oldest first."""
    statement = select(LegalHoldTable).order_by(col(LegalHoldTable.id))
    if project_id is not None:
        statement = statement.where(LegalHoldTable.project_id == project_id)
    rows = await store.all(statement)
    if not rows:
        return ()
    columns = await store.keys.tenant_columns(store)
    return tuple(
        Hold(
            id=row.id,
            project_id=row.project_id,
            session_id=row.session_id,
            reason=columns.open(row.reason_sealed, _TABLE, "reason", row.id),
            owner=Actor(row.owner_kind, row.owner_id),  # type: ignore[arg-type]  # written by `place_hold` only
            placed_at=row.placed_at,
            expires_at=row.expires_at,
        )
        for row in rows
    )


async def find_hold(store: TenantStore, hold_id: UUID) -> Hold | None:
    """This hold; None when there is none."""
    return next((one for one in await list_holds(store) if one.id == hold_id), None)


async def calls_held(store: TenantStore, *, project_id: UUID, session_id: UUID | None) -> int:
    """How many calls a hold on this is on."""
    held = SessionTable.project_id == project_id, SessionTable.state != "spare"
    statement = select(func.count()).select_from(SessionTable).where(*held)
    if session_id is not None:
        statement = statement.where(SessionTable.id == session_id)
    return await store.first(statement) or 0


async def end_expired(store: TenantStore, now: datetime) -> int:
    """Remove holds whose day has come; how many."""
    expired = await store.all(select(LegalHoldTable).where(col(LegalHoldTable.expires_at) <= now))
    for held in expired:
        await store.change(delete(LegalHoldTable).where(col(LegalHoldTable.id) == held.id))
        await record(
            store, Actor("system", "retention"), Tag.HOLD_RELEASED, objects=_objects(held), facts={"expired": True}
        )
    return len(expired)


async def refuse_held(store: TenantStore, session_ids: Collection[UUID], now: datetime) -> None:
    """Make sure that none of these calls is held.

    Raises:
        HeldError: One is.
    """
    projects = select(SessionTable.project_id).where(col(SessionTable.id).in_(session_ids))
    await _refuse(
        store,
        now,
        or_(
            col(LegalHoldTable.session_id).in_(session_ids),
            col(LegalHoldTable.session_id).is_(None) & col(LegalHoldTable.project_id).in_(projects),
        ),
    )


async def refuse_held_project(store: TenantStore, project_id: UUID, now: datetime) -> None:
    """Make sure that neither the project nor any of its calls is held.

    Raises:
        HeldError: Something is.
    """
    await _refuse(store, now, col(LegalHoldTable.project_id) == project_id)


async def _refuse(store: TenantStore, now: datetime, which: ColumnElement[bool]) -> None:
    rows = await store.rows(
        select(LegalHoldTable.id, LegalHoldTable.expires_at)
        .where(which, col(LegalHoldTable.expires_at) > now)
        .order_by(col(LegalHoldTable.id))
    )
    if rows:
        raise HeldError([(row[0], row[1]) for row in rows])


def _objects(hold: Hold | LegalHoldTable) -> dict[str, str]:
    call = {} if hold.session_id is None else {"session": str(hold.session_id)}
    return {"hold": str(hold.id), "project": str(hold.project_id), **call}

"""Lists of calls: newest first, as narrow as somebody wants them, a page at a time."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, not_, select

from policies.audit_tags import Actor, Tag
from policies.numbers import PhoneNumber
from store import sessions
from store.dsar.search import calls_of, record_query
from store.scope import TenantStore
from store.sessions import Session
from store.tables.base import among
from store.tables.calls import SessionTable
from store.transfers import first_id

Outcome = Literal["answered", "missed"]
"""`missed`: it ended before anything was heard of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which calls; None leaves open."""

    project_ids: Collection[UUID] | None = None
    state: Literal["open", "ended"] | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Planned before this moment."""
    number: PhoneNumber | None = None
    """The caller's, however the line wrote it."""
    scenario_id: UUID | None = None
    outcome: Outcome | None = None
    end_reason: str | None = None
    recorded: bool | None = None


@dataclass(frozen=True, slots=True)
class PageOfCalls:
    """Some of the calls."""

    calls: tuple[Session, ...]
    next_before: UUID | None
    """The next page begins before this id; None at the end."""


async def list_calls(
    store: TenantStore, wanted: Wanted, *, before: UUID | None = None, limit: int = 50, actor: Actor
) -> PageOfCalls:
    """A page of the calls that are wanted, newest first. Whoever asks for a number leaves that in the audit log."""
    statement = select(SessionTable.id).where(SessionTable.state != "spare", *_conditions(wanted))
    if wanted.number is not None:
        statement = statement.where(*await calls_of(store, wanted.number))
    if before is not None:
        statement = statement.where(col(SessionTable.id) < before)
    ids = await store.all(statement.order_by(col(SessionTable.id).desc()).limit(limit + 1))
    shown = ids[:limit]
    found = await sessions.find_sessions(store, shown, actor=actor)
    if wanted.number is not None:
        await record_query(
            store,
            actor,
            Tag.SESSIONS_SEARCHED,
            wanted.number,
            facts={"found": len(found), "more": len(ids) > limit},
        )
    return PageOfCalls(found, shown[-1] if len(ids) > limit else None)


def _conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (SessionTable.state, wanted.state),
        (SessionTable.scenario_id, wanted.scenario_id),
        (SessionTable.end_reason, wanted.end_reason),
        (SessionTable.recorded, wanted.recorded),
    ):
        if value is not None:
            yield col(column) == value
    if wanted.project_ids is not None:
        yield among(SessionTable.project_id, wanted.project_ids)
    if wanted.since is not None:
        yield col(SessionTable.id) >= first_id(wanted.since)
    if wanted.until is not None:
        yield col(SessionTable.id) < first_id(wanted.until)
    if wanted.outcome is not None:
        missed = col(SessionTable.heard_samples).is_(None)
        yield col(SessionTable.state) == "ended"
        yield missed if wanted.outcome == "missed" else not_(missed)


async def projects_of_calls(store: TenantStore, session_ids: Collection[UUID]) -> Mapping[UUID, UUID]:
    """Of which project each of these calls is; those that the tenant does not have are left out."""
    statement = select(SessionTable.id, SessionTable.project_id).where(
        among(SessionTable.id, session_ids), SessionTable.state != "spare"
    )
    return {row.id: row.project_id for row in await store.rows(statement)}

"""Finding the calls of a number, by the blind index and without a look at anybody else's."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, exists, func, select

from policies.audit_tags import Actor, Tag
from policies.numbers import PhoneNumber, parse_number, region_of
from store import sessions
from store.audit.log import JsonValue, record
from store.known_callers import is_known
from store.scope import TenantStore
from store.sessions import Session
from store.tables.calls import SessionTable
from store.tables.keys import DataKeyTable


@dataclass(frozen=True, slots=True)
class FoundCalls:
    """A page of the calls of one number, newest first."""

    number: PhoneNumber
    sessions: tuple[Session, ...]
    more: bool
    """Whether there are older ones: ask again with `before` the last id."""


class NoNumberError(ValueError):
    """What was typed is no telephone number. Does not repeat it."""


def read_number(typed: str, jurisdiction: str | None = None) -> PhoneNumber:
    """The number as people type it: best in E.164, such as +49 30 123456; nationally where a jurisdiction is given.

    Raises:
        NoNumberError: It is none.
    """
    number = parse_number(typed, None if jurisdiction is None else region_of(jurisdiction))
    if number is None:
        raise NoNumberError("that is no telephone number; write it with its country code, such as +4930123456")
    return number


async def search(
    store: TenantStore,
    number: PhoneNumber,
    *,
    actor: Actor,
    project_id: UUID | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> FoundCalls:
    """Calls of a number in the tenant, or in one of its projects. Leaves the query in the audit log, not the number."""
    found = await page_of_calls(store, number, project_id=project_id, before=before, limit=limit, actor=actor)
    await record_query(
        store,
        actor,
        Tag.DSAR_QUERIED,
        number,
        objects={} if project_id is None else {"project": str(project_id)},
        facts={"found": len(found.sessions), "more": found.more},
    )
    return found


async def record_query(
    store: TenantStore,
    actor: Actor,
    tag: Tag,
    number: PhoneNumber,
    *,
    objects: Mapping[str, str] | None = None,
    facts: Mapping[str, JsonValue] | None = None,
) -> None:
    """Write down that somebody asked for a number. Of whom the tenant does not know, the log shall not know either."""
    indexes = await sessions.caller_indexes(store, number.e164)
    known = await is_known(store, indexes)
    await record(
        store,
        actor,
        tag,
        objects=objects,
        facts=facts,
        personal={"number": number.e164} if known else None,
        subject=indexes[0] if known else None,
    )


async def page_of_calls(
    store: TenantStore,
    number: PhoneNumber,
    *,
    project_id: UUID | None = None,
    before: UUID | None = None,
    limit: int,
    actor: Actor,
) -> FoundCalls:
    """The same without the query in the audit log, for what leaves a trace itself."""
    statement = select(SessionTable.id).where(SessionTable.state != "spare", *await calls_of(store, number))
    if project_id is not None:
        statement = statement.where(SessionTable.project_id == project_id)
    if before is not None:
        statement = statement.where(col(SessionTable.id) < before)
    ids = await store.all(statement.order_by(col(SessionTable.id).desc()).limit(limit + 1))
    found = await sessions.find_sessions(store, ids[:limit], actor=actor)
    return FoundCalls(number, found, more=len(ids) > limit)


async def count_calls(store: TenantStore, number: PhoneNumber, *, project_id: UUID | None = None) -> int:
    """How many calls of the number there are."""
    statement = select(func.count()).select_from(SessionTable)
    statement = statement.where(SessionTable.state != "spare", *await calls_of(store, number))
    if project_id is not None:
        statement = statement.where(SessionTable.project_id == project_id)
    return await store.first(statement) or 0


async def calls_of(store: TenantStore, number: PhoneNumber) -> tuple[ColumnElement[bool], ...]:
    """Of a call: it is of this number, and was not erased."""
    return (
        col(SessionTable.caller_index).in_(await sessions.caller_indexes(store, number.e164)),
        exists().where(col(DataKeyTable.session_id) == SessionTable.id),
    )

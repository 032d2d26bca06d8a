"""Finding the calls of a number, by the blind index and without a look at anybody else's.

A trunk writes a caller's number as it likes: +49 30…, 0049 30…, 030…. So calls are looked for under every form, and
what was found under one is the number's only if it still is when read where the call came in.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, select

from policies.audit_tags import Actor, Tag
from policies.numbers import PhoneNumber, parse_number, written_forms
from store import projects, sessions
from store.audit.log import record
from store.scope import TenantStore
from store.sessions import Session
from store.tables.calls import SessionTable

_CANDIDATES = 200


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
    number = parse_number(typed, region_of(jurisdiction))
    if number is None:
        raise NoNumberError("that is no telephone number; write it with its country code, such as +4930123456")
    return number


def region_of(jurisdiction: str | None) -> str | None:
    """In which country's numbering plan a business of this jurisdiction lies: "US" for "US-CA"."""
    return None if jurisdiction is None else jurisdiction.partition("-")[0]


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
    known = bool(found.sessions)  # of somebody whom the tenant does not know, the log shall not know either
    await record(
        store,
        actor,
        Tag.DSAR_QUERIED,
        objects={} if project_id is None else {"project": str(project_id)},
        facts={"found": len(found.sessions), "more": found.more},
        personal={"number": number.e164} if known else None,
        subject=await sessions.caller_index(store, number.e164) if known else None,
    )
    return found


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
    regions = {project.id: region_of(project.jurisdiction) for project in await projects.all_projects(store)}
    indices = [one for form in written_forms(number) for one in await sessions.caller_indexes(store, form)]
    found: list[Session] = []
    while True:
        statement = select(SessionTable.id).where(
            col(SessionTable.caller_index).in_(indices), SessionTable.state != "spare"
        )
        if project_id is not None:
            statement = statement.where(SessionTable.project_id == project_id)
        if before is not None:
            statement = statement.where(col(SessionTable.id) < before)
        candidates = await store.all(statement.order_by(col(SessionTable.id).desc()).limit(_CANDIDATES))
        for session in await sessions.find_sessions(store, candidates, actor=actor):
            if _is_of(session, number, regions):
                if len(found) == limit:
                    return FoundCalls(number, tuple(found), more=True)
                found.append(session)
        if len(candidates) < _CANDIDATES:
            return FoundCalls(number, tuple(found), more=False)
        before = candidates[-1]


def _is_of(session: Session, number: PhoneNumber, regions: dict[UUID, str | None]) -> bool:
    if session.caller is None:
        return False  # erased: nobody can tell any more
    return parse_number(session.caller, regions.get(session.project_id)) == number

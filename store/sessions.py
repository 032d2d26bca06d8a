"""Sessions: one call each, from the plan to its end. What is inside one stands in `store.conversation`.

Whoever reads says who that is: of projects for health care the log keeps who saw a caller's number (`store.phi`).
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlmodel import col, delete, func, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor
from policies.numbers import identity_of, region_of
from store.keys import DataKey
from store.known_callers import forget_strangers
from store.phi import note_reading
from store.scope import TenantStore
from store.sealing import CallColumns
from store.tables.calls import SessionTable
from store.tables.setup import ProjectTable

State = Literal["spare", "open", "ended"]
"""`spare`: planned ahead and not in use; `open`: planned or up; `ended`: over."""
_CALLER = "caller"
# In one round trip: a page of calls is what people wait for most often.
_WHOLE = """
SELECT s.*, k.wrapped, p.hipaa
FROM sessions s
JOIN projects p ON p.tenant_id = :tenant_id AND p.id = s.project_id
LEFT JOIN keys.data_keys k ON k.tenant_id = :tenant_id AND k.session_id = s.id
WHERE s.tenant_id = :tenant_id AND s.id = ANY(:ids)
ORDER BY s.id DESC
"""


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A call that may now be answered."""

    id: UUID
    data_key: DataKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One call. `caller` is None when it was withheld, and also when the call was erased; a number is in E.164."""

    id: UUID
    project_id: UUID
    scenario_id: UUID
    scenario_version: int
    state: State
    called: str
    caller: str | None
    trunk: str
    language: str
    planned_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    ended_by: str | None
    end_reason: str | None
    heard_samples: int | None
    """None before its end, and when nothing was heard of it."""
    first_audio_ms: int | None
    """From the answer to the first sound."""
    reply_ms: int | None
    """From the end of what the caller said to the agent's first sound; the call's median."""
    consent: str | None
    """What the caller answered, or that nobody had to ask; None where it did not come to that."""
    recorded: bool
    """Whether there is a recording now."""
    readable: bool
    """False once the call's key was deleted: what was said in it is lost to everyone."""


async def open_session(
    store: TenantStore,
    *,
    project_id: UUID,
    scenario_id: UUID,
    scenario_version: int,
    called: str,
    caller: str | None,
    trunk: str,
    language: str,
    spare: bool = False,
) -> OpenedSession:
    """Write down that a call is about to be answered, and make its key.

    `spare` is for a plan made ahead: it counts as no call until `use_spare` or its journal says otherwise.
    """
    session_id = uuid7()
    data_key = await store.keys.new_data_key(store, session_id)
    row = SessionTable(
        tenant_id=store.tenant_id,
        id=session_id,
        project_id=project_id,
        scenario_id=scenario_id,
        scenario_version=scenario_version,
        state="spare" if spare else "open",
        called=called,
        trunk=trunk,
        language=language,
    )
    if caller is not None:
        jurisdiction = await jurisdiction_of(store, project_id)
        row.caller_sealed, row.caller_index = await seal_caller(store, session_id, data_key.key, caller, jurisdiction)
    await store.add(row)
    return OpenedSession(session_id, data_key)


async def seal_caller(
    store: TenantStore, session_id: UUID, data_key: bytes, caller: str, jurisdiction: str
) -> tuple[bytes, bytes]:
    """A caller's number as it is stored: sealed, and as the blind index it is found by.

    Both are of the number in E.164, read where the call came in. So one person is one index for calls, logs and cases,
    and nothing is left of somebody because two trunks write numbers in two ways.
    """
    identity = identity_of(caller, region_of(jurisdiction))
    sealed = CallColumns(data_key, store.tenant_id).seal(identity, "sessions", _CALLER, session_id)
    return sealed, await caller_index(store, identity)


async def jurisdiction_of(store: TenantStore, project_id: UUID) -> str:
    """Where a project's calls come in. Raises `LookupError`: the tenant has no such project."""
    found = await store.first(select(ProjectTable.jurisdiction).where(ProjectTable.id == project_id))
    if found is None:
        raise LookupError(f"no project {project_id}")
    return found


async def use_spare(store: TenantStore, session_id: UUID) -> bool:
    """A call is being answered with a plan made ahead; False when there was no such spare."""
    statement = (
        update(SessionTable)
        .where(col(SessionTable.id) == session_id, col(SessionTable.state) == "spare")
        .values(state="open", planned_at=func.now())
    )
    return await store.change(statement) > 0


async def live_count(store: TenantStore, *, longest_seconds: float = 7200.0) -> int:
    """Calls of this tenant that are planned or up, on all machines.

    What was planned longer than `longest_seconds` ago counts no more: its machine died and nobody will say that the
    call has ended.
    """
    since = datetime.now(UTC) - timedelta(seconds=longest_seconds)
    statement = (
        select(func.count())
        .select_from(SessionTable)
        .where(col(SessionTable.state) == "open", col(SessionTable.planned_at) > since)
    )
    return await store.first(statement) or 0


async def close_session(
    store: TenantStore, session_id: UUID, *, ended_by: str, end_reason: str, ended_at: datetime | None = None
) -> bool:
    """A call is over; False when it was already. What its journal says later replaces this."""
    statement = (
        update(SessionTable)
        .where(col(SessionTable.id) == session_id, col(SessionTable.state) != "ended")
        .values(state="ended", ended_at=ended_at or datetime.now(UTC), ended_by=ended_by, end_reason=end_reason)
    )
    return await store.change(statement) > 0


async def discard_session(store: TenantStore, session_id: UUID) -> bool:
    """Remove a plan that no call was answered with, and its key; False when there is none, or it was a call."""
    row = await store.first(select(SessionTable).where(SessionTable.id == session_id))
    statement = delete(SessionTable).where(
        col(SessionTable.id) == session_id, col(SessionTable.state) != "ended", col(SessionTable.started_at).is_(None)
    )
    if not await store.change(statement):
        return False
    await store.keys.shred(store, session_id)
    if row is not None and row.caller_index is not None:
        await forget_strangers(store, (row.caller_index,))
    return True


async def has_session(store: TenantStore, session_id: UUID) -> bool:
    """Whether this tenant has the call."""
    return await store.first(select(SessionTable.id).where(SessionTable.id == session_id)) is not None


async def project_of(store: TenantStore, session_id: UUID) -> UUID | None:
    """The project of a call, if this tenant has it."""
    return await store.first(select(SessionTable.project_id).where(SessionTable.id == session_id))


async def find_session(store: TenantStore, session_id: UUID, *, actor: Actor) -> Session | None:
    """The call, if this tenant has it."""
    found = await find_sessions(store, (session_id,), actor=actor)
    return found[0] if found else None


async def find_sessions(store: TenantStore, session_ids: Collection[UUID], *, actor: Actor) -> tuple[Session, ...]:
    """Those of these calls that this tenant has, newest first."""
    rows = await store.fixed(_WHOLE, ids=list(session_ids))
    keys = await store.keys.unwrap_data_keys(store, {row.id: row.wrapped for row in rows if row.wrapped is not None})
    watched = [row.id for row in rows if row.hipaa and row.id in keys and row.caller_sealed is not None]
    await note_reading(store, "caller", watched, actor=actor)
    return tuple(_session(store, row, keys.get(row.id)) for row in rows)


async def caller_index(store: TenantStore, caller: str) -> bytes:
    """The blind index by which calls, logs and cases mean this caller. Whoever looks for one needs them all."""
    return await store.keys.blind_index(store, _CALLER, caller)


async def caller_indexes(store: TenantStore, caller: str) -> tuple[bytes, ...]:
    """Every index under which this caller may be found now, the one for writing first."""
    return await store.keys.blind_indexes(store, _CALLER, caller)


async def list_sessions(
    store: TenantStore,
    *,
    project_id: UUID | None = None,
    caller: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
    actor: Actor,
) -> tuple[Session, ...]:
    """Calls, newest first; at most `limit`. The next page begins `before` the last id of this one.

    `caller` finds the calls of one number in E.164, or of whatever else the line gave.
    """
    statement = select(SessionTable.id).where(SessionTable.state != "spare")
    if project_id is not None:
        statement = statement.where(SessionTable.project_id == project_id)
    if caller is not None:
        statement = statement.where(col(SessionTable.caller_index).in_(await caller_indexes(store, caller)))
    if before is not None:
        statement = statement.where(col(SessionTable.id) < before)
    ids = await store.all(statement.order_by(col(SessionTable.id).desc()).limit(limit))
    return await find_sessions(store, ids, actor=actor)


def _session(store: TenantStore, row: Any, key: bytes | None) -> Session:
    caller = None
    if key is not None and row.caller_sealed is not None:
        caller = CallColumns(key, store.tenant_id).open(row.caller_sealed, "sessions", _CALLER, row.id)
    return Session(
        id=row.id,
        project_id=row.project_id,
        scenario_id=row.scenario_id,
        scenario_version=row.scenario_version,
        state=row.state,
        called=row.called,
        caller=caller,
        trunk=row.trunk,
        language=row.language,
        planned_at=row.planned_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        end_reason=row.end_reason,
        heard_samples=row.heard_samples,
        first_audio_ms=row.first_audio_ms,
        reply_ms=row.reply_ms,
        consent=row.consent,
        recorded=row.recorded,
        readable=key is not None,
    )

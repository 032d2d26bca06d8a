"""What has to be known and written before a call is answered, in as few trips to the database as it takes.

A caller hears ringing while this runs, and a burst of calls queues behind it; so it is written in SQL, each statement
bound to the tenant (`TenantStore.fixed`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from uuid_utils.compat import uuid7

from policies.residency import Bounds
from store.projects import Project
from store.scope import TenantStore
from store.sessions import OpenedSession, seal_caller


@dataclass(frozen=True, slots=True)
class Route:
    """Where a dialled number leads now."""

    project: Project
    scenario_id: UUID
    published_version: int | None
    max_calls: int
    live_calls: int
    """Of the whole tenant, on all machines; the call that is being routed not among them."""


_LOCK = "SELECT max_calls FROM tenants WHERE tenant_id = :tenant_id FOR NO KEY UPDATE"
# What was planned longer ago than two hours counts no more: its machine died, and nobody will say that it has ended.
_ROUTE = """
SELECT s.id, s.published_version,
       p.id, p.name, p.business_name, p.jurisdiction, p.language, p.time_zone, p.recording_days, p.transcript_days,
       p.residency, p.hipaa,
       (SELECT count(*) FROM sessions c
        WHERE c.tenant_id = :tenant_id AND c.state = 'open' AND c.planned_at > now() - interval '2 hours'
          AND c.id <> ALL (CAST(:over AS uuid[])))
FROM numbers n
JOIN scenarios s ON s.tenant_id = n.tenant_id AND s.id = n.scenario_id
JOIN projects p ON p.tenant_id = n.tenant_id AND p.id = n.project_id
WHERE n.tenant_id = :tenant_id AND n.called = :called AND p.deletion_asked_at IS NULL
"""
_OPEN = """
WITH key AS (
    INSERT INTO keys.data_keys (tenant_id, session_id, wrapped) VALUES (:tenant_id, :id, :wrapped)
)
INSERT INTO sessions (tenant_id, id, project_id, scenario_id, scenario_version, state, called, caller_sealed,
                      caller_index, trunk, language)
VALUES (:tenant_id, :id, :project_id, :scenario_id, :scenario_version, :state, :called, :caller_sealed,
        :caller_index, :trunk, :language)
"""


async def route(store: TenantStore, called: str, *, over: Sequence[UUID] = ()) -> Route | None:
    """Where the number leads; None when this tenant has it no more, or deletes its project.

    `over` are calls that have ended and whose rows do not say so yet: they do not count as live. Until the transaction
    ends no other call of the tenant is routed, so that two calls cannot both be the last one.
    """
    locked = await store.fixed(_LOCK)
    rows = await store.fixed(_ROUTE, called=called, over=list(over))
    if not locked or not rows:
        return None
    scenario_id, published_version, *project, residency, hipaa, live_calls = rows[0]
    known = Project(*project)
    bounds = Bounds(residency, hipaa)
    return Route(replace(known, bounds=bounds), scenario_id, published_version, locked[0][0], live_calls)


async def open_session(
    store: TenantStore, where: Route, *, called: str, caller: str | None, trunk: str, language: str, spare: bool = False
) -> OpenedSession:
    """Write down that a call is about to be answered with the published version, and make its key.

    `spare` is for a plan made ahead: see `sessions.State`.
    """
    session_id = uuid7()
    key = await store.keys.make_data_key(store, session_id)
    sealed, index = (
        (None, None)
        if caller is None
        else await seal_caller(store, session_id, key.key, caller, where.project.jurisdiction)
    )
    await store.fixed(
        _OPEN,
        id=session_id,
        wrapped=key.wrapped,
        project_id=where.project.id,
        scenario_id=where.scenario_id,
        scenario_version=where.published_version,
        state="spare" if spare else "open",
        called=called,
        caller_sealed=sealed,
        caller_index=index,
        trunk=trunk,
        language=language,
    )
    return OpenedSession(session_id, key)

"""Drafts: what is being written of a scenario and answers no call before it is published."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import msgspec
from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor, ActorKind, Tag
from store import scenarios
from store.audit.log import record
from store.scenarios import Scenario, lean
from store.scope import TenantStore
from store.tables.setup import ScenarioDraftTable, ScenarioTable


class NoDraftError(Exception):
    """Nothing is being written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One draft: what it says, and who wrote it last."""

    content: Scenario
    changed_at: datetime
    by: Actor


async def begin(store: TenantStore, *, project_id: UUID, content: Scenario, actor: Actor) -> UUID:
    """A new scenario that answers no call yet."""
    scenario_id = await scenarios.add(store, project_id=project_id, name=content.name)
    await save(store, scenario_id, content, actor=actor)
    return scenario_id


async def save(
    store: TenantStore, scenario_id: UUID, content: Scenario, *, actor: Actor, revision: int | None = None
) -> None:
    """Keep this as the scenario's draft. Calls are answered as before.

    Raises:
        NoScenarioError: This tenant has no such scenario.
        ScenarioChangedError: The scenario is at another revision than the writer has read.
    """
    await scenarios.lock(store, scenario_id, revision)
    await store.put(
        ScenarioDraftTable,
        [
            {
                "scenario_id": scenario_id,
                "content": lean(content),
                "actor_kind": actor.kind,
                "actor_id": actor.id,
                "changed_at": datetime.now(UTC),
            }
        ],
        replace=("content", "actor_kind", "actor_id", "changed_at"),
    )
    await _count(store, scenario_id)
    await store.change(  # what was never published is known by the name that is drafted
        update(ScenarioTable)
        .where(col(ScenarioTable.id) == scenario_id, col(ScenarioTable.published_version).is_(None))
        .values(name=content.name)
    )
    await record(store, actor, Tag.SCENARIO_DRAFTED, objects={"scenario": str(scenario_id)})


async def find(store: TenantStore, scenario_id: UUID) -> Draft | None:
    """What is being written of the scenario."""
    row = await store.first(select(ScenarioDraftTable).where(ScenarioDraftTable.scenario_id == scenario_id))
    if row is None:
        return None
    return Draft(
        content=msgspec.convert(row.content, Scenario),
        changed_at=row.changed_at,
        by=Actor(msgspec.convert(row.actor_kind, ActorKind), row.actor_id),
    )


async def publish(store: TenantStore, scenario_id: UUID, *, revision: int | None = None, actor: Actor) -> int:
    """Let the draft answer from the next call on; its version.

    Raises:
        NoScenarioError: This tenant has no such scenario.
        NoDraftError: Nothing is drafted.
        ScenarioChangedError: The scenario is at another revision than was read.
    """
    await scenarios.lock(store, scenario_id, revision)
    draft = await find(store, scenario_id)
    if draft is None:
        raise NoDraftError("nothing is drafted")
    await store.change(delete(ScenarioDraftTable).where(col(ScenarioDraftTable.scenario_id) == scenario_id))
    return await scenarios.publish(store, scenario_id, draft.content, actor=actor)


async def discard(store: TenantStore, scenario_id: UUID, *, revision: int | None = None, actor: Actor) -> None:
    """Throw the draft away.

    Raises:
        NoScenarioError: This tenant has no such scenario.
        NoDraftError: Nothing is drafted.
        ScenarioChangedError: The scenario is at another revision than was read.
    """
    await scenarios.lock(store, scenario_id, revision)
    dropped = delete(ScenarioDraftTable).where(col(ScenarioDraftTable.scenario_id) == scenario_id)
    if not await store.change(dropped):
        raise NoDraftError("nothing is drafted")
    await _count(store, scenario_id)
    await record(store, actor, Tag.SCENARIO_DRAFTED, objects={"scenario": str(scenario_id)}, facts={"discarded": True})


async def _count(store: TenantStore, scenario_id: UUID) -> None:
    await store.change(
        update(ScenarioTable).where(col(ScenarioTable.id) == scenario_id).values(revision=ScenarioTable.revision + 1)
    )

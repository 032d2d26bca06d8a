"""Numbers: what a caller dials, and the scenario that answers it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.engine import Platform
from store.scenarios import NoScenarioError
from store.scope import TenantStore
from store.tables.setup import NumberTable, ScenarioTable


class NoNumberError(LookupError):
    """This tenant has no such number."""


class NumberTakenError(Exception):
    """The number rings somewhere on this server already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCall:
    """The newest call of a number or a trunk: enough to see whether it works, and nothing of who called."""

    session_id: UUID
    planned_at: datetime
    state: str
    """One of `sessions.State`."""
    end_reason: str | None


@dataclass(frozen=True, slots=True)
class CalledNumber:
    """Whose number was dialled."""

    tenant_id: UUID
    number_id: UUID
    project_id: UUID
    scenario_id: UUID
    called: str


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a tenant."""

    id: UUID
    project_id: UUID
    scenario_id: UUID
    called: str
    """E.164, or the user part of a SIP address in lower case."""
    label: str


async def find_called(platform: Platform, called: str) -> CalledNumber | None:
    """Whose number this is, before anything else is known about a call. `called` as E.164 or a SIP user part."""
    rows = await platform.rows(
        "SELECT tenant_id, id, project_id, scenario_id, called FROM numbers WHERE called = :called",
        called=called.lower(),
    )
    return CalledNumber(*rows[0]) if rows else None


async def all_called(platform: Platform) -> tuple[str, ...]:
    """Every number and name that rings on this server, without a look at whose they are."""
    return tuple(row.called for row in await platform.rows("SELECT called FROM numbers"))


async def create(
    store: TenantStore, *, project_id: UUID, scenario_id: UUID, called: str, label: str = "", actor: Actor
) -> Number:
    """Point a number at a scenario.

    Raises:
        NumberTakenError: It is a tenant's already; a number can ring in one place only on the whole server.
    """
    number = Number(uuid7(), project_id, scenario_id, called.lower(), label)
    row = NumberTable(
        tenant_id=store.tenant_id,
        id=number.id,
        project_id=project_id,
        scenario_id=scenario_id,
        called=number.called,
        label=label,
    )
    try:
        await store.add(row)
    except IntegrityError as error:
        if "numbers_called_key" in str(error.orig):
            raise NumberTakenError(number.called) from None
        raise
    await record(store, actor, Tag.NUMBER_ADDED, objects={"number": str(number.id), "project": str(project_id)})
    return number


async def all_numbers(store: TenantStore) -> tuple[Number, ...]:
    """Every number of this tenant, by what is dialled."""
    return _numbers(await store.all(select(NumberTable).order_by(col(NumberTable.called))))


async def list_numbers(
    store: TenantStore,
    *,
    project_ids: Collection[UUID] | None = None,
    scenario_id: UUID | None = None,
    after: str | None = None,
    limit: int = 50,
) -> tuple[Number, ...]:
    """Numbers of these projects, or of all, by what is dialled; the next page begins `after` the last of this one."""
    statement = select(NumberTable)
    if project_ids is not None:
        statement = statement.where(col(NumberTable.project_id).in_(project_ids))
    if scenario_id is not None:
        statement = statement.where(NumberTable.scenario_id == scenario_id)
    if after is not None:
        statement = statement.where(col(NumberTable.called) > after)
    return _numbers(await store.all(statement.order_by(col(NumberTable.called)).limit(limit)))


async def find(store: TenantStore, number_id: UUID) -> Number | None:
    """The number, if this tenant has it."""
    found = _numbers(await store.all(select(NumberTable).where(NumberTable.id == number_id)))
    return found[0] if found else None


async def change(store: TenantStore, number_id: UUID, *, scenario_id: UUID, label: str, actor: Actor) -> Number:
    """Have the number answered by another scenario of its project, or call it something else.

    Raises:
        NoNumberError: This tenant has no such number.
        NoScenarioError: Its project has no such scenario.
    """
    before = await find(store, number_id)
    if before is None:
        raise NoNumberError("no such number")
    if scenario_id != before.scenario_id:
        await refuse_foreign_scenario(store, before.project_id, scenario_id)
    values = {"scenario_id": scenario_id, "label": label}
    await store.change(update(NumberTable).where(col(NumberTable.id) == number_id).values(**values))
    await record(
        store,
        actor,
        Tag.NUMBER_CHANGED,
        objects={"number": str(number_id), "project": str(before.project_id), "scenario": str(scenario_id)},
        facts={"changed": [name for name, value in values.items() if value != getattr(before, name)]},
    )
    return replace(before, scenario_id=scenario_id, label=label)


async def remove(store: TenantStore, number_id: UUID, *, actor: Actor) -> bool:
    """Answer the number no more; False when this tenant has no such number. Its calls of before stay."""
    before = await find(store, number_id)
    if before is None or not await store.change(delete(NumberTable).where(col(NumberTable.id) == number_id)):
        return False
    await record(
        store, actor, Tag.NUMBER_REMOVED, objects={"number": str(number_id), "project": str(before.project_id)}
    )
    return True


async def refuse_foreign_scenario(store: TenantStore, project_id: UUID, scenario_id: UUID) -> None:
    """Make sure that the scenario is of the project.

    Raises:
        NoScenarioError: It is not.
    """
    scenario = select(ScenarioTable.id).where(ScenarioTable.id == scenario_id, ScenarioTable.project_id == project_id)
    if await store.first(scenario) is None:
        raise NoScenarioError("the project has no such scenario")


_LAST_CALLS = """
SELECT wanted.called, s.id, s.planned_at, s.state, s.end_reason
FROM unnest(CAST(:called AS text[])) AS wanted (called)
CROSS JOIN LATERAL (
    SELECT id, planned_at, state, end_reason FROM sessions
    WHERE tenant_id = :tenant_id AND sessions.called = wanted.called AND state <> 'spare'
    ORDER BY id DESC LIMIT 1
) AS s
"""


async def last_calls(store: TenantStore, called: Sequence[str]) -> Mapping[str, LastCall]:
    """The newest call to each of these numbers, as far as there was one."""
    return {
        row[0]: LastCall(session_id=row[1], planned_at=row[2], state=row[3], end_reason=row[4])
        for row in await store.fixed(_LAST_CALLS, called=list(called))
    }


def _numbers(rows: Sequence[NumberTable]) -> tuple[Number, ...]:
    return tuple(Number(row.id, row.project_id, row.scenario_id, row.called, row.label) for row in rows)

"""Numbers: what a caller dials, and the scenario that answers it."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.engine import Platform
from store.scope import TenantStore
from store.tables.setup import NumberTable


class NumberTakenError(Exception):
    """The number rings somewhere on this server already."""


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
    rows = await store.all(select(NumberTable).order_by(col(NumberTable.called)))
    return tuple(Number(row.id, row.project_id, row.scenario_id, row.called, row.label) for row in rows)

"""What happens to a case that nobody answers: reminders, then the operator is told, then there is an alarm."""

from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlmodel import col, select, update

from policies.audit_tags import Actor, Tag
from policies.dsar import Step, steps
from store.audit.log import record
from store.dsar import intake, letters
from store.dsar.contacts import contact_of, write, write_to_contact
from store.engine import Database, Platform
from store.house import open_house
from store.jobs import Round
from store.scope import TenantStore
from store.tables.dsar import DsarCaseTable
from store.visits import each_tenant

log = structlog.get_logger()

TASK: Final = "dsar_deadlines"
_REMINDER: Final = Actor("system", TASK)


async def watch_deadlines(work: Round) -> None:
    """The periodic job."""
    await watch(work.database, work.at)


async def watch(database: Database, now: datetime) -> None:
    """Do what is due in every tenant's open cases, and give up requests that nobody proved."""
    async with open_house(database) as house:
        await intake.sweep(house, now, actor=_REMINDER)
        operator = await contact_of(house)
    async with database.platform_jobs() as platform:
        tenant_ids = await _tenants_with_steps_due(platform, now)

    async def visit(store: TenantStore) -> None:
        await take_steps(store, now, operator=operator)

    await each_tenant(database, TASK, visit, tenant_ids=tenant_ids)


async def take_steps(store: TenantStore, now: datetime, *, operator: str | None) -> int:
    """Take every step that is due in this tenant's cases; how many. Of several missed ones of a case, the last only.

    `operator` is where escalations are mailed too.
    """
    due = (
        select(DsarCaseTable)
        .where(col(DsarCaseTable.next_step_at) <= now)
        .order_by(col(DsarCaseTable.id))
        .with_for_update()
    )
    taken = 0
    for case in await store.all(due):
        schedule = steps(case.received_at)
        passed = sum(timed.at <= now for timed in schedule)
        step = schedule[passed - 1].step
        await store.change(
            update(DsarCaseTable)
            .where(col(DsarCaseTable.id) == case.id)
            .values(next_step=passed, next_step_at=schedule[passed].at if passed < len(schedule) else None)
        )
        letter = letters.case_waits(case.id, step, case.due_at)
        told = await write_to_contact(store, letter)
        facts = {"case_id": str(case.id), "due_at": case.due_at.isoformat()}
        if not told:
            log.warning("dsar_case_without_contact", tenant_id=str(store.tenant_id), **facts)
        if step is not Step.REMIND:
            log.error("dsar_case_late", step=step.value, tenant_id=str(store.tenant_id), **facts)
            if operator is not None:
                await write(store, operator, letter)
            await record(
                store, _REMINDER, Tag.DSAR_CASE_ESCALATED, objects={"case": str(case.id)}, facts={"step": step.value}
            )
        taken += 1
    return taken


async def _tenants_with_steps_due(platform: Platform, now: datetime) -> tuple[UUID, ...]:
    rows = await platform.rows(
        "SELECT DISTINCT tenant_id FROM dsar_cases WHERE next_step_at <= :now ORDER BY tenant_id", now=now
    )
    return tuple(row.tenant_id for row in rows)

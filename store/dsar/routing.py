"""Passing a proven request on to the tenants that hold data of the number, and its answers back to the caller.

A job looks into each tenant in turn, as that tenant and on its audit record, for calls of the number under the tenant's
own index. Those that have some get a case; nobody gets to know of anybody else. Each job may run twice.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid5

from sqlmodel import col, select, update

from policies.audit_tags import Actor, Tag
from policies.dsar import Outcome, Wish, due_at
from policies.numbers import PhoneNumber, parse_number
from store import projects
from store.audit.log import record
from store.dsar import cases, intake, letters
from store.dsar.contacts import write
from store.dsar.intake import Intake, finish
from store.dsar.search import page_of_calls
from store.engine import Database
from store.house import HOUSE, open_house
from store.jobs import Work
from store.scope import TenantStore
from store.tables.dsar import DsarIntakeTable, DsarRouteTable
from store.visits import all_tenant_ids, each_tenant

ROUTER: Final = Actor("system", intake.ROUTE_TASK)
_TABLE = "dsar_routes"


class RouteUnfinishedError(Exception):
    """Some tenants could not be looked into; the others were. Worth doing again."""


async def route(work: Work) -> None:
    """The job `intake.ROUTE_TASK`."""
    await route_request(work.database, work.id_of("intake_id"))


async def tell_caller(work: Work) -> None:
    """The job `cases.CLOSED_TASK`, which a tenant's transaction left behind."""
    async with work.database.tenant(work.tenant_id) as store:
        case = await cases.find_case(store, work.id_of("case_id"))
    if case.outcome is not None:
        await close_route(work.database, case.id, case.outcome)


async def route_request(database: Database, intake_id: UUID) -> int:
    """Open a case in every tenant that holds data of a proven number; how many there are.

    Raises:
        RouteUnfinishedError: A tenant could not be looked into.
        StoreAwayError: The database is away.
    """
    async with open_house(database) as house:
        request = await intake.find_intake(house, intake_id)
    number = parse_number(request.number or "")
    if request.state != "proven" or number is None:
        return 0
    found: dict[UUID, str] = {}

    async def visit(store: TenantStore) -> None:
        businesses = await _businesses(store, number)
        case_id = _case_id(request, store.tenant_id)
        if not businesses and not await cases.is_there(store, case_id):
            return
        await cases.open_case(
            store,
            number,
            request.wish,
            actor=ROUTER,
            origin="intake",
            received_at=request.received_at,
            case_id=case_id,
        )
        found[store.tenant_id] = ", ".join(businesses) or await cases.business_of(store)

    async with database.platform_jobs() as platform:
        customers = [tenant_id for tenant_id in await all_tenant_ids(platform) if tenant_id != HOUSE]
    visits = await each_tenant(database, intake.ROUTE_TASK, visit, tenant_ids=customers)
    async with open_house(database) as house:
        await _note_routes(house, request, found)
    for tenant_id in found:
        await _tell_if_closed(database, tenant_id, _case_id(request, tenant_id))
    if visits.failed:
        raise RouteUnfinishedError(f"{len(visits.failed)} of {len(customers)} tenants")
    async with open_house(database) as house:
        await _tell_of_routes(house, request, found)
    return len(found)


async def close_route(database: Database, case_id: UUID, outcome: Outcome, *, at: datetime | None = None) -> None:
    """A tenant has closed the case that it was given: tell the caller, and finish when it was the last."""
    async with open_house(database) as house:
        row = await house.first(select(DsarRouteTable).where(DsarRouteTable.case_id == case_id).with_for_update())
        if row is None or row.business_sealed is None:
            return
        # Of two tenants that close at once, each would see the other's case still open, and neither would finish.
        await house.first(select(DsarIntakeTable.id).where(DsarIntakeTable.id == row.intake_id).with_for_update())
        columns = await house.keys.tenant_columns(house)
        request = await intake.find_intake(house, row.intake_id)
        business = columns.open(row.business_sealed, _TABLE, "business", row.intake_id, case_id)
        if request.contact is not None:
            await write(house, request.contact, letters.case_closed_for_caller(business, request.wish, outcome))
        await house.change(
            update(DsarRouteTable)
            .where(col(DsarRouteTable.case_id) == case_id)
            .values(outcome=outcome.value, business_sealed=None)
        )
        if request.state == "routed":  # else another tenant may still have to be looked into
            await _finish_if_answered(house, row.intake_id, at=at or datetime.now(UTC))


async def _businesses(store: TenantStore, number: PhoneNumber) -> Sequence[str]:
    """Whom of this tenant the caller has called, by the names that callers hear."""
    return [
        project.business_name
        for project in await projects.all_projects(store)
        if (await page_of_calls(store, number, project_id=project.id, limit=1, actor=ROUTER)).sessions
    ]


async def _note_routes(house: TenantStore, request: Intake, found: dict[UUID, str]) -> None:
    """Keep to whom the request was passed on, also while others could not be looked into yet."""
    columns = await house.keys.tenant_columns(house)
    rows = []
    for customer_id, businesses in found.items():
        case_id = _case_id(request, customer_id)
        sealed = columns.seal(businesses, _TABLE, "business", request.id, case_id)
        rows.append(
            {"intake_id": request.id, "case_id": case_id, "customer_id": customer_id, "business_sealed": sealed}
        )
    await house.put(DsarRouteTable, rows)


async def _tell_if_closed(database: Database, tenant_id: UUID, case_id: UUID) -> None:
    """A tenant may have closed its case before the route to it was noted: then nobody else tells the caller."""
    async with database.tenant(tenant_id) as store:
        case = await cases.find_case(store, case_id)
    if case.outcome is not None:
        await close_route(database, case_id, case.outcome)


async def _tell_of_routes(house: TenantStore, request: Intake, found: dict[UUID, str]) -> None:
    """Tell the caller who was asked; every tenant has been looked into."""
    await house.first(select(DsarIntakeTable.id).where(DsarIntakeTable.id == request.id).with_for_update())
    await house.change(update(DsarIntakeTable).where(col(DsarIntakeTable.id) == request.id).values(state="routed"))
    await record(
        house, ROUTER, Tag.DSAR_REQUEST_ROUTED, objects={"intake": str(request.id)}, facts={"tenants": len(found)}
    )
    if request.contact is not None:
        letter = letters.request_routed(tuple(found.values()), Wish(request.wish), due_at(request.received_at))
        await write(house, request.contact, letter)
    await _finish_if_answered(house, request.id, at=datetime.now(UTC))


async def _finish_if_answered(house: TenantStore, intake_id: UUID, *, at: datetime) -> None:
    waiting = select(DsarRouteTable.case_id).where(
        DsarRouteTable.intake_id == intake_id, col(DsarRouteTable.outcome).is_(None)
    )
    if await house.first(waiting) is None:
        await finish(house, intake_id, "done", at=at)


def _case_id(request: Intake, customer_id: UUID) -> UUID:
    """The same whenever the job runs again. Tells nothing to tenants, who do not know the request's id."""
    return uuid5(request.id, str(customer_id))

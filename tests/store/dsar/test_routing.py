"""A proven request reaches the tenants that hold data, and nobody else gets to know of it; each answer comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import delete

from policies.audit_tags import OPERATOR, Tag
from policies.dsar import Outcome, Wish, due_at
from store import jobs, postgres, tenants
from store.blobs import FolderBlobs
from store.dsar import cases, contacts, intake, routing
from store.dsar.cases import Case
from store.dsar.routing import RouteUnfinishedError
from store.dsar.search import read_number, search
from store.engine import Database
from store.erasure.batches import erase_batch
from store.house import HOUSE, open_house
from store.outbox import SEND_MAIL
from store.settings import StoreSettings
from store.tables.dsar import DsarRouteTable
from store.tables.registers import MailTable
from store.worker import JobWorker
from tests.database import Shop, connected, make_shop
from tests.store.dsar.callers import Said, make_call
from tests.store.dsar.dump import everything, leave_mail, mails_of, tags_of

NUMBER = read_number("+4915112345678")
CALLER = "caller@example.org"
RECEIVED = datetime(2026, 11, 3, 12, tzinfo=UTC)
Work = Callable[[], Awaitable[None]]


@pytest.fixture
async def butcher(database: Database) -> Shop:
    """A tenant that this caller never called."""
    return await make_shop(database, "Butcher", "+493023125003")


@pytest.fixture
def work(database: Database, store_settings: StoreSettings, tmp_path: Path) -> Work:
    """Does every job that is due."""
    tasks = {intake.ROUTE_TASK: routing.route, cases.CLOSED_TASK: routing.tell_caller, SEND_MAIL: leave_mail}
    return JobWorker(store_settings, database, FolderBlobs(tmp_path / "blobs"), tasks=tasks).run_due


async def _called(database: Database, tmp_path: Path, *shops: Shop) -> None:
    blobs = FolderBlobs(tmp_path / "blobs")
    for shop in shops:
        await make_call(database, blobs, shop, Said(caller=NUMBER.e164))
        async with database.tenant(shop.tenant_id) as store:
            await contacts.set_contact(store, f"dpo@{shop.called[1:]}.example", actor=OPERATOR)


async def _asked(database: Database, *, guess: str | None = None) -> UUID:
    """A request to the desk, whose code is answered by `guess`, or rightly."""
    async with open_house(database) as house:
        request = await intake.take_in(
            house, NUMBER, Wish.ERASURE, contact=CALLER, language="de", actor=OPERATOR, received_at=RECEIVED
        )
        code = (await intake.new_code(house, request, actor=OPERATOR)).code
    async with open_house(database) as house:
        await intake.prove(house, request, code if guess is None else guess, actor=OPERATOR)
    return request


async def _cases(database: Database, shop: Shop) -> tuple[Case, ...]:
    async with database.tenant(shop.tenant_id) as store:
        return await cases.list_cases(store, only_open=False)


async def test_a_claim_alone_gains_nothing(
    database: Database, tmp_path: Path, work: Work, bakery: Shop, florist: Shop
) -> None:
    """Who writes that a number is theirs, or calls with it as caller, but cannot say the code, gains nothing."""
    await _called(database, tmp_path, bakery, florist)
    await _asked(database, guess="not it")
    await work()
    for shop in (bakery, florist):
        assert await _cases(database, shop) == ()
        assert Tag.PLATFORM_LOOKED not in await tags_of(database, shop.tenant_id)
        assert await mails_of(database, shop.tenant_id) == []
    assert await mails_of(database, HOUSE) == []


async def test_a_proven_request_opens_a_case_in_each_tenant_with_data(
    database: Database, tmp_path: Path, work: Work, bakery: Shop, florist: Shop, butcher: Shop
) -> None:
    """Both businesses that were called have a case with the day it was received, the third one has none."""
    await _called(database, tmp_path, bakery, florist)
    await _asked(database)
    await work()
    found = [await _cases(database, shop) for shop in (bakery, florist)]
    for (case,) in found:
        assert (case.number, case.wish, case.origin) == (NUMBER.e164, Wish.ERASURE, "intake")
        assert (case.received_at, case.due_at) == (RECEIVED, due_at(RECEIVED))
    assert found[0][0].id != found[1][0].id
    assert await _cases(database, butcher) == ()
    for shop in (bakery, florist, butcher):
        assert Tag.PLATFORM_LOOKED in await tags_of(database, shop.tenant_id)
    assert Tag.DSAR_CASE_OPENED not in await tags_of(database, butcher.tenant_id)
    assert await mails_of(database, butcher.tenant_id) == []


async def test_no_tenant_learns_of_another(
    database: Database, tmp_path: Path, work: Work, bakery: Shop, florist: Shop
) -> None:
    """A tenant is told of the request, and neither of the caller's address nor of who else was called."""
    await _called(database, tmp_path, bakery, florist)
    request = await _asked(database)
    await work()
    ((to, subject, body),) = await mails_of(database, bakery.tenant_id)
    assert to == f"dpo@{bakery.called[1:]}.example"
    for private in ("Florist", NUMBER.e164, CALLER, str(request)):
        assert private not in subject + body
    (case,) = await _cases(database, bakery)
    assert "Florist" not in str(case)
    assert CALLER not in str(case)
    assert str(request) not in str(case)


async def test_the_caller_is_told_only_after_the_proof(
    database: Database, tmp_path: Path, work: Work, bakery: Shop, florist: Shop
) -> None:
    """Then: who has it, by when, and each end; with the last one the desk forgets the caller."""
    await _called(database, tmp_path, bakery, florist)
    request = await _asked(database)
    assert await mails_of(database, HOUSE) == []
    await work()
    ((to, _, body),) = await mails_of(database, HOUSE)
    assert to == CALLER
    assert "Bakery" in body
    assert "Florist" in body
    assert f"{due_at(RECEIVED):%d %B %Y}" in body
    for shop, outcome in ((bakery, Outcome.FULFILLED), (florist, Outcome.KEPT_FOR_CLAIMS)):
        (case,) = await _cases(database, shop)
        async with database.tenant(shop.tenant_id) as store:
            await cases.close_case(store, case.id, outcome, actor=OPERATOR)
        await work()
    _, (_, _, erased), (_, _, refused) = await mails_of(database, HOUSE)
    assert "Bakery" in erased
    assert "have been erased" in erased
    assert "Florist" in refused
    assert "supervisory authority" in refused
    for shop in (bakery, florist):
        assert [to for to, *_ in await mails_of(database, shop.tenant_id)] == [f"dpo@{shop.called[1:]}.example"] * 2
    async with open_house(database) as house:
        done = await intake.find_intake(house, request)
    assert (done.state, done.number, done.contact) == ("done", None, None)


async def test_tenants_that_close_at_once_finish_the_request(
    database: Database, tmp_path: Path, work: Work, bakery: Shop, florist: Shop
) -> None:
    """Both ends are told in the same moment, again and again, and each time the desk forgets the caller."""
    await _called(database, tmp_path, bakery, florist)
    for _ in range(3):  # codes that a number is sent in a day
        request = await _asked(database)
        await work()
        opened = [case for shop in (bakery, florist) for case in await _cases(database, shop) if case.closed_at is None]
        for shop in (bakery, florist):
            async with database.tenant(shop.tenant_id) as store:
                for case in await cases.list_cases(store):
                    await cases.close_case(store, case.id, Outcome.FULFILLED, actor=OPERATOR)
        await asyncio.gather(
            *(routing.close_route(database, case.id, Outcome.FULFILLED, at=RECEIVED) for case in opened)
        )
        async with open_house(database) as house:
            assert (await intake.find_intake(house, request)).state == "done"


async def test_a_closed_case_does_not_tell_whose_it_was(database: Database, bakery: Shop) -> None:
    """Number and address are gone from it; that there was a request, and its end, stay."""
    async with database.tenant(bakery.tenant_id) as store:
        case_id = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=OPERATOR, contact=CALLER)
    async with database.tenant(bakery.tenant_id) as store:
        await cases.close_case(store, case_id, Outcome.NOTHING_FOUND, actor=OPERATOR)
        case = await cases.find_case(store, case_id)
    assert (case.number, case.outcome) == (None, Outcome.NOTHING_FOUND)
    ((to, _, body),) = await mails_of(database, bakery.tenant_id)
    assert to == CALLER
    assert "No data about your number were found" in body
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(cases.NoCaseError):
            await cases.close_case(store, case_id, Outcome.FULFILLED, actor=OPERATOR)


async def test_routing_again_changes_nothing(
    database: Database, tmp_path: Path, work: Work, store_settings: StoreSettings, bakery: Shop
) -> None:
    """A job that was killed after its work and runs again opens no second case and sends no second mail."""
    await _called(database, tmp_path, bakery)
    request = await _asked(database)
    await work()
    before = await _cases(database, bakery), await mails_of(database, HOUSE), await mails_of(database, bakery.tenant_id)
    await routing.route_request(database, request)
    async with open_house(database) as house:  # as if it had been killed before it noted that it was done
        await intake._set(house, request, state="proven")
    await routing.route_request(database, request)
    after = await _cases(database, bakery), await mails_of(database, HOUSE), await mails_of(database, bakery.tenant_id)
    assert (after[0], after[2]) == (before[0], before[2])
    assert NUMBER.e164 not in everything(store_settings)


@pytest.fixture
def repair(store_settings: StoreSettings, database_home: Path, florist: Shop) -> Callable[[], None]:
    """The florist's audit log contradicts itself, so that nobody can look in; until this is called."""

    def change(by: int) -> None:
        with connected(store_settings, database_home, postgres.SUPERUSER) as connection:
            connection.execute("UPDATE audit_heads SET size = size + %s WHERE tenant_id = %s", (by, florist.tenant_id))

    change(1)
    return lambda: change(-1)


async def test_a_tenant_that_cannot_be_looked_into_holds_nobody_up(
    database: Database, tmp_path: Path, work: Work, bakery: Shop, florist: Shop, repair: Callable[[], None]
) -> None:
    """The one that answers meanwhile is heard of; the request ends only when the other has answered too."""
    request = await _proven(database)
    await _called(database, tmp_path, bakery)
    with pytest.raises(RouteUnfinishedError, match="1 of 2"):
        await routing.route_request(database, request)
    await _close(database, bakery)
    await work()
    ((_, _, erased),) = await mails_of(database, HOUSE)
    assert "Bakery" in erased
    assert "have been erased" in erased
    assert await _state(database, request) == "proven"

    repair()
    await _called(database, tmp_path, florist)
    assert await routing.route_request(database, request) == 2
    *_, (_, _, routed) = await mails_of(database, HOUSE)
    assert "Bakery" in routed
    assert "Florist" in routed
    assert await _state(database, request) == "routed"
    await _close(database, florist)
    await work()
    assert "Florist" in (await mails_of(database, HOUSE))[-1][2]
    assert await _state(database, request) == "done"


async def test_a_case_that_was_closed_before_its_route_was_noted(
    database: Database, tmp_path: Path, work: Work, bakery: Shop
) -> None:
    """The job was killed in between, and the calls are gone: the caller hears of that end, and not of nobody."""
    await _called(database, tmp_path, bakery)
    request = await _proven(database)
    await routing.route_request(database, request)
    async with open_house(database) as house:  # as if it had been killed before it noted anything
        await house.change(delete(DsarRouteTable))
        await house.change(delete(MailTable))
        await intake._set(house, request, state="proven")
    await _close(database, bakery)
    async with database.tenant(bakery.tenant_id) as store:
        calls = [call.id for call in (await search(store, NUMBER, actor=OPERATOR)).sessions]
    await erase_batch(database, FolderBlobs(tmp_path / "blobs"), bakery.tenant_id, calls)
    await work()
    await routing.route_request(database, request)
    bodies = [body for _, _, body in await mails_of(database, HOUSE)]
    assert sum("Bakery" in body and "have been erased" in body for body in bodies) == 1
    assert not any("No business" in body for body in bodies)
    assert await _state(database, request) == "done"


async def _proven(database: Database) -> UUID:
    """A request whose number is proven, and that no job will pass on by itself."""
    request = await _asked(database)
    async with open_house(database) as house:
        await jobs.forget(house, "intake_id", (request,))
    return request


async def _close(database: Database, shop: Shop) -> None:
    async with database.tenant(shop.tenant_id) as store:
        (case,) = await cases.list_cases(store)
        await cases.close_case(store, case.id, Outcome.FULFILLED, actor=OPERATOR)


async def _state(database: Database, request: UUID) -> str:
    async with open_house(database) as house:
        return (await intake.find_intake(house, request)).state


async def test_a_number_that_nobody_knows(database: Database, work: Work, bakery: Shop) -> None:
    """The caller is told so, and the desk forgets the request at once."""
    request = await _asked(database)
    await work()
    ((_, _, body),) = await mails_of(database, HOUSE)
    assert "No business" in body
    async with open_house(database) as house:
        assert (await intake.find_intake(house, request)).state == "done"
    assert await _cases(database, bakery) == ()


async def test_the_house_is_no_customer(database: Database, bakery: Shop) -> None:
    """The operator's books are made once, hold no number, and are not among the tenants that people see."""
    for _ in range(2):
        async with open_house(database) as house:
            assert house.tenant_id == HOUSE
    async with database.platform() as platform:
        assert [tenant.id for tenant in await tenants.all_tenants(platform)] == [bakery.tenant_id]

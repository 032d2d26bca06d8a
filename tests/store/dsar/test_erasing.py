"""A caller wants to be forgotten: by the tenants that hold data, each for itself, with a receipt, and for good."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.dsar import Outcome, Wish
from store import conversation, postgres, sessions
from store.audit.checkpoints import public_keys
from store.blobs import FolderBlobs
from store.dsar import cases, contacts, erasing, intake, routing
from store.dsar.cases import Case
from store.dsar.erasing import NotTheCallersError, erase_for_case
from store.dsar.search import read_number, search
from store.engine import Database
from store.erasure import expiry
from store.erasure import sessions as erasures
from store.erasure.holds import HeldError, place_hold
from store.erasure.receipts import hand_out, problems_of
from store.house import HOUSE, open_house
from store.outbox import SEND_MAIL
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import Shop, connected
from tests.store.dsar.callers import Said, make_call
from tests.store.dsar.dump import everything, leave_mail, mails_of

NUMBER = read_number("+4915112345678")
OTHER = "+4915112345679"
CALLER = "caller@example.org"
TASKS = {
    intake.ROUTE_TASK: routing.route,
    cases.CLOSED_TASK: routing.tell_caller,
    erasing.ERASED_TASK: erasing.close_erased,
    erasures.TASK: erasures.run,
    SEND_MAIL: leave_mail,
}


class World:
    """Two tenants and one caller."""

    def __init__(self, database: Database, settings: StoreSettings, folder: Path) -> None:
        self.database = database
        self.blobs = FolderBlobs(folder / "blobs")
        self.work = JobWorker(settings, database, self.blobs, tasks=TASKS).run_due

    async def call(self, shop: Shop, phrase: str, caller: str = NUMBER.e164) -> UUID:
        return await make_call(self.database, self.blobs, shop, Said(caller=caller, phrase=phrase))

    async def open(self, shop: Shop, project_id: UUID | None = None) -> UUID:
        async with self.database.tenant(shop.tenant_id) as store:
            return await cases.open_case(
                store, NUMBER, Wish.ERASURE, actor=OPERATOR, contact=CALLER, project_id=project_id
            )

    async def erase(self, shop: Shop, case_id: UUID, *only: UUID) -> None:
        async with self.database.tenant(shop.tenant_id) as store:
            await erase_for_case(store, self.blobs, case_id, actor=OPERATOR, only=only or None)

    async def case(self, shop: Shop, case_id: UUID) -> Case:
        async with self.database.tenant(shop.tenant_id) as store:
            return await cases.find_case(store, case_id)

    async def calls(self, shop: Shop) -> list[UUID]:
        async with self.database.tenant(shop.tenant_id) as store:
            return [session.id for session in await sessions.list_sessions(store, actor=OPERATOR)]

    def objects(self, shop: Shop) -> list[str]:
        return list(self.blobs.list(f"recordings/{shop.tenant_id}/"))


@pytest.fixture
def world(database: Database, store_settings: StoreSettings, tmp_path: Path) -> World:
    return World(database, store_settings, tmp_path)


async def test_only_the_right_scope_is_erased(world: World, bakery: Shop, florist: Shop) -> None:
    """The caller's calls to one tenant go; another caller's there, and the same caller's elsewhere, stay whole."""
    mine = await world.call(bakery, "purple giraffe")
    neighbour = await world.call(bakery, "green camel", OTHER)
    elsewhere = await world.call(florist, "blue lion")
    case_id = await world.open(bakery)
    await world.erase(bakery, case_id)
    async with world.database.tenant(bakery.tenant_id) as store:  # at once, before any job has run
        found = await sessions.find_session(store, mine, actor=OPERATOR)
        assert found is None or not found.readable
    await world.work()
    assert await world.calls(bakery) == [neighbour]
    assert await world.calls(florist) == [elsewhere]
    assert world.objects(bakery) == [f"recordings/{bakery.tenant_id}/{neighbour}"]
    async with world.database.tenant(florist.tenant_id) as store:
        assert "blue lion" in (await conversation.turns_of(store, elsewhere, reader=READS_ALL))[1].text


async def test_the_case_ends_with_a_receipt(world: World, bakery: Shop) -> None:
    """It counts what went, names each object by hash only, and has nothing of the caller in it."""
    for phrase in ("one", "two"):
        await world.call(bakery, phrase)
    case_id = await world.open(bakery)
    await world.erase(bakery, case_id)
    assert (await world.case(bakery, case_id)).closed_at is None
    await world.work()
    case = await world.case(bakery, case_id)
    assert (case.outcome, case.number) == (Outcome.FULFILLED, None)
    receipt = str(case.receipt)
    assert f"'case': '{case_id}'" in receipt
    assert "'sessions': 2" in receipt
    assert "'turns': 4" in receipt
    assert "backups_forget_at" in receipt
    assert len(re.findall(r"'[0-9a-f]{64}'", receipt.partition("objects_sha256")[2].partition("]")[0])) == 2
    for private in (NUMBER.e164, NUMBER.e164[1:], CALLER, "recordings/"):
        assert private not in receipt
    to, _, body = (await mails_of(world.database, bakery.tenant_id))[-1]
    assert to == CALLER
    assert "have been erased" in body


async def test_the_receipt_is_checked_offline(world: World, bakery: Shop, florist: Shop) -> None:
    """With the public keys of the tenant's log alone; not with another's, and not after one word was changed."""
    await world.call(bakery, "one")
    case_id = await world.open(bakery)
    await world.erase(bakery, case_id)
    await world.work()
    signed = (await world.case(bakery, case_id)).receipt
    assert signed is not None
    receipt = await hand_out(world.database, bakery.tenant_id, signed)
    keys = await public_keys(world.database, bakery.tenant_id)
    assert problems_of(receipt, keys) == ()
    assert problems_of(receipt, await public_keys(world.database, florist.tenant_id))
    for name, value in (("outcome", "unfounded"), ("sessions", 2), ("objects_sha256", []), ("due_at", "later")):
        assert problems_of({**receipt, name: value}, keys), name


async def test_only_the_selected_calls_go(world: World, bakery: Shop) -> None:
    """Of two calls of the caller the one that was chosen."""
    kept, gone = await world.call(bakery, "one"), await world.call(bakery, "two")
    case_id = await world.open(bakery)
    await world.erase(bakery, case_id, gone)
    await world.work()
    assert await world.calls(bakery) == [kept]


async def test_calls_of_others_cannot_be_chosen(world: World, bakery: Shop, florist: Shop) -> None:
    """Another caller's call, another tenant's, or one that is not there: nothing at all is erased."""
    mine = await world.call(bakery, "one")
    foreign = [await world.call(bakery, "two", OTHER), await world.call(florist, "three"), uuid7()]
    case_id = await world.open(bakery)
    for other in foreign:
        with pytest.raises(NotTheCallersError, match=str(other)):
            await world.erase(bakery, case_id, mine, other)
    await world.work()
    assert len(await world.calls(bakery)) == 2
    assert len(await world.calls(florist)) == 1
    assert (await world.case(bakery, case_id)).closed_at is None


async def test_a_legal_hold_comes_first(world: World, bakery: Shop) -> None:
    """While a call is held, nothing of the case is erased, and the case stays open to be refused."""
    for phrase in ("one", "two"):
        held = await world.call(bakery, phrase)
    now = datetime.now(UTC)
    async with world.database.tenant(bakery.tenant_id) as store:
        await place_hold(
            store,
            project_id=bakery.project_id,
            session_id=held,
            reason="a lawsuit",
            expires_at=now + timedelta(days=90),
            actor=OPERATOR,
        )
    case_id = await world.open(bakery)
    with pytest.raises(HeldError):
        await world.erase(bakery, case_id)
    await world.work()
    assert len(await world.calls(bakery)) == 2
    assert (await world.case(bakery, case_id)).closed_at is None


async def test_without_calls_the_case_ends_too(world: World, bakery: Shop) -> None:
    """Nothing was found, and the caller is told so."""
    case_id = await world.open(bakery)
    await world.erase(bakery, case_id)
    await world.work()
    assert (await world.case(bakery, case_id)).outcome is Outcome.NOTHING_FOUND


async def test_what_is_answered_is_kept_for_seven_years(
    world: World, store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """Closed cases and finished requests go after them, like the audit log; an open case stays."""
    with connected(store_settings, database_home, postgres.SUPERUSER) as connection:
        # The database itself lets nobody take an entry before its time, and its clock is the real one.
        connection.execute("ALTER TABLE audit_leaves DISABLE TRIGGER audit_stays")
    closed, still_open = await world.open(bakery), await world.open(bakery)
    async with world.database.tenant(bakery.tenant_id) as store:
        await cases.close_case(store, closed, Outcome.NOTHING_FOUND, actor=OPERATOR)
    async with open_house(world.database) as house:
        request = await intake.take_in(house, NUMBER, Wish.ACCESS, contact=CALLER, language="de", actor=OPERATOR)
        await intake.stop(house, request, actor=OPERATOR)
    for years, left in ((6.99, 2), (7.01, 1)):
        now = datetime.now(UTC) + timedelta(days=365.25 * years)
        for tenant_id in (bakery.tenant_id, HOUSE):
            await expiry.expire(world.database, world.blobs, tenant_id, now, seller_country="DE")
        async with world.database.tenant(bakery.tenant_id) as store:
            found = [case.id for case in await cases.list_cases(store, only_open=False)]
        async with open_house(world.database) as house:
            requests = await intake.list_intakes(house, only_open=False)
        assert (len(found), len(requests)) == (left, left - 1)
    assert found == [still_open]


async def test_from_the_desk_to_the_last_trace(
    world: World, store_settings: StoreSettings, bakery: Shop, florist: Shop
) -> None:
    """A caller who knows no tenant: a code, a case in each tenant, and then nothing of the caller is left anywhere."""
    for shop in (bakery, florist):
        await world.call(shop, "purple giraffe")
        async with world.database.tenant(shop.tenant_id) as store:
            await contacts.set_contact(store, f"dpo@{shop.called[1:]}.example", actor=OPERATOR)
    async with open_house(world.database) as house:
        request = await intake.take_in(house, NUMBER, Wish.ERASURE, contact=CALLER, language="de", actor=OPERATOR)
        code = (await intake.new_code(house, request, actor=OPERATOR)).code
        assert await intake.prove(house, request, code, actor=OPERATOR) == "proven"
    await world.work()
    for shop in (bakery, florist):
        async with world.database.tenant(shop.tenant_id) as store:
            (case,) = await cases.list_cases(store)
            await erase_for_case(store, world.blobs, case.id, actor=OPERATOR)
    await world.work()
    told = [body for _, _, body in await mails_of(world.database, HOUSE)]
    assert len(told) == 3
    assert sum("have been erased" in body for body in told) == 2
    for shop in (bakery, florist):
        assert await world.calls(shop) == []
        assert world.objects(shop) == []
        async with world.database.tenant(shop.tenant_id) as store:
            assert (await search(store, NUMBER, actor=OPERATOR)).sessions == ()
    async with open_house(world.database) as house:
        assert await intake.list_intakes(house) == ()
        await intake.sweep(house, datetime.now(UTC) + timedelta(days=1, seconds=1), actor=OPERATOR)
    dump = everything(store_settings)
    for private in (NUMBER.e164, NUMBER.e164[1:], CALLER, "purple giraffe"):
        assert private not in dump
        assert private.encode().hex() not in dump
    for tenant_id in (bakery.tenant_id, florist.tenant_id, HOUSE):
        async with world.database.tenant(tenant_id) as store:
            assert (await sessions.caller_index(store, NUMBER.e164)).hex() not in dump

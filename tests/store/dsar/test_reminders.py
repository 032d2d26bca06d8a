"""A case that nobody answers: reminders, escalation to the operator before the deadline, an alarm at it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import structlog

from policies.audit_tags import OPERATOR, Tag
from policies.dsar import Outcome, Wish
from store.dsar import cases, contacts, reminders
from store.dsar.search import read_number
from store.engine import Database
from store.house import HOUSE, open_house
from tests.database import Shop
from tests.store.dsar.dump import mails_of, tags_of

NUMBER = read_number("+4915112345678")
RECEIVED = datetime(2027, 1, 31, 12, tzinfo=UTC)
"""Its month ends on 28 February, before 30 days are over."""
DPO, PRIVACY = "dpo@bakery.example", "privacy@operator.example"


@pytest.fixture
async def case_id(database: Database, bakery: Shop) -> UUID:
    """An open case of a tenant, with somebody to write to on both sides."""
    async with open_house(database) as house:
        await contacts.set_contact(house, PRIVACY, actor=OPERATOR)
    async with database.tenant(bakery.tenant_id) as store:
        await contacts.set_contact(store, DPO, actor=OPERATOR)
        return await cases.open_case(store, NUMBER, Wish.ERASURE, actor=OPERATOR, received_at=RECEIVED)


async def _mails(database: Database, shop: Shop) -> list[tuple[str, str]]:
    return [(to, subject) for to, subject, _ in await mails_of(database, shop.tenant_id)]


async def test_each_day_of_a_month(database: Database, bakery: Shop, case_id: UUID) -> None:
    """Looked at daily for 40 days: two reminders, day 20 with the operator, and the deadline on the 28th, once each."""
    sent: list[tuple[int, str, str]] = []
    for hour in range(40 * 24):
        now, before = RECEIVED + timedelta(hours=hour), len(sent)
        if hour % 24 not in {0, 23}:
            continue  # nothing is due then
        await reminders.watch(database, now)
        sent += [(hour // 24, to, subject) for to, subject in (await _mails(database, bakery))[before:]]
    still, nearly, overdue = (
        f"A caller's request about their data is {end}" for end in ("still open", "nearly due", "overdue")
    )
    assert sent == [
        (7, DPO, still),
        (14, DPO, still),
        (20, DPO, nearly),
        (20, PRIVACY, nearly),
        (28, DPO, overdue),
        (28, PRIVACY, overdue),
    ]
    assert (await tags_of(database, bakery.tenant_id)).count(Tag.DSAR_CASE_ESCALATED) == 2
    assert str(case_id) in str(await mails_of(database, bakery.tenant_id))
    assert NUMBER.e164 not in str(await mails_of(database, bakery.tenant_id))
    assert await mails_of(database, HOUSE) == []


async def test_a_server_that_was_off_makes_up_for_it_once(database: Database, bakery: Shop, case_id: UUID) -> None:
    """After three weeks of silence the escalation is sent, and not every step that was missed."""
    await reminders.watch(database, RECEIVED + timedelta(days=21))
    await reminders.watch(database, RECEIVED + timedelta(days=21))
    assert [to for to, _ in await _mails(database, bakery)] == [DPO, PRIVACY]


async def test_a_closed_case_rests(database: Database, bakery: Shop, case_id: UUID) -> None:
    """Whoever has answered is not reminded, and their tenant is not looked into."""
    async with database.tenant(bakery.tenant_id) as store:
        await cases.close_case(store, case_id, Outcome.FULFILLED, actor=OPERATOR)
    before = await _mails(database, bakery)
    await reminders.watch(database, RECEIVED + timedelta(days=40))
    assert await _mails(database, bakery) == before
    assert Tag.PLATFORM_LOOKED not in await tags_of(database, bakery.tenant_id)


async def test_only_tenants_with_steps_due_are_looked_into(
    database: Database, bakery: Shop, florist: Shop, case_id: UUID
) -> None:
    """The job finds them without a look into any other."""
    await reminders.watch(database, RECEIVED + timedelta(days=8))
    assert Tag.PLATFORM_LOOKED in await tags_of(database, bakery.tenant_id)
    assert Tag.PLATFORM_LOOKED not in await tags_of(database, florist.tenant_id)


async def test_without_contacts_the_log_says_it(database: Database, bakery: Shop) -> None:
    """A case that nobody can be mailed about is an error in the operator's log, by its ids only."""
    async with database.tenant(bakery.tenant_id) as store:
        case_id = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=OPERATOR, received_at=RECEIVED)
    with structlog.testing.capture_logs() as lines:
        await reminders.watch(database, RECEIVED + timedelta(days=20))
    (late,) = [line for line in lines if line["event"] == "dsar_case_late"]
    assert (late["log_level"], late["case_id"], late["step"]) == ("error", str(case_id), "escalate")
    assert NUMBER.e164 not in str(lines)

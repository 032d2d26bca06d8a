"""What mails tell of calls: that there is a request, and nothing of who called and what was said."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from policies.audit_tags import OPERATOR
from policies.dsar import Outcome, Wish
from store import bounds
from store.blobs import FolderBlobs
from store.dsar import cases, contacts, intake, reminders, routing
from store.dsar.search import read_number
from store.engine import Database
from store.house import HOUSE, open_house
from store.outbox import SEND_MAIL
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import Shop
from tests.store.dsar.callers import Said, make_call
from tests.store.dsar.dump import leave_mail, mails_of

ROOT = Path(__file__).resolve().parents[3]
NUMBER = read_number("+4915112345678")
RECEIVED = datetime(2026, 11, 3, 12, tzinfo=UTC)
CONTENT = {"turns_of", "messages_of", "events_of", "find_session", "find_sessions", "list_calls", "open_recording"}
"""What opens who called, and what was said."""


async def test_nothing_of_a_call_is_in_any_mail(
    database: Database, store_settings: StoreSettings, tmp_path: Path, bakery: Shop
) -> None:
    """Of a patient's request, from its arrival past every reminder to its end: neither number nor words, to anybody."""
    blobs = FolderBlobs(tmp_path / "blobs")
    tasks = {intake.ROUTE_TASK: routing.route, cases.CLOSED_TASK: routing.tell_caller, SEND_MAIL: leave_mail}
    worker = JobWorker(store_settings, database, blobs, tasks=tasks)
    await make_call(database, blobs, bakery, Said(caller=NUMBER.e164))
    async with database.tenant(bakery.tenant_id) as store:
        await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=(), actor=OPERATOR)
        await contacts.set_contact(store, "dpo@bakery.example", actor=OPERATOR)
    async with open_house(database) as house:
        await contacts.set_contact(house, "privacy@operator.example", actor=OPERATOR)
        request = await intake.take_in(
            house,
            NUMBER,
            Wish.ERASURE,
            contact="caller@example.org",
            language="de",
            actor=OPERATOR,
            received_at=RECEIVED,
        )
        code = (await intake.new_code(house, request, actor=OPERATOR)).code
    async with open_house(database) as house:
        await intake.prove(house, request, code, actor=OPERATOR)
    await worker.run_due()
    for days in (7, 14, 20, 40):
        await reminders.watch(database, RECEIVED + timedelta(days=days))
    async with database.tenant(bakery.tenant_id) as store:
        (case,) = await cases.list_cases(store)
        await cases.close_case(store, case.id, Outcome.FULFILLED, actor=OPERATOR)
    await worker.run_due()
    mails = [mail for tenant_id in (bakery.tenant_id, HOUSE) for mail in await mails_of(database, tenant_id)]
    assert {to.partition("@")[0] for to, *_ in mails} == {"dpo", "privacy", "caller"}
    assert len(mails) >= 8
    written = " ".join(f"{subject} {body}" for _, subject, body in mails)
    assert str(case.id) in written
    for private in (NUMBER.e164, NUMBER.e164.removeprefix("+49"), Said().phrase):
        assert private not in written


def _writers() -> Iterator[Path]:
    """Files whose code puts mails into the outbox."""
    for room in ("store", "admin", "scripts", "voice"):
        for path in (ROOT / room).rglob("*.py"):
            if _names(path) & {"queue_mail", "write_to_contact"} and path.name != "outbox.py":
                yield path


def _names(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in tree
        if isinstance(node, ast.Call)
    }


def test_who_writes_mails_does_not_open_calls() -> None:
    """So no mail that is added later can hold what was said either."""
    writers = list(_writers())
    assert len(writers) > 5
    assert [path.name for path in writers if _names(path) & CONTENT] == []

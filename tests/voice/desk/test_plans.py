import asyncio
import fcntl
import time
from uuid import UUID

import pytest

from policies.audit_tags import OPERATOR
from policies.retention import Wishes
from store import numbers, scenarios, sessions
from store.engine import Database
from store.erasure.expiry import set_retention
from store.scenarios import ConsentWishes, ModelWishes, RecordingWishes, Scenario, TransferTarget
from tests.database import Shop
from tests.voice.desk.conftest import Worker, stock
from voice.desk.plans import spellings
from voice.desk.server import Desk
from voice.desk.settings import DeskSettings
from voice.waist.messages import CallClosed, PlanDenied, PlanGranted


async def publish(database: Database, settings: DeskSettings, shop: Shop, content: Scenario) -> None:
    async with database.tenant(shop.tenant_id) as store:
        await scenarios.publish(store, shop.scenario_id, content, actor=OPERATOR)
    await stock(settings, database, shop)


async def test_plan_of_a_strict_country(worker: Worker, bakery: Shop, database: Database) -> None:
    """A German number gets its tenant's words, an AI disclosure, a question for consent, and a key of its own."""
    plan = await worker.granted(bakery.called)
    assert (plan.tenant_id, plan.project_id) == (str(bakery.tenant_id), str(bakery.project_id))
    assert plan.language == "de"
    assert "KI-Assistenten von Bakery" in plan.clips.disclosure.text
    assert plan.consent.asked
    assert plan.consent.question is not None
    assert plan.consent.question.audio
    assert plan.recording.allowed
    assert plan.recording.starts == "consent"
    assert plan.own_tools == ("hang_up", "take_message")
    assert plan.model.url.startswith("ws://127.0.0.1")
    async with database.tenant(bakery.tenant_id) as store:
        session = await sessions.find_session(store, UUID(plan.session_id), actor=OPERATOR)
        assert session is not None
        assert session.state == "open"
        assert session.caller == "+493012345678"
        unwrapped = await store.keys.unwrap_data_key(store, UUID(plan.session_id), plan.wrapped_data_key)
    assert unwrapped == plan.data_key


async def test_unknown_number_is_not_found(worker: Worker) -> None:
    """Nobody answers for a number that is nobody's."""
    assert await worker.plan("+4915550000000") == PlanDenied(sip_status=404, reason="no such number")


async def test_number_is_found_however_it_is_dialled(worker: Worker, bakery: Shop) -> None:
    """E.164, with 00, without plus, and with separators lead to the same place."""
    digits = bakery.called.removeprefix("+")
    for dialled in (f"00{digits}", digits, f"+{digits[:2]} {digits[2:4]}-{digits[4:]}"):
        assert isinstance(await worker.plan(dialled), PlanGranted), dialled


@pytest.mark.parametrize(
    ("dialled", "expected"),
    [
        ("Demo", ("demo",)),
        ("+49 (30) 23125-001", ("+49 (30) 23125-001", "+493023125001")),
        ("00493023125001", ("00493023125001", "+493023125001")),
        ("493023125001;npdi", ("493023125001", "+493023125001")),
        ("100", ("100",)),
        ("", ()),
    ],
)
def test_spellings(dialled: str, expected: tuple[str, ...]) -> None:
    """A dialled user part is tried as it came and as E.164."""
    assert spellings(dialled) == expected


async def test_tenant_at_its_limit_is_busy(
    worker: Worker, bakery: Shop, florist: Shop, settings: DeskSettings, database: Database
) -> None:
    """The fourth call of three is refused with 486, also when all come at once; other tenants do not notice."""
    await stock(settings, database, florist)
    answers = await asyncio.gather(*(worker.plan(bakery.called) for _ in range(8)))
    assert sum(isinstance(answer, PlanGranted) for answer in answers) == 3
    assert {answer.sip_status for answer in answers if isinstance(answer, PlanDenied)} == {486}
    assert isinstance(await worker.plan(florist.called), PlanGranted)


async def test_a_call_that_has_ended_counts_no_more(worker: Worker, bakery: Shop, settings: DeskSettings) -> None:
    """A tenant at its limit may take the next call as soon as one ends, however long its traces wait to be taken in."""
    settings.spool.mkdir(exist_ok=True)
    first, *_ = [await worker.granted(bakery.called) for _ in range(3)]
    assert isinstance(await worker.plan(bakery.called), PlanDenied)
    journal = settings.spool / f"{first.session_id}.journal"
    with journal.open("xb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # so that nobody can take it in
        worker.client.notify(CallClosed(session_id=first.session_id))
        assert isinstance(await worker.plan(bakery.called), PlanGranted)
        assert isinstance(await worker.plan(bakery.called), PlanDenied)
        journal.unlink()


async def test_spare_plan_is_strict_and_counts_as_no_call(worker: Worker, bakery: Shop, database: Database) -> None:
    """A plan made ahead has its own id and key, knows no caller, asks for consent, and takes no slot of the tenant."""
    answer = await worker.plan(bakery.called, caller="+12025550100", spare=True)
    assert isinstance(answer, PlanGranted)
    assert answer.spare is not None
    assert answer.spare.session_id != answer.plan.session_id
    assert answer.spare.data_key != answer.plan.data_key
    assert answer.spare.consent.asked
    async with database.tenant(bakery.tenant_id) as store:
        assert await sessions.live_count(store) == 1
        spare = await sessions.find_session(store, UUID(answer.spare.session_id), actor=OPERATOR)
    assert spare is not None
    assert (spare.state, spare.caller) == ("spare", None)


async def test_new_version_answers_the_next_call(
    worker: Worker, bakery: Shop, database: Database, settings: DeskSettings
) -> None:
    """What a scenario wishes reaches the plan, from the call after its publication on."""
    before = await worker.granted(bakery.called)
    content = Scenario(
        name="Night",
        instructions="Be brief.",
        language="en",
        tools=("hang_up", "transfer", "book_day", "no_such_tool"),
        transfers=(TransferTarget(id="boss", label="the boss", uri="tel:+493012345"),),
        model=ModelWishes(name="gpt-realtime-mini", voice="cedar", speed=1.2),
        consent=ConsentWishes(on_refusal="end", question="Is recording fine? Say yes or press 1."),
        recording=RecordingWishes(transcript=False),
    )
    await publish(database, settings, bakery, content)
    plan = await worker.granted(bakery.called)
    assert plan.scenario_version == before.scenario_version + 1
    assert plan.instructions == "Be brief."
    assert plan.clips.disclosure.language == "en"
    assert plan.own_tools == ("hang_up", "transfer")
    assert [tool.name for tool in plan.tools] == ["book_day"]
    assert plan.transfer_targets[0].uri == "tel:+493012345"
    assert (plan.model.name, plan.model.voice, plan.model.speed) == ("gpt-realtime-mini", "cedar", 1.2)
    assert plan.consent.question is not None
    assert plan.consent.question.text == "Is recording fine? Say yes or press 1."
    assert plan.consent.on_refusal == "end"
    assert not plan.recording.transcript


async def test_scenario_that_never_records_asks_nobody(
    worker: Worker, bakery: Shop, database: Database, settings: DeskSettings
) -> None:
    """Without recording there is no question, and the disclosure does not speak of it."""
    content = Scenario(name="Off", instructions="Help.", recording=RecordingWishes(audio=False))
    await publish(database, settings, bakery, content)
    plan = await worker.granted(bakery.called)
    assert not plan.consent.asked
    assert not plan.recording.allowed
    assert "aufgezeichnet" not in plan.clips.disclosure.text


async def test_number_that_moved_is_found_again(
    worker: Worker, bakery: Shop, florist: Shop, database: Database, settings: DeskSettings
) -> None:
    """A number that went to another tenant is answered by that tenant at the next call, not from memory."""
    await stock(settings, database, florist)
    assert (await worker.granted(bakery.called)).tenant_id == str(bakery.tenant_id)
    async with database.tenant(bakery.tenant_id) as store:
        await store.fixed("DELETE FROM numbers WHERE tenant_id = :tenant_id")
    async with database.tenant(florist.tenant_id) as store:
        await numbers.create(
            store, project_id=florist.project_id, scenario_id=florist.scenario_id, called=bakery.called, actor=OPERATOR
        )
    assert (await worker.granted(bakery.called)).tenant_id == str(florist.tenant_id)


async def test_plans_are_fast(
    worker: Worker, bakery: Shop, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints how long a plan takes over the socket with everything warm; the machine decides, so asserts nothing."""
    async with database.tenant(bakery.tenant_id) as store:
        await store.fixed("UPDATE tenants SET max_calls = 1000 WHERE tenant_id = :tenant_id")
    took = []
    for _ in range(150):
        began = time.perf_counter()
        await worker.granted(bakery.called)
        took.append((time.perf_counter() - began) * 1000)
    took = sorted(took[20:])
    figures = {
        name: round(took[int(len(took) * part)], 1) for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }
    with capsys.disabled():
        print(f"\nplan over the socket, ms: {figures}")  # noqa: T201 - a figure for whoever runs the tests


async def test_preparing_leaves_no_call_behind(
    worker: Worker, desk: Desk, bakery: Shop, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is rehearsed at the start is taken back; prints how long the first call's plan then takes."""
    await desk.prepare()
    async with database.tenant(bakery.tenant_id) as store:
        assert await store.fixed("SELECT id FROM sessions WHERE tenant_id = :tenant_id") == []
        assert await store.fixed("SELECT session_id FROM keys.data_keys WHERE tenant_id = :tenant_id") == []
    began = time.perf_counter()
    await worker.granted(bakery.called)
    with capsys.disabled():
        print(f"\nfirst plan after preparing: {(time.perf_counter() - began) * 1000:.1f} ms")  # noqa: T201 - see above


@pytest.mark.parametrize("always_ask", [False, True])
async def test_a_project_that_keeps_no_recordings_makes_none(
    worker: Worker, bakery: Shop, database: Database, settings: DeskSettings, *, always_ask: bool
) -> None:
    """0 days: no recording is allowed, announced or asked for, whatever a scenario wishes; words are its own matter."""
    wishes = Wishes(jurisdiction="DE", recording_days=0)
    async with database.tenant(bakery.tenant_id) as store:
        await set_retention(store, bakery.project_id, wishes, actor=OPERATOR)
    content = Scenario(name="Day", instructions="Help.", consent=ConsentWishes(always_ask=always_ask))
    await publish(database, settings, bakery, content)
    plan = await worker.granted(bakery.called)
    assert not plan.recording.allowed
    assert not plan.consent.asked
    assert plan.consent.question is None
    assert "aufgezeichnet" not in plan.clips.disclosure.text
    assert plan.recording.transcript


async def test_a_project_that_keeps_no_transcripts_writes_none(
    worker: Worker, bakery: Shop, database: Database
) -> None:
    """0 days: no word is written down though the scenario wishes for it; the sound may be recorded."""
    assert (await worker.granted(bakery.called)).recording.transcript
    async with database.tenant(bakery.tenant_id) as store:
        await set_retention(store, bakery.project_id, Wishes(jurisdiction="DE", transcript_days=0), actor=OPERATOR)
    plan = await worker.granted(bakery.called)
    assert not plan.recording.transcript
    assert plan.recording.allowed

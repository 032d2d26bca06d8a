"""The register of this server, notices to customers, and the bounds of projects."""

import ast
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from policies.audit_tags import OPERATOR, Tag
from policies.hipaa import FORCED
from policies.residency import Bounds
from policies.subprocessors import NOTICE_DAYS, Data, Place, Subprocessor
from policies.verdict import Deny
from store import bounds, registers
from store.audit.log import entries
from store.bounds import BoundsRefusedError
from store.dsar.contacts import set_contact
from store.engine import Database
from store.house import open_house
from store.outbox import find_mail
from store.people import accounts
from store.people.memberships import grant_role, standing_of
from store.registers import RegisterRefusedError
from store.scope import TenantStore
from store.tables.registers import MailTable
from tests.database import Shop, add_receptionist

ROOT = Path(__file__).parents[2]

TODAY = date(2026, 11, 25)
VOICES = Subprocessor(
    id="voices",
    name="Voices GmbH",
    purpose="the voice of recorded sentences",
    data=(Data.SCENARIO, Data.WORDS),
    countries=("DE",),
    transfer="",
    hosts=("api.voices.example",),
    since=TODAY,
)


async def mails_of(store: TenantStore) -> list[str]:
    found = [await find_mail(store, row.id) for row in await store.all(select(MailTable))]
    return [f"{mail.to}: {mail.subject}\n{mail.body}" for mail in found if mail is not None]


async def test_all_customers_are_told_and_then_thirty_days_pass(
    database: Database, bakery: Shop, florist: Shop
) -> None:
    """Each gets a mail with everything that matters, and an entry in its own log; until then nobody is in the list."""
    for shop, address in ((bakery, "owner@bakery.example"), (florist, "owner@florist.example")):
        async with database.tenant(shop.tenant_id) as store:
            await set_contact(store, address, actor=OPERATOR)
    begins = await registers.add_subprocessor(database, VOICES, today=TODAY, actor=OPERATOR)
    assert begins == TODAY + timedelta(days=NOTICE_DAYS)
    register = await registers.load_register(database)
    assert isinstance(register.place_of("api.voices.example", begins - timedelta(days=1)), Deny)
    assert isinstance(register.place_of("api.voices.example", begins), Place)
    for shop, address in ((bakery, "owner@bakery.example"), (florist, "owner@florist.example")):
        async with database.tenant(shop.tenant_id) as store:
            (mail,) = await mails_of(store)
            (entry,) = await entries(store, tag=Tag.SUBPROCESSOR_NOTICED)
        assert mail.startswith(f"{address}: A new sub-processor: Voices GmbH")
        assert all(said in mail for said in (VOICES.purpose, "what was said, as text", "DE", "30 days"))
        assert (entry.objects, entry.facts) == ({"subprocessor": "voices"}, {"by_mail": True, "accepted": False})
    async with open_house(database) as house:
        assert await entries(house, tag=Tag.SUBPROCESSOR_ADDED)
        assert await mails_of(house) == []


async def test_who_cannot_be_told_is_named(database: Database, bakery: Shop, florist: Shop) -> None:
    """Nothing is entered, and nobody is told, as long as one customer cannot be."""
    async with database.tenant(bakery.tenant_id) as store:
        await set_contact(store, "owner@bakery.example", actor=OPERATOR)
    with pytest.raises(RegisterRefusedError, match=r"Florist.*aitelier dsar contact"):
        await registers.add_subprocessor(database, VOICES, today=TODAY, actor=OPERATOR)
    assert isinstance((await registers.load_register(database)).place_of("api.voices.example", date(2036, 1, 1)), Deny)
    async with database.tenant(bakery.tenant_id) as store:
        assert await mails_of(store) == []
    assert await registers.add_subprocessor(database, VOICES, today=TODAY, actor=OPERATOR, accepted=True) == TODAY
    async with database.tenant(florist.tenant_id) as store:
        (entry,) = await entries(store, tag=Tag.SUBPROCESSOR_NOTICED)
    assert entry.facts == {"by_mail": False, "accepted": True}


async def test_what_was_interrupted_is_finished_and_nobody_told_twice(
    database: Database, bakery: Shop, florist: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure at one customer: nothing is in force, and the same command finishes it."""
    for shop in (bakery, florist):
        async with database.tenant(shop.tenant_id) as store:
            await set_contact(store, "owner@shop.example", actor=OPERATOR)
    whole = registers.queue_mail

    async def broken(store: TenantStore, *, to: str, subject: str, body: str, kind: str) -> object:
        if store.tenant_id == florist.tenant_id:
            raise RuntimeError
        return await whole(store, to=to, subject=subject, body=body, kind=kind)

    monkeypatch.setattr(registers, "queue_mail", broken)
    with pytest.raises(RegisterRefusedError, match="1 customers could not be told"):
        await registers.add_subprocessor(database, VOICES, today=TODAY, actor=OPERATOR)
    assert isinstance((await registers.load_register(database)).place_of("api.voices.example", date(2036, 1, 1)), Deny)
    monkeypatch.undo()
    later = TODAY + timedelta(days=2)
    begins = await registers.add_subprocessor(database, VOICES, today=later, actor=OPERATOR)
    assert begins == later + timedelta(days=NOTICE_DAYS)
    for shop in (bakery, florist):
        async with database.tenant(shop.tenant_id) as store:
            assert len(await mails_of(store)) == 1
            assert len(await entries(store, tag=Tag.SUBPROCESSOR_NOTICED)) == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"purpose": ""}, "Say who it is"),
        ({"data": ()}, "Say who it is"),
        ({"countries": ("Germany",)}, "two letters"),
        ({"countries": ()}, "Say who it is"),
        ({"hosts": ("127.0.0.1",)}, "is this machine"),
        ({"hosts": ("api.openai.com",)}, "is OpenAI OpCo, LLC already"),
        ({"id": "openai", "hosts": ("api.openai.com",)}, "in the register already"),
    ],
)
async def test_what_says_too_little_or_is_not_so(database: Database, change: dict[str, object], why: str) -> None:
    """A row that hides something about a sub-processor, or takes another's place, is refused."""
    with pytest.raises(RegisterRefusedError, match=why):
        await registers.add_subprocessor(
            database, replace(VOICES, **change), today=TODAY, actor=OPERATOR, accepted=True
        )  # type: ignore[arg-type]  # a table of fields


async def test_one_that_was_added_can_go_and_the_beginning_stays(database: Database, bakery: Shop) -> None:
    """Removing is audited; what every contract lists cannot be removed; who comes back is told of again."""
    await registers.add_subprocessor(database, VOICES, today=TODAY, actor=OPERATOR, accepted=True)
    await registers.remove_subprocessor(database, "voices", actor=OPERATOR)
    assert {row.id for row in (await registers.load_register(database)).rows} == {"openai", "anthropic", "stripe"}
    later = TODAY + timedelta(days=100)
    assert await registers.add_subprocessor(database, VOICES, today=later, actor=OPERATOR, accepted=True) == later
    async with database.tenant(bakery.tenant_id) as store:
        assert len(await entries(store, tag=Tag.SUBPROCESSOR_NOTICED)) == 2
    with pytest.raises(RegisterRefusedError, match="was not added here"):
        await registers.remove_subprocessor(database, "openai", actor=OPERATOR)
    async with open_house(database) as house:
        assert len(await entries(house, tag=Tag.SUBPROCESSOR_REMOVED)) == 1


async def test_an_agreement_about_health_data_is_noted(database: Database) -> None:
    """It does not make the sub-processor a new one: it stays in force as before."""
    await registers.set_baa(database, "openai", TODAY, actor=OPERATOR)
    place = (await registers.load_register(database)).place_of("api.openai.com", TODAY)
    assert isinstance(place, Place)
    assert place.subprocessor is not None
    assert place.subprocessor.baa_since == TODAY
    await registers.set_baa(database, "openai", None, actor=OPERATOR)
    with pytest.raises(RegisterRefusedError, match="not in the register"):
        await registers.set_baa(database, "nobody", TODAY, actor=OPERATOR)


async def test_bounds_of_a_project(database: Database, bakery: Shop, florist: Shop) -> None:
    """Both switches are audited with what was before, hold for one project, and for the tenant's members too."""
    async with database.tenant(bakery.tenant_id) as store:
        assert await bounds.bounds_of(store, bakery.project_id) == Bounds()
        await bounds.set_residency(store, bakery.project_id, "eu_only", kept_at=(), actor=OPERATOR)
        await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=(), actor=OPERATOR)
        assert await bounds.bounds_of(store, bakery.project_id) == Bounds("eu_only", hipaa=True)
        assert await bounds.strictest(store) == Bounds("eu_only", hipaa=True)
        residency, hipaa = [
            (await entries(store, tag=tag))[0].facts for tag in (Tag.RESIDENCY_CHANGED, Tag.HIPAA_CHANGED)
        ]
    assert residency == {"residency": "eu_only", "before": "anywhere"}
    assert hipaa == {"on": True, "before": False}
    async with database.tenant(florist.tenant_id) as store:
        assert await bounds.strictest(store) == Bounds()
        with pytest.raises(bounds.NoProjectError):
            await bounds.set_residency(store, bakery.project_id, "anywhere", kept_at=(), actor=OPERATOR)


async def test_a_server_that_cannot_keep_to_it_says_so(database: Database, bakery: Shop) -> None:
    """With the bucket in the USA no project is EU-only; with somebody else's database none is for health care."""
    bucket = Place("s3.us.example", "own", ("US",))
    theirs = Place("db.voices.example", "subprocessor", ("DE",), VOICES)
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(BoundsRefusedError, match=r"s3\.us\.example.*is in US, outside the EU"):
            await bounds.set_residency(store, bakery.project_id, "eu_only", kept_at=[bucket], actor=OPERATOR)
        with pytest.raises(BoundsRefusedError, match="business associate"):
            await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=[bucket, theirs], actor=OPERATOR)
        assert await bounds.bounds_of(store, bakery.project_id) == Bounds()
        assert await entries(store, tag=Tag.RESIDENCY_CHANGED) == ()


async def test_health_care_forces_how_members_sign_in(database: Database, bakery: Shop, florist: Shop) -> None:
    """With one project for health care every member of the tenant is asked for more; of other tenants nobody is."""
    async with open_house(database) as house:
        vera = (await accounts.find_or_make(house, "vera@agency.example")).id

    async def asked(store: TenantStore) -> tuple[bool, int | None]:
        standing = await standing_of(store, vera)
        return standing.must_have_second_factor, standing.idle_minutes

    async with database.tenant(bakery.tenant_id) as store:
        other = await add_receptionist(store, "Kiosk", "+493023125077")
        await grant_role(store, vera, "viewer", project_id=other.project_id, actor=OPERATOR)
        assert await asked(store) == (False, None)
        await bounds.set_hipaa(store, bakery.project_id, on=True, kept_at=(), actor=OPERATOR)
        assert await asked(store) == (True, FORCED.idle_minutes)
    async with database.tenant(florist.tenant_id) as store:
        await grant_role(store, vera, "viewer", actor=OPERATOR)
        assert await asked(store) == (False, None)


def test_no_other_way_to_a_project_s_handling() -> None:
    """The switch is written in one file, and what it forces is made in one other: nobody can leave something out."""
    made, written = set(), set()
    for room in ("policies", "store", "voice", "admin", "scripts"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if called == "Handling":
                    made.add(str(file.relative_to(ROOT)))
                if called in {"values", "ProjectTable"} and {"hipaa", "residency"} & {key.arg for key in node.keywords}:
                    written.add(str(file.relative_to(ROOT)))
    assert made == {"policies/hipaa.py"}
    assert written == {"store/bounds.py"}

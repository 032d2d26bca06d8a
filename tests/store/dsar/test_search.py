"""A number is found in every form that a trunk may have written it in, and in its scope only."""

from pathlib import Path

import pytest

from policies.audit_tags import OPERATOR, Tag
from store import projects, scenarios, sessions
from store.audit import log as audit
from store.blobs import FolderBlobs
from store.dsar.search import NoNumberError, read_number, search
from store.engine import Database
from store.scenarios import Scenario
from store.settings import StoreSettings
from tests.database import Shop
from tests.store.dsar.callers import Said, make_call
from tests.store.dsar.dump import everything

NUMBER = read_number("+49 30 23125999")


@pytest.mark.parametrize(
    ("typed", "jurisdiction"),
    [
        ("+493023125999", None),
        ("+49 (30) 23125999", None),
        ("0049 30 23125-999", None),
        ("tel:+49-30-23125999", None),
        ("030 23125999", "DE"),
        ("030/23125999", "DE-BY"),
    ],
)
def test_numbers_as_people_type_them(typed: str, jurisdiction: str | None) -> None:
    """Spaces, brackets, a dialling prefix and, where the country is known, the national form mean the same number."""
    assert read_number(typed, jurisdiction) == NUMBER


@pytest.mark.parametrize("typed", ["", "030 23125999", "+49 30", "call me", "+49302312599912345678"])
def test_what_is_no_number_is_refused(typed: str) -> None:
    """And the error does not repeat it, because errors are logged."""
    with pytest.raises(NoNumberError) as refused:
        read_number(typed)
    assert not typed or typed not in str(refused.value)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("+493023125999", True),
        ("493023125999", True),
        ("00493023125999", True),
        ("03023125999", True),  # national, and the bakery is in Germany
        ("+493023125998", False),
        ("anonymous", False),
        ("+433023125999", False),
    ],
)
async def test_whatever_the_trunk_wrote(
    database: Database, tmp_path: Path, bakery: Shop, *, written: str, found: bool
) -> None:
    """A call is found by its caller's number whether the trunk wrote it internationally or nationally."""
    session_id = await make_call(database, FolderBlobs(tmp_path / "blobs"), bakery, Said(caller=written, seconds=0))
    async with database.tenant(bakery.tenant_id) as store:
        calls = await search(store, NUMBER, actor=OPERATOR)
    assert [call.id for call in calls.sessions] == ([session_id] if found else [])


async def test_a_national_number_is_read_where_the_call_came_in(
    database: Database, tmp_path: Path, bakery: Shop
) -> None:
    """Who called a shop in Austria as 0662 880001 is somebody else than the German of the same digits."""
    vienna = await _second_project(database, bakery, "AT")
    blobs = FolderBlobs(tmp_path / "blobs")
    salzburg = await make_call(database, blobs, vienna, Said(caller="0662880001", seconds=0))
    async with database.tenant(bakery.tenant_id) as store:
        austrian = await search(store, read_number("+43 662 880001"), actor=OPERATOR)
        german = await search(store, read_number("+49 662 880001"), actor=OPERATOR)
    assert [call.id for call in austrian.sessions] == [salzburg]
    assert german.sessions == ()


async def _second_project(database: Database, shop: Shop, jurisdiction: str) -> Shop:
    async with database.tenant(shop.tenant_id) as store:
        project = await projects.create(
            store, name="second", business_name="Second", jurisdiction=jurisdiction, language="de", actor=OPERATOR
        )
        scenario = await scenarios.create(
            store, project_id=project.id, content=Scenario(name="second", instructions="Help."), actor=OPERATOR
        )
    return Shop(shop.tenant_id, project.id, scenario.scenario_id, "second")


async def test_scope_and_pages(database: Database, tmp_path: Path, bakery: Shop, florist: Shop) -> None:
    """A search stays in its tenant, in its project where one is named, and goes on where the last page ended."""
    blobs, second = FolderBlobs(tmp_path / "blobs"), await _second_project(database, bakery, "DE")
    said = Said(caller=NUMBER.e164, seconds=0)
    mine = [await make_call(database, blobs, shop, said) for shop in (bakery, second, bakery)]
    theirs = await make_call(database, blobs, florist, said)
    async with database.tenant(bakery.tenant_id) as store:
        first = await search(store, NUMBER, actor=OPERATOR, limit=2)
        rest = await search(store, NUMBER, actor=OPERATOR, limit=2, before=first.sessions[-1].id)
        of_second = await search(store, NUMBER, actor=OPERATOR, project_id=second.project_id)
    async with database.tenant(florist.tenant_id) as store:
        other = await search(store, NUMBER, actor=OPERATOR)
    assert ([call.id for call in first.sessions], first.more) == ([mine[2], mine[1]], True)
    assert ([call.id for call in rest.sessions], rest.more) == ([mine[0]], False)
    assert [call.id for call in of_second.sessions] == [mine[1]]
    assert [call.id for call in other.sessions] == [theirs]


async def test_an_erased_call_is_nobodys(database: Database, tmp_path: Path, bakery: Shop) -> None:
    """Once a call's key is gone it is found under no number any more."""
    session_id = await make_call(database, FolderBlobs(tmp_path / "blobs"), bakery, Said(caller=NUMBER.e164))
    async with database.tenant(bakery.tenant_id) as store:
        await store.keys.shred(store, session_id)
        assert await sessions.find_session(store, session_id, actor=OPERATOR) is not None
        assert (await search(store, NUMBER, actor=OPERATOR)).sessions == ()


async def test_a_query_is_in_the_audit_log_and_the_number_is_not(
    database: Database, tmp_path: Path, bakery: Shop, store_settings: StoreSettings
) -> None:
    """The log tells who may know what was asked for; the database holds the number nowhere in the clear."""
    await make_call(database, FolderBlobs(tmp_path / "blobs"), bakery, Said(caller=NUMBER.e164, seconds=0))
    async with database.tenant(bakery.tenant_id) as store:
        await search(store, NUMBER, actor=OPERATOR, project_id=bakery.project_id)
        await search(store, read_number("+49 30 23125998"), actor=OPERATOR)
    async with database.tenant(bakery.tenant_id) as store:
        unknown, known = await audit.entries(store, tag=Tag.DSAR_QUERIED)
    assert (known.personal, known.facts["found"]) == ({"number": NUMBER.e164}, 1)
    assert known.objects == {"project": str(bakery.project_id)}
    assert (unknown.personal, unknown.erased, unknown.facts["found"]) == (None, False, 0)
    dump = everything(store_settings)
    assert NUMBER.e164[1:] not in dump
    assert "23125998" not in dump

"""Requests of callers: taken down, looked into, exported, erased, closed; by the API and on pages."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from policies.audit_tags import OPERATOR, Tag
from policies.dsar import due_at
from store.audit.checkpoints import public_keys
from store.audit.log import Entry, entries
from store.blobs import BlobMissingError
from store.dsar import copies
from store.dsar.copying import make_copy
from store.dsar.erasing import ERASED_TASK, close_erased
from store.erasure import sessions
from store.erasure.holds import place_hold
from store.erasure.receipts import problems_of
from store.jobs import Argument, Work
from tests.admin.speaking import api, look, rows_of, send
from tests.admin.world import World, add_call

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def opened(world: World, number: str, **more: object) -> Any:
    """A request as the API shows it."""
    status, made = await api(world, "POST", "/requests", body={"number": number, "wish": "erasure", **more})
    assert status == 201, made
    return made


async def finish(world: World, request: Any) -> None:
    """Let the jobs run that an erasure has left behind."""
    services, erasure_id = world.services, request["erasure_id"]
    await sessions.carry_out(services.database, services.blobs, world.bakery.tenant_id, UUID(erasure_id))
    await close_erased(job(world, ERASED_TASK, case_id=request["id"], erasure_id=erasure_id))


def job(world: World, task: str, **arguments: Argument) -> Work:
    """One of the Bakery's."""
    services, tenant_id = world.services, world.bakery.tenant_id
    return Work(
        database=services.database, blobs=services.blobs, tenant_id=tenant_id, job_id=1, task=task, arguments=arguments
    )


async def acts(world: World, tag: Tag) -> tuple[Entry, ...]:
    """Of the Bakery, newest first."""
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        return await entries(store, tag=tag)


async def test_a_request_goes_from_the_first_word_to_a_receipt_that_others_can_check(world: World) -> None:
    """Typed as people type, it finds calls; erased, they are gone for all; closed, it tells nobody whose it was."""
    call = await add_call(world, world.bakery, caller="+4930555111")
    made = await opened(world, "030 555111", contact="caller@elsewhere.example")
    assert (made["number"], made["tells_caller"], made["is_overdue"]) == ("+4930555111", True, False)
    received = datetime.fromisoformat(made["received_at"])
    assert datetime.fromisoformat(made["due_at"]) == due_at(received)
    status, calls = await api(world, "GET", f"/requests/{made['id']}/calls")
    assert (status, [one["session_id"] for one in calls["items"]]) == (200, [str(call)])
    assert (await acts(world, Tag.DSAR_QUERIED))[0].facts["found"] == 1
    status, erasing = await api(world, "POST", f"/requests/{made['id']}/erase", body={"all": True})
    assert (status, erasing["erasure"]["calls"], erasing["erasure"]["calls_done"]) == (202, 1, 0)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        assert not await store.keys.data_keys(store, (call,)), "from then on nobody can read it"
    assert (await api(world, "GET", f"/requests/{made['id']}/receipt"))[0] == 409
    await finish(world, erasing)
    _, closed = await api(world, "GET", f"/requests/{made['id']}")
    assert (closed["outcome"], closed["number"], closed["erasure"]["calls_done"]) == ("fulfilled", None, 1)
    status, receipt = await api(world, "GET", f"/requests/{made['id']}/receipt")
    keys = await public_keys(world.services.database, world.bakery.tenant_id)
    assert status == 200
    assert problems_of(receipt, keys) == ()
    assert receipt["sessions"] == 1
    assert "555111" not in json.dumps(receipt)
    _, progress = await api(world, "GET", f"/erasures/{erasing['erasure_id']}")
    assert (progress["calls_done"], progress["by"]["kind"]) == (1, "key")
    status, of_erasure = await api(world, "GET", f"/erasures/{erasing['erasure_id']}/receipt")
    assert (status, problems_of(of_erasure, keys)) == (200, ())


async def copied(world: World, request: Any) -> str:
    """Ask for a copy, and let the job run that makes it; its id."""
    status, asked = await api(world, "POST", f"/requests/{request['id']}/copy", "olga")
    assert (status, asked["made_at"], asked["by"]["name"]) == (202, None, "olga@bakery.example")
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        found = await copies.find_copy(store, UUID(request["id"]), datetime.now(UTC))
    assert found is not None
    await make_copy(job(world, copies.MAKE_TASK, copy_id=str(found.id)))
    return str(found.id)


async def test_a_copy_has_everything_and_can_be_had_again_for_a_day(world: World) -> None:
    """It is made by a job, lies sealed, is whole each time; who took it is known, and after a day it is gone."""
    call = await add_call(world, world.bakery, caller="+4930555222")
    made = await opened(world, "+4930555222", wish="access")
    place = f"/requests/{made['id']}"
    assert (await api(world, "GET", f"{place}/copy"))[0] == 404
    before = len(await acts(world, Tag.DSAR_EXPORTED))
    assert (await send(world, f"{place}/copy", {}))[0] == 303
    assert (await api(world, "GET", f"{place}/copy/file", "olga"))[0] == 409
    assert "The copy is being made" in (await look(world, place))[1]
    copy_id = await copied(world, made)
    _, shown = await api(world, "GET", f"{place}/copy")
    assert (shown["calls"], shown["calls_done"]) == (1, 1)
    assert datetime.fromisoformat(shown["ends_at"]) - datetime.fromisoformat(shown["made_at"]) == timedelta(days=1)
    assert "Download it" in (await look(world, f"{place}/copy/progress"))[1]
    for _ in range(2):
        status, content = await api(world, "GET", f"{place}/copy/file", "olga")
        assert status == 200
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            folder = f"calls/{call}"
            assert len(archive.read(f"{folder}/recording.wav")) > 60 * 8000 * 2 * 2
            assert "Anna Schmidt" in archive.read(f"{folder}/call.json").decode()
            assert json.loads(archive.read("manifest.json"))["calls"] == 1
    (act, *_) = logged = await acts(world, Tag.DSAR_EXPORTED)
    assert len(logged) == before + 1
    assert (act.actor.kind, act.actor.id) == ("user", str(world.people["olga"].user_id))
    assert act.personal == {"number": "+4930555222"}
    taken = [one for one in await acts(world, Tag.DSAR_COPY_TAKEN) if one.objects == {"case": made["id"]}]
    assert len(taken) == 2
    name = copies.blob_name(world.bakery.tenant_id, UUID(copy_id))
    assert b"Anna" not in world.services.blobs.read_at(name, 0, 10_000_000)
    try:
        world.clock.ahead_s = 86_401
        assert (await api(world, "GET", f"{place}/copy"))[0] == 404
        assert (await api(world, "GET", f"{place}/copy/file"))[0] == 409
    finally:
        world.clock.ahead_s = 0
    await copies.forget(job(world, copies.FORGET_TASK, copy_id=copy_id))
    assert (await api(world, "GET", f"{place}/copy"))[0] == 404
    with pytest.raises(BlobMissingError):
        world.services.blobs.size(name)


@pytest.mark.parametrize("how", ["erased", "closed"])
async def test_a_copy_goes_with_what_is_in_it(world: World, how: str) -> None:
    """Once a call of the caller is erased, or the request closed, nobody can read the copy; a late job leaves none."""
    number = "+4930555266" if how == "erased" else "+4930555277"
    call = await add_call(world, world.bakery, caller=number)
    made = await opened(world, number, wish="access")
    place = f"/requests/{made['id']}"
    copy_id = await copied(world, made)
    if how == "erased":
        assert (await api(world, "POST", "/sessions/erase", body={"session_ids": [str(call)]}))[0] == 202
    else:
        assert (await api(world, "POST", f"{place}/close", body={"outcome": "fulfilled"}))[0] == 200
    assert (await api(world, "GET", f"{place}/copy"))[0] == 404
    assert (await api(world, "GET", f"{place}/copy/file"))[0] == 409
    await make_copy(job(world, copies.MAKE_TASK, copy_id=copy_id))
    await copies.forget(job(world, copies.FORGET_TASK, copy_id=copy_id))
    with pytest.raises(BlobMissingError):
        world.services.blobs.size(copies.blob_name(world.bakery.tenant_id, UUID(copy_id)))


async def test_whoever_has_a_role_on_a_project_sees_its_requests_only(world: World) -> None:
    """An editor reads those about their project, finds none about all of it, and answers none."""
    about_project = await opened(world, "+4930555333", project_id=str(world.bakery.project_id))
    about_other = await opened(world, "+4930555333", project_id=str(world.bakery_second.project_id))
    about_all = await opened(world, "+4930555333")
    status, found = await api(world, "GET", "/requests", "edgar", limit=200)
    ids = {one["id"] for one in found["items"]}
    assert status == 200
    assert about_project["id"] in ids
    assert not ids & {about_other["id"], about_all["id"]}
    for request, status in ((about_project, 200), (about_other, 404), (about_all, 404)):
        assert (await api(world, "GET", f"/requests/{request['id']}", "edgar"))[0] == status
    wish = {"number": "+4930555333", "wish": "access", "project_id": str(world.bakery.project_id)}
    assert (await api(world, "POST", "/requests", "edgar", wish))[0] == 403
    assert (await api(world, "GET", f"/requests/{about_all['id']}", "stan"))[0] == 404
    assert (await api(world, "GET", "/requests", "vera"))[0] == 403
    search = {"number": "+4930555333"}
    status, refused = await api(world, "POST", "/requests/search", "edgar", search)
    assert (status, refused["field"]) == (422, "project_id")
    assert (await api(world, "GET", "/requests/contact", "edgar"))[0] == 403


async def test_what_is_wrong_is_named_and_never_repeated(world: World) -> None:
    """A number that is none, an address that is none, a moment to come, a project of somebody else: 422 or 404."""
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for more, field in (
        ({"number": "0000canary"}, "number"),
        ({"contact": "canary"}, "contact"),
        ({"received_at": later}, "received_at"),
        ({"wish": "tea"}, "wish"),
    ):
        wish = {"number": "+4930555444", "wish": "access", **more}
        status, refused = await api(world, "POST", "/requests", body=wish)
        assert (status, refused["field"]) == (422, field)
        assert "canary" not in json.dumps(refused)
    wish = {"number": "+4930555444", "wish": "access", "project_id": str(world.stranger.project_id)}
    assert (await api(world, "POST", "/requests", body=wish))[0] == 404


async def test_only_the_callers_own_calls_can_be_erased_and_none_that_is_held(world: World) -> None:
    """A call of somebody else is refused by name of the field; a hold stops all of it, and says which."""
    own = await add_call(world, world.bakery, caller="+4930555555")
    other = await add_call(world, world.bakery, caller="+4930555666")
    made = await opened(world, "+4930555555")
    erase = f"/requests/{made['id']}/erase"
    status, refused = await api(world, "POST", erase, body={"session_ids": [str(own), str(other)]})
    assert (status, refused["field"]) == (422, "session_ids")
    for unclear in ({}, {"all": True, "session_ids": [str(own)]}):
        assert (await api(world, "POST", erase, body=unclear))[0] == 422
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        hold = await place_hold(
            store,
            project_id=world.bakery.project_id,
            session_id=own,
            reason="1 O 23/26",
            expires_at=datetime.now(UTC) + timedelta(days=9),
            actor=OPERATOR,
        )
    status, refused = await api(world, "POST", erase, body={"all": True})
    assert (status, str(hold.id) in refused["remedy"]) == (409, True)
    status, closed = await api(world, "POST", f"/requests/{made['id']}/close", body={"outcome": "kept_for_claims"})
    assert (status, closed["outcome"]) == (200, "kept_for_claims")
    assert (await api(world, "POST", erase, body={"all": True}))[0] == 409
    assert (await api(world, "GET", f"/requests/{made['id']}/calls"))[0] == 409


async def test_pages_lead_from_the_list_to_the_receipt(world: World) -> None:
    """Forms come back with what is wrong; nothing is erased without the typed word; progress and receipt are shown."""
    call = await add_call(world, world.bakery, caller="+4930555777")
    status, text, _ = await send(world, "/requests", {"number": "12", "wish": "erasure"})
    assert status == 422
    assert 'aria-invalid="true"' in text
    status, _, where = await send(
        world, "/requests", {"number": "030 555777", "wish": "erasure", "received_on": "", "contact": ""}
    )
    assert status == 303
    path = where.removeprefix(world.tenant)
    status, text = await look(world, path)
    assert (status, f'value="{call}"' in text) == (200, True)
    assert "+49 30 555777" in text
    status, text, _ = await send(world, f"{path}/erase", {"all": "yes"})
    assert (status, 'name="confirmation"' in text) == (200, True)
    status, text, _ = await send(world, f"{path}/erase", {"all": "yes", "confirmation": "yes"})
    assert (status, "This is not what was asked for" in text) == (422, True)
    status, text, _ = await send(world, f"{path}/erase", {})
    assert (status, "No call was chosen" in text) == (422, True)
    status, _, where = await send(world, f"{path}/erase", [("session_ids", str(call)), ("confirmation", "erase")])
    assert (status, where) == (303, world.tenant + path)
    status, text = await look(world, path)
    assert (status, "<progress" in text) == (200, True)
    _, found = await api(world, "GET", path)
    await finish(world, found)
    status, text = await look(world, path)
    assert (status, "Download the receipt" in text) == (200, True)
    assert "555777" not in text
    status, text = await look(world, f"{path}/receipt")
    assert json.loads(text)["outcome"] == "fulfilled"


async def test_a_search_shows_calls_and_no_address_holds_the_number(world: World) -> None:
    """What was typed goes in a body only; whoever has never called is found nothing of."""
    call = await add_call(world, world.bakery, caller="+4930555888")
    status, text, _ = await send(world, "/requests/search", {"number": "030 555888", "project_id": ""})
    assert (status, str(call) in text) == (200, True)
    assert "?number" not in text
    status, text, _ = await send(world, "/requests/search", {"number": "030 999888", "project_id": ""}, "olga")
    assert (status, "No calls of this number" in text) == (200, True)
    status, text, _ = await send(world, "/requests/search", {"number": "nobody"})
    assert (status, "That is no telephone number" in text) == (422, True)


async def test_the_list_is_paged_filtered_and_exported_without_numbers(world: World) -> None:
    """Two pages have everything once; the CSV file has each request and nobody's number."""
    made = {(await opened(world, f"+49305559{n:02}"))["id"] for n in range(3)}
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        status, found = await api(world, "GET", "/requests", limit=2, **cursor)
        assert status == 200
        seen += [one["id"] for one in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = {"cursor": found["next_cursor"]}
    assert len(seen) == len(set(seen))
    assert made <= set(seen)
    assert (await look(world, "/requests?state=open&project_id=&limit=2"))[0] == 200
    rows = await rows_of(world, "/requests.csv?state=all")
    assert made <= {row[0] for row in rows}
    assert "4930555" not in str(rows)


async def test_somebody_is_told_of_requests(world: World) -> None:
    """The address can be set and read; what is none is refused."""
    status, _, where = await send(world, "/requests/contact", {"address": "privacy@bakery.example"})
    assert (status, where) == (303, f"{world.tenant}/requests")
    assert (await api(world, "GET", "/requests/contact"))[1] == {"address": "privacy@bakery.example"}
    status, refused = await api(world, "PUT", "/requests/contact", body={"address": "nobody"})
    assert (status, refused["field"]) == (422, "address")

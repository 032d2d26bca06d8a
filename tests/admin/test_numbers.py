"""Numbers through the admin: added as people write them, tested, changed, removed, and why calls were refused."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from policies.audit_tags import OPERATOR, Tag
from store import scenarios
from store.audit.log import entries
from store.settings import StoreSettings
from tests.admin.switchboard import Switchboard, open_switchboard
from tests.admin.world import add_call
from tests.database import open_folder

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board(world_settings: StoreSettings) -> AsyncIterator[Switchboard]:
    """The admin, a desk and an edge."""
    with open_folder() as folder:
        async with open_switchboard(world_settings, folder) as opened:
            yield opened


async def added(board: Switchboard, called: str, **more: object) -> tuple[int, Any]:
    """A number of the Bakery's first receptionist."""
    shop = board.world.bakery
    body = {"project_id": str(shop.project_id), "scenario_id": str(shop.scenario_id), "called": called, **more}
    return await board.api("POST", "/numbers", body)


async def number_of(board: Switchboard, called: str) -> Any:
    """The number as the list shows it."""
    _, listed = await board.api("GET", "/numbers", limit=200)
    return next(one for one in listed["items"] if one["called"] == called)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("+49 30 2312 5101", "+493023125101"),
        ("030 23125102", "+493023125102"),
        ("0049 (30) 23125103", "+493023125103"),
        ("tel:+493023125104", "+493023125104"),
        ("Reception", "reception"),
        ("sip:desk@anything", "desk"),
    ],
)
async def test_numbers_are_taken_as_people_write_them(board: Switchboard, written: str, stored: str) -> None:
    """The number is kept as E.164 or as the user of a SIP address, and answered from then on."""
    status, made = await added(board, written, label=" Front ")
    assert (status, made["called"], made["label"]) == (201, stored, "Front")
    assert (await board.planned(stored)).called == stored


@pytest.mark.parametrize("written", ["030", "+49 30", "12345", "no spaces here", "a/b", "🙂", " "])
async def test_what_is_no_number_is_refused(board: Switchboard, written: str) -> None:
    """422 names the field and what to write instead."""
    status, problem = await added(board, written)
    assert (status, problem["field"]) == (422, "called")


async def test_a_number_rings_in_one_place_only(board: Switchboard) -> None:
    """Neither twice in a tenant nor in another one, whose it is stays unsaid; nor with a scenario of elsewhere."""
    assert (await added(board, "+493023125111"))[0] == 201
    for who in ("all", "stranger"):
        shop = board.world.bakery if who == "all" else board.world.stranger
        body = {"project_id": str(shop.project_id), "scenario_id": str(shop.scenario_id), "called": "+493023125111"}
        status, problem = await board.api("POST", "/numbers", body, who=who)
        assert (status, problem["field"]) == (409, "called")
        assert "Bakery" not in str(problem)
    shop, other = board.world.bakery, board.world.bakery_second
    body = {"project_id": str(shop.project_id), "scenario_id": str(other.scenario_id), "called": "+493023125112"}
    status, problem = await board.api("POST", "/numbers", body)
    assert (status, problem["field"]) == (422, "scenario_id")


async def test_a_number_is_changed_and_removed(board: Switchboard) -> None:
    """The next call gets the other scenario; afterwards nobody answers; the log has each step."""
    _, made = await added(board, "+493023125121")
    async with board.database.tenant(board.world.bakery.tenant_id) as store:
        content = scenarios.Scenario(name="Night", instructions="It is night.")
        night = await scenarios.create(store, project_id=board.world.bakery.project_id, content=content, actor=OPERATOR)
    status, now = await board.api("PATCH", f"/numbers/{made['id']}", {"scenario_id": str(night.scenario_id)})
    assert (status, now["label"]) == (200, made["label"])
    assert (await board.planned("+493023125121")).instructions == "It is night."
    foreign = {"scenario_id": str(board.world.bakery_second.scenario_id)}
    assert (await board.api("PATCH", f"/numbers/{made['id']}", foreign))[0] == 422
    assert (await board.api("DELETE", f"/numbers/{made['id']}"))[0] == 204
    assert (await board.api("GET", f"/numbers/{made['id']}"))[0] == 404
    assert (await board.api("DELETE", f"/numbers/{made['id']}"))[0] == 404
    async with board.database.tenant(board.world.bakery.tenant_id) as store:
        tags = [entry.tag for entry in reversed(await entries(store, about=made["id"]))]
    assert tags == [Tag.NUMBER_ADDED, Tag.NUMBER_CHANGED, Tag.NUMBER_REMOVED]


async def test_the_test_says_what_a_caller_would_meet(board: Switchboard) -> None:
    """Answered with a published scenario, refused without, and no call is left behind by asking."""
    good = await number_of(board, board.world.bakery.called)
    _, before = await board.api("GET", "/sessions")
    assert await board.api("POST", f"/numbers/{good['id']}/test") == (
        200,
        {"answered": True, "status": 200, "reason": ""},
    )
    body = {"project_id": str(board.world.bakery.project_id), "content": {"name": "Draft", "instructions": "Later."}}
    _, draft = await board.api("POST", "/scenarios", body)
    _, made = await added(board, "+493023125131", scenario_id=draft["id"])
    _, verdict = await board.api("POST", f"/numbers/{made['id']}/test")
    assert verdict == {"answered": False, "status": 404, "reason": "no scenario is published for this number"}
    assert (await board.api("GET", "/sessions"))[1] == before
    status, location, _ = await board.send(f"/numbers/{made['id']}/test", {})
    assert status == 303
    assert location.endswith("/numbers")


async def test_the_last_call_and_the_last_refusal_stand_beside_the_number(board: Switchboard) -> None:
    """A call that was refused at the edge is told in plain words to whose number it was for, and to nobody else."""
    number = await number_of(board, board.world.bakery_second.called)
    assert number["last_call"] is None
    session_id = await add_call(board.world, board.world.bakery_second)
    assert (await number_of(board, number["called"]))["last_call"]["session_id"] == str(session_id)
    stranger = await board.edge.udp(source="127.0.0.9")
    board.edge.edge.drain(7)
    try:
        stranger.send(stranger.request("INVITE", f"sip:{number['called']}@x"))
        assert (await stranger.get()).status == 503
    finally:
        board.edge.edge._exchange.draining_retry_s = None
    refusal = (await number_of(board, number["called"]))["last_refusal"]
    assert (refusal["status"], refusal["source"], refusal["called"]) == (503, "udp 127.0.0.9", [number["called"]])
    assert refusal["meaning"] == "The server was being stopped or started again."
    other = await number_of(board, board.world.bakery.called)
    assert other["last_refusal"] is None
    _, theirs = await board.api("GET", "/numbers", who="stranger")
    assert all(one["last_refusal"] is None for one in theirs["items"])
    status, text = await board.page(f"/numbers/{number['id']}")
    assert status == 200
    assert "The server was being stopped or started again." in text


async def test_pages_add_change_and_remove(board: Switchboard) -> None:
    """By plain forms; what is wrong stands beside its field; removing asks for the number to be typed."""
    shop = board.world.bakery
    status, text = await board.page("/numbers")
    assert status == 200
    form = {"scenario_id": str(shop.scenario_id), "called": "nonsense!", "label": "By hand"}
    status, _, text = await board.send("/numbers", form)
    assert status == 422
    assert 'id="called-error"' in text
    assert "By hand" in text
    assert (await board.send("/numbers", {**form, "called": "030 23125141"}))[0] == 303
    made = await number_of(board, "+493023125141")
    here = f"/numbers/{made['id']}"
    assert (await board.send(here, {"scenario_id": str(shop.scenario_id), "label": "Else"}))[0] == 303
    assert (await number_of(board, "+493023125141"))["label"] == "Else"
    status, text = await board.page(f"{here}/remove")
    assert "+493023125141" in text
    assert (await board.send(f"{here}/remove", {"confirmation": "yes"}))[0] == 422
    assert (await board.api("GET", f"/numbers/{made['id']}"))[0] == 200
    assert (await board.send(f"{here}/remove", {"confirmation": "+493023125141"}))[0] == 303
    assert (await board.api("GET", f"/numbers/{made['id']}"))[0] == 404
    _, table = await board.page("/numbers.csv")
    assert shop.called in table


async def test_each_sees_the_numbers_of_their_projects(board: Switchboard) -> None:
    """An editor and a viewer of one receptionist see its numbers only; a stranger none."""
    for who in ("edgar", "vera"):
        _, seen = await board.api("GET", "/numbers", who=who, limit=200)
        assert {one["project_id"] for one in seen["items"]} == {str(board.world.bakery.project_id)}
    second = await number_of(board, board.world.bakery_second.called)
    for who, status in (("edgar", 404), ("stan", 404), ("ada", 200)):
        assert (await board.api("GET", f"/numbers/{second['id']}", who=who))[0] == status
    first = await number_of(board, board.world.bakery.called)
    assert (await board.api("DELETE", f"/numbers/{first['id']}", who="vera"))[0] == 403


async def test_the_list_comes_in_pages(board: Switchboard) -> None:
    """Walking it by cursor gives every number once, in order."""
    _, whole = await board.api("GET", "/numbers", limit=200)
    walked: list[str] = []
    cursor = {}
    while True:
        _, found = await board.api("GET", "/numbers", limit=2, **cursor)
        walked += [one["called"] for one in found["items"]]
        if found["next_cursor"] is None:
            break
        cursor = {"cursor": found["next_cursor"]}
    assert walked == sorted(one["called"] for one in whole["items"])

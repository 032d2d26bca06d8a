"""Overview, the list of calls, and a call, as pages."""

import csv
import io
import re
from uuid import UUID

import pytest

from policies.audit_tags import OPERATOR, Tag
from store import projects
from store.audit.log import entries
from store.erasure.sessions import carry_out
from store.projects import Changes
from tests.admin.whole_call import WORDING, add_whole_call
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def look(world: World, path: str, who: str = "olga", *, status: int = 200) -> str:
    """What stands on a page of the Bakery."""
    async with world.client.get(
        f"{world.tenant}{path}", headers={**world.browser(who), "Accept": "text/html"}, allow_redirects=False
    ) as answer:
        assert answer.status == status, await answer.text()
        return await answer.text()


async def send(world: World, path: str, fields: list[tuple[str, str]], who: str = "olga") -> tuple[int, str, str]:
    """Status, where to go next, and text after posting a form."""
    async with world.client.post(
        f"{world.tenant}{path}", data=fields, headers=world.browser(who), allow_redirects=False
    ) as answer:
        return answer.status, answer.headers.get("Location", ""), await answer.text()


async def test_empty_pages_say_what_to_do_next(world: World) -> None:
    """Before the first call the overview tells how to make one, and the list leads there."""
    text = await look(world, "/?project_id=" + str(world.bakery_second.project_id))
    assert "Make the first call" in text
    assert f"{world.tenant}/try" in text
    text = await look(world, "/calls?project_id=" + str(world.bakery_second.project_id))
    assert "No such call" in text


async def test_the_list_shows_calls_with_what_became_of_them(world: World) -> None:
    """Caller, outcome, length and consent; each leads to its call."""
    call = await add_whole_call(world, world.bakery, caller="+4930111111")
    missed = await add_whole_call(world, world.bakery, caller=None, heard=False, recorded=False)
    text = await look(world, "/calls")
    assert f'href="{world.tenant}/calls/{call}"' in text
    assert f'href="{world.tenant}/calls/{missed}"' in text
    assert "+49 30 111111" in text
    assert "withheld" in text
    assert "Missed" in text
    assert "0:30" in text


async def test_the_list_is_found_by_a_number_as_people_type_it(world: World) -> None:
    """In the field over the list, whose content stays there; what is no number is said beside it."""
    await add_whole_call(world, world.bakery, caller="+4930222222")
    text = await look(world, "/calls?caller=030+222222")
    assert text.count("+49 30 222222") == 1
    assert 'value="030 222222"' in text
    text = await look(world, "/calls?caller=nobody", status=422)
    assert 'aria-invalid="true"' in text
    assert "country code" in text


@pytest.mark.parametrize("query", ["since=yesterday", "outcome=lost", "project_id=1", "cursor=x", "recorded=maybe"])
async def test_a_filter_that_means_nothing_is_a_page_that_says_so(world: World, query: str) -> None:
    """422 with the field, never a failure."""
    assert query.partition("=")[0] in await look(world, f"/calls?{query}", status=422)


async def test_the_next_page_keeps_the_filters(world: World) -> None:
    """The link carries them along, and the page after the last has none."""
    for _ in range(3):
        await add_whole_call(world, world.bakery, caller="+4930333333")
    text = await look(world, "/calls?caller=%2B4930333333&limit=2")
    (following,) = re.findall(r'href="([^"]+)" rel="next"', text)
    assert "caller=%2B4930333333" in following
    text = await look(world, following.replace("&amp;", "&").removeprefix(world.tenant))
    assert text.count("+49 30 333333") == 1
    assert 'rel="next"' not in text


async def test_the_list_as_a_file_is_what_the_filters_leave_and_is_written_down(world: World) -> None:
    """One line a call, with the number; the log has who took it and which fields narrowed it, not what they held."""
    call = await add_whole_call(world, world.bakery, caller="+4930444444")
    text = await look(world, "/calls.csv?caller=%2B4930444444")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [(row["id"], row["caller"], row["outcome"], row["duration_s"]) for row in rows] == [
        (str(call), "'+4930444444", "answered", "30.0")
    ]
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        (act, *_) = await entries(store, tag=Tag.SESSIONS_EXPORTED)
    assert act.actor.id == str(world.people["olga"].user_id)
    assert act.facts == {"list": act.facts["list"], "narrowed_by": ["caller"]}


async def test_a_viewer_of_one_receptionist_gets_a_file_of_its_calls_only(world: World) -> None:
    """And on the page neither the other's calls nor its name."""
    other = await add_whole_call(world, world.bakery_second)
    assert str(other) not in await look(world, "/calls.csv", "vera")
    text = await look(world, "/calls", "vera")
    assert str(other) not in text
    assert "Café" not in text
    await look(world, f"/calls/{other}", "vera", status=404)


async def test_a_call_shows_everything_about_it(world: World) -> None:
    """Sound, words, consent, tools, waits, the line, SIP, cost, where data went; and markup in words stays text."""
    call = await add_whole_call(world, world.bakery)
    text = await look(world, f"/calls/{call}")
    for shown in (
        "+49 30 901820",
        "&lt;b&gt;Brot&lt;/b&gt;",
        "interrupted",
        WORDING,
        "sample 33\u202f000",
        "opening_hours",
        "Anna Schmidt",
        "INVITE",
        "left the EU",
        "api.openai.com",
        "4.21",
        "15 of 1\u202f500 packets (1.0 %)",
        "unknown",
        "Answer to first sound",
        "Bitte rufen Sie zurück.",
        f"/api/v1/sessions/{call}/recording?tenant_id={world.bakery.tenant_id}",
    ):
        assert shown in text, shown
    assert "<b>Brot" not in text
    assert 'data-seek="4.5"' in text  # 5 s after the answer, of a recording that begins half a second after it


async def test_who_listened_is_shown_to_owners(world: World) -> None:
    """By their address, after they did; others are told that owners see it."""
    call = await add_whole_call(world, world.bakery)
    assert "Nobody so far" in await look(world, f"/calls/{call}")
    headers = world.browser("vera")
    url = f"/api/v1/sessions/{call}/recording?tenant_id={world.bakery.tenant_id}"
    async with world.client.get(url, headers=headers) as answer:
        assert answer.status == 200
    text = await look(world, f"/calls/{call}")
    assert "vera@bakery.example" in text
    assert "played it" in text
    assert "Owners see who heard" in await look(world, f"/calls/{call}", "vera")


async def test_a_viewer_sees_as_much_of_a_call_as_the_project_lets_them(world: World) -> None:
    """Nothing: neither words nor player, and it says so."""
    call = await add_whole_call(world, world.bakery)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, Changes(viewers_see="none"), actor=OPERATOR)
    try:
        text = await look(world, f"/calls/{call}", "vera")
        assert "does not show its viewers" in text
        assert "Anna Schmidt" not in text
        assert "<audio" not in text
        assert "Anna Schmidt" in await look(world, f"/calls/{call}", "olga")
    finally:
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            await projects.change(store, world.bakery.project_id, Changes(viewers_see="all"), actor=OPERATOR)


@pytest.mark.parametrize("path", ["not-an-id", "01a21579-3be3-7236-ae47-fd63ef2e2042"])
async def test_a_call_that_is_not_there_is_a_page_that_says_so(world: World, path: str) -> None:
    """404."""
    assert "Not Found" in await look(world, f"/calls/{path}", status=404)


async def test_chosen_calls_are_erased_after_a_typed_word(world: World) -> None:
    """The word, then progress that lasts, then a receipt; what was not chosen stays."""
    gone = [await add_whole_call(world, world.bakery) for _ in range(2)]
    kept = await add_whole_call(world, world.bakery)
    text = await look(world, f"/calls/erase?id={gone[0]}&id={gone[1]}")
    assert "Erase 2 calls" in text
    ids = [("id", str(one)) for one in gone]
    status, _, text = await send(world, "/calls/erase", [*ids, ("confirmation", "yes")])
    assert status == 422
    assert 'aria-invalid="true"' in text
    assert "+49 30 901820" in await look(world, f"/calls/{gone[0]}")
    status, onwards, _ = await send(world, "/calls/erase", [*ids, ("confirmation", "erase")])
    assert status == 303
    path = onwards.removeprefix(world.tenant)
    assert "Nobody can read these calls any more" in await look(world, path)
    services = world.services
    await carry_out(services.database, services.blobs, world.bakery.tenant_id, UUID(path.rpartition("/")[2]))
    assert "2 calls are gone" in await look(world, path)
    assert '"proof"' in await look(world, f"{path}/receipt")
    await look(world, f"/calls/{gone[0]}", status=404)
    await look(world, f"/calls/{kept}")


async def test_erasing_is_offered_and_done_to_those_only_who_may(world: World) -> None:
    """An editor is shown no boxes to tick, and refused when asking all the same."""
    call = await add_whole_call(world, world.bakery)
    assert 'name="id"' in await look(world, "/calls")
    assert 'name="id"' not in await look(world, "/calls", "edgar")
    await look(world, f"/calls/erase?id={call}", "edgar", status=403)
    status, _, _ = await send(world, "/calls/erase", [("id", str(call)), ("confirmation", "erase")], "edgar")
    assert status == 403
    await look(world, f"/calls/{call}")


async def test_the_overview_shows_figures_and_the_last_calls(world: World) -> None:
    """With each span in a table for those who see no chart; figures lead to the calls they count."""
    call = await add_whole_call(world, world.bakery)
    for days, spans in ((1, 24), (7, 7), (30, 30)):
        text = await look(world, f"/?days={days}")
        assert f'href="{world.tenant}/calls/{call}"' in text
        assert f'href="{world.tenant}/calls?outcome=missed"' in text
        _, _, table = text.partition("As a table")
        assert table.partition("</table>")[0].count("<tr>") == spans + 1
    await look(world, "/?days=2", status=422)

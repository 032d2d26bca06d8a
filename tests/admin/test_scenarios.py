"""Scenarios through the admin: drafts, versions, comparing, what callers hear first, and the pages of all that."""

import asyncio
import io
import re
import wave
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from uuid_utils.compat import uuid7

from policies.audit_tags import Tag
from store.audit.log import entries
from store.settings import StoreSettings
from tests.admin.switchboard import Switchboard, open_switchboard
from tests.database import open_folder

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONTENT = {"name": "Evening", "instructions": "We are closed.\nTake a message."}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board(world_settings: StoreSettings) -> AsyncIterator[Switchboard]:
    """The admin, a desk and an edge."""
    with open_folder() as folder:
        async with open_switchboard(world_settings, folder) as opened:
            yield opened


async def begun(board: Switchboard, **content: object) -> Any:
    """A new scenario of the Bakery's first receptionist, drafted."""
    body = {"project_id": str(board.world.bakery.project_id), "content": {**CONTENT, **content}}
    status, made = await board.api("POST", "/scenarios", body)
    assert status == 201, made
    return made


async def published(board: Switchboard, **content: object) -> Any:
    """The same, and published."""
    made = await begun(board, **content)
    status, now = await board.api("POST", f"/scenarios/{made['id']}/publish", {"revision": made["revision"]})
    assert status == 200, now
    return now


async def saved(board: Switchboard, scenario: Any, **content: object) -> Any:
    """Its draft, changed."""
    body = {"revision": scenario["revision"], "content": {**CONTENT, **content}}
    status, now = await board.api("PUT", f"/scenarios/{scenario['id']}/draft", body)
    assert status == 200, now
    return now


async def acts(board: Switchboard, scenario_id: str) -> list[str]:
    """What the log says was done to it, oldest first."""
    async with board.database.tenant(board.world.bakery.tenant_id) as store:
        found = await entries(store, about=scenario_id)
    return [entry.tag for entry in reversed(found)]


async def test_a_draft_answers_no_call_and_what_is_published_answers_the_next(board: Switchboard) -> None:
    """A caller's plan has the published words before, while a draft lies there, and the new ones after publishing."""
    shop = board.world.bakery_second
    before = (await board.planned(shop.called)).instructions
    _, scenario = await board.api("GET", f"/scenarios/{shop.scenario_id}")
    scenario = await saved(board, scenario, instructions="We sell bread. Only bread.")
    assert (await board.planned(shop.called)).instructions == before
    status, now = await board.api("POST", f"/scenarios/{shop.scenario_id}/publish", {"revision": scenario["revision"]})
    assert (status, now["published_version"], now["draft"]) == (200, 2, None)
    assert (await board.planned(shop.called)).instructions == "We sell bread. Only bread."
    assert await acts(board, str(shop.scenario_id)) == [
        Tag.SCENARIO_PUBLISHED, Tag.SCENARIO_DRAFTED, Tag.SCENARIO_PUBLISHED,
    ]  # fmt: skip  # as they happened


async def test_of_two_who_write_at_once_one_is_told(board: Switchboard) -> None:
    """Both read the same revision: one save is kept, the other answered 409 with what to do, and nothing is lost."""
    scenario = await begun(board)
    body = {"revision": scenario["revision"], "content": CONTENT}
    answers = await asyncio.gather(
        *(board.api("PUT", f"/scenarios/{scenario['id']}/draft", {**body, "content": {**CONTENT, "opening": word}})
          for word in ("one", "two", "three"))
    )  # fmt: skip  # one call each
    assert sorted(status for status, _ in answers) == [200, 409, 409]
    refused = next(answer for status, answer in answers if status == 409)
    assert refused["field"] == "revision"
    assert "Read it again" in refused["remedy"]
    kept = next(answer for status, answer in answers if status == 200)
    _, now = await board.api("GET", f"/scenarios/{scenario['id']}")
    assert now["draft"]["content"] == kept["draft"]["content"]
    for method, path, stale in (
        ("POST", "publish", {"revision": scenario["revision"]}),
        ("POST", "rollback", {"revision": scenario["revision"], "version": 1}),
    ):
        status, _ = await board.api(method, f"/scenarios/{scenario['id']}/{path}", stale)
        assert status in {409, 422}, path
    assert (await board.api("GET", f"/scenarios/{scenario['id']}"))[1] == now


async def test_going_back_publishes_an_old_version_as_a_new_one(board: Switchboard) -> None:
    """Versions stay as they were; the list tells who, when and from which."""
    scenario = await saved(board, await published(board), instructions="Second.")
    _, scenario = await board.api("POST", f"/scenarios/{scenario['id']}/publish", {"revision": scenario["revision"]})
    wanted = {"revision": scenario["revision"], "version": 1}
    status, now = await board.api("POST", f"/scenarios/{scenario['id']}/rollback", wanted)
    assert (status, now["published_version"]) == (200, 3)
    assert now["published"]["instructions"] == CONTENT["instructions"]
    _, versions = await board.api("GET", f"/scenarios/{scenario['id']}/versions")
    assert [(one["version"], one["copy_of"], one["is_current"]) for one in versions["items"]] == [
        (3, 1, True), (2, None, False), (1, None, False),
    ]  # fmt: skip  # newest first
    assert {one["by"]["kind"] for one in versions["items"]} == {"key"}
    assert {one["by"]["name"] for one in versions["items"]} == {"Of a test"}
    assert await acts(board, scenario["id"]) == [
        Tag.SCENARIO_DRAFTED, Tag.SCENARIO_PUBLISHED, Tag.SCENARIO_DRAFTED, Tag.SCENARIO_PUBLISHED,
        Tag.SCENARIO_ROLLED_BACK,
    ]  # fmt: skip  # as they happened
    status, first = await board.api("GET", f"/scenarios/{scenario['id']}/versions", limit=2)
    _, rest = await board.api("GET", f"/scenarios/{scenario['id']}/versions", cursor=first["next_cursor"])
    assert [one["version"] for one in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None


async def test_a_difference_reads_line_by_line(board: Switchboard) -> None:
    """One changed line of the instructions is one line less and one more; the same wording differs by nothing."""
    scenario = await saved(board, await published(board), instructions="We are open.\nTake a message.")
    _, found = await board.api("GET", f"/scenarios/{scenario['id']}/diff")
    lines = found["diff"].splitlines()[2:]
    assert [line for line in lines if line[0] in "+-"] == ["-We are closed.", "+We are open."]
    _, same = await board.api("GET", f"/scenarios/{scenario['id']}/diff", old=1, new="published")
    assert same["diff"] == ""
    status, _ = await board.api("GET", f"/scenarios/{scenario['id']}/diff", old=9)
    assert status == 404


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ({"instructions": ""}, "content.instructions"),
        ({"model": {"speed": 9}}, "content.model.speed"),
        ({"misspelt": 1}, "content"),
        ({"transfers": [{"id": "a", "label": "A", "uri": "http://x"}]}, "content.transfers[0].uri"),
        ({"transfers": [{"id": "a", "label": "A", "uri": "tel:+491\n"}]}, "content.transfers[0].uri"),
        ({"fallback": {"action": "transfer", "target_id": "nobody"}}, "content"),
        ({"opening": "a\0b"}, "content.opening"),
        ({"tools": ["transfer"]}, "content"),
    ],
)
async def test_what_is_wrong_is_named(board: Switchboard, content: dict[str, object], field: str) -> None:
    """422 with the field, and nothing is made."""
    body = {"project_id": str(board.world.bakery.project_id), "content": {**CONTENT, "name": "Wrong", **content}}
    status, problem = await board.api("POST", "/scenarios", body)
    assert (status, problem["field"]) == (422, field)
    _, listed = await board.api("GET", "/scenarios", limit=200)
    assert "Wrong" not in {one["name"] for one in listed["items"]}


async def test_a_project_of_nobody_or_of_others_gets_no_scenario(board: Switchboard) -> None:
    """An owner is told that there is none; an editor of one project finds no other."""
    for project_id, who, status in (
        (uuid7(), "all", 422),
        (board.world.stranger.project_id, "all", 422),
        (board.world.bakery_second.project_id, "edgar", 404),
        (board.world.bakery.project_id, "vera", 403),
    ):
        body = {"project_id": str(project_id), "content": CONTENT}
        assert (await board.api("POST", "/scenarios", body, who=who))[0] == status, who
    for shop, who, status in (
        (board.world.bakery, "stan", 404),
        (board.world.bakery_second, "vera", 404),
        (board.world.bakery, "vera", 200),
    ):
        assert (await board.api("GET", f"/scenarios/{shop.scenario_id}", who=who))[0] == status, who
    _, seen = await board.api("GET", "/scenarios", who="vera", limit=200)
    assert {one["project_id"] for one in seen["items"]} == {str(board.world.bakery.project_id)}


async def test_the_law_speaks_beside_the_wording(board: Switchboard) -> None:
    """For a German number consent is asked and the AI disclosed, with the statute; words without AI are replaced."""
    shop = board.world.bakery
    _, report = await board.api("GET", f"/scenarios/{shop.scenario_id}/disclosure")
    case = next(one for one in report["cases"] if one["caller"] == "same_place")
    assert (case["called"], case["jurisdictions"]) == (shop.called, ["DE"])
    assert (case["asks_consent"], case["discloses_ai"], case["ai_disclosure_required"]) == (True, True, True)
    assert any("201" in law["statute"] for law in case["laws"])
    assert "KI-Assistenten von Bakery" in case["says"]
    withheld = next(one for one in report["cases"] if one["caller"] == "withheld")
    assert withheld["jurisdictions"] == ["DE", "unknown"]
    assert {one["language"] for one in report["wordings"]} >= {"de", "en", "fr", "es", "it", "nl", "pl", "pt"}
    hiding = await begun(board, consent={"disclosure": "Hier ist {business}."})
    _, told = await board.api("GET", f"/scenarios/{hiding['id']}/disclosure", of="draft")
    assert told["own_words_say_ai"] is False
    assert not any(one["says_own_words"] for one in told["cases"])
    honest = await begun(board, consent={"disclosure": "Hier ist die KI von {business}."})
    _, told = await board.api("GET", f"/scenarios/{honest['id']}/disclosure", of="draft")
    assert told["cases"][0]["says"].startswith("Hier ist die KI von Bakery.")


async def test_a_sentence_can_be_heard_before_it_is_published(board: Switchboard) -> None:
    """Each language and sentence sounds, as a WAV that every browser plays, and other words sound otherwise."""
    scenario = await begun(board, consent={
        "disclosure": "Hier ist die KI von {business}. Schön, dass Sie anrufen.",
        "question": "Dürfen wir das Gespräch aufzeichnen, ja oder nein?",
    })  # fmt: skip  # two sentences
    heard: set[bytes] = set()
    for query in (
        {"said": "disclosure"}, {"said": "disclosure_recorded"}, {"said": "consent_question"},
        {"said": "disclosure", "language": "en"},
    ):  # fmt: skip  # what is asked for
        status, sound = await board.api("GET", f"/scenarios/{scenario['id']}/speech", of="draft", **query)
        assert status == 200, sound
        with wave.open(io.BytesIO(sound)) as file:
            assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
            assert 1.0 < file.getnframes() / 8000 < 20.0
        heard.add(sound)
    assert len(heard) == 4
    status, _ = await board.api("GET", f"/scenarios/{scenario['id']}/speech")
    assert status == 404  # nothing is published


FORM = {
    "name": "By hand", "instructions": "One.\r\nTwo.", "opening": "", "language": "", "model.voice": "",
    "model.name": "", "model.speed": "1.0", "consent.disclosure": "", "consent.question": "",
    "consent.disclose_ai": "on", "recording.audio": "on", "recording.transcript": "on",
    "consent.on_refusal": "go_on_unrecorded", "consent.answer_seconds": "8", "fallback.action": "take_message",
    "fallback.target_id": "", "limits.max_seconds": "600", "limits.idle_prompt_seconds": "20", "other_tools": "",
    "transfers.0.id": "", "transfers.0.label": "", "transfers.0.uri": "",
}  # fmt: skip  # as the page sends it


async def test_a_scenario_is_written_and_published_in_the_browser(board: Switchboard) -> None:
    """Begun, changed, published and gone back from by plain forms; each page shows what it was told."""
    place = "/scenarios"
    form = {"project_id": str(board.world.bakery.project_id), "name": "By hand", "instructions": "One."}
    status, location, _ = await board.send(place, form)
    assert status == 303
    scenario_id = UUID(location.rpartition("/")[2])
    here = f"{place}/{scenario_id}"
    status, text = await board.page(here)
    assert status == 200
    assert "Answers no calls yet" in text
    ticked = {re.search(r'name="([^"]+)" value="([^"]+)" checked\s', box) for box in re.findall(r"<input[^>]*>", text)}
    assert {found.groups() for found in ticked if found} == {
        ("consent.disclose_ai", "on"), ("recording.audio", "on"), ("recording.transcript", "on"),
        ("tools", "take_message"), ("tools", "hang_up"),
    }  # fmt: skip  # by name and value
    revision = str((await board.api("GET", f"/scenarios/{scenario_id}"))[1]["revision"])
    typed = [*{**FORM, "revision": revision, "publish": "1"}.items(), ("tools", "hang_up"), ("tools", "send_dtmf")]
    status, _, text = await board.send(f"{here}/draft", typed)
    assert status == 303, text
    _, now = await board.api("GET", f"/scenarios/{scenario_id}")
    assert now["published"] == {
        "name": "By hand", "instructions": "One.\nTwo.", "tools": ["hang_up", "send_dtmf"],
        "limits": {"max_seconds": 600.0},
    }  # fmt: skip  # what is not at its default
    status, text = await board.page(f"{here}/versions")
    assert "olga@bakery.example" in text
    typed[1] = ("instructions", "Three.")
    typed = [("revision", str(now["revision"])) if name == "revision" else (name, value) for name, value in typed]
    assert (await board.send(f"{here}/draft", typed))[0] == 303
    status, text = await board.page(f"{here}/versions/1")
    assert "Publish version 1 again" in text
    assert "diff-cut" in text
    _, now = await board.api("GET", f"/scenarios/{scenario_id}")
    back = {"revision": str(now["revision"]), "version": "1"}
    assert (await board.send(f"{here}/rollback", back))[0] == 303
    assert (await board.api("GET", f"/scenarios/{scenario_id}"))[1]["published_version"] == 3


async def test_what_is_wrong_stands_beside_its_field_and_nothing_typed_is_lost(board: Switchboard) -> None:
    """A bad address and a stale revision both come back with the form as it was typed."""
    scenario = await published(board)
    here = f"/scenarios/{scenario['id']}"
    wrong = {**FORM, "revision": str(scenario["revision"]), "transfers.0.id": "desk", "transfers.0.label": "Desk",
             "transfers.0.uri": "nowhere", "opening": "Typed in vain?"}  # fmt: skip  # one form
    status, _, text = await board.send(f"{here}/draft", wrong)
    assert status == 422
    assert "Write an address such as" in text
    assert 'aria-describedby="transfers.0.uri-error"' in text
    assert "Typed in vain?" in text
    await saved(board, scenario, opening="By somebody else.")
    status, _, text = await board.send(f"{here}/draft", {**wrong, "transfers.0.uri": "tel:+4930123456"})
    assert status == 409
    assert "somebody else has changed this scenario" in text
    assert "Typed in vain?" in text
    _, now = await board.api("GET", f"/scenarios/{scenario['id']}")
    assert now["draft"]["content"]["opening"] == "By somebody else."


async def test_the_whole_file_can_be_edited_and_is_checked(board: Switchboard) -> None:
    """What the page shows as a file is taken back; a misspelt key comes back with the text as it was."""
    scenario = await published(board)
    here = f"/scenarios/{scenario['id']}"
    _, wording = await board.api("GET", f"/scenarios/{scenario['id']}/wordings/published")
    more = wording["file"] + "\n[limits]\nidle_end_seconds = 33.0\n"
    form = {"revision": str(scenario["revision"]), "file": more}
    assert (await board.send(f"{here}/file", form))[0] == 303
    _, now = await board.api("GET", f"/scenarios/{scenario['id']}")
    assert now["draft"]["content"]["limits"] == {"idle_end_seconds": 33.0}
    bad = {"revision": str(now["revision"]), "file": more.replace("idle_end", "idel_end")}
    status, _, text = await board.send(f"{here}/file", bad)
    assert status == 422
    assert "idel_end_seconds" in text


async def test_a_viewer_reads_and_changes_nothing(board: Switchboard) -> None:
    """The page opens without buttons; each form is refused."""
    here = f"/scenarios/{board.world.bakery.scenario_id}"
    status, text = await board.page(here, who="vera")
    assert status == 200
    assert "Save the draft" not in text
    assert "<fieldset disabled>" in text
    for form in ("draft", "file", "publish", "discard", "rollback"):
        assert (await board.send(f"{here}/{form}", {"revision": "1"}, who="vera"))[0] == 403, form


async def test_a_draft_is_thrown_away(board: Switchboard) -> None:
    """What is published stays; without either, the scenario can be written anew."""
    scenario = await saved(board, await published(board), opening="Away with this.")
    here = f"/scenarios/{scenario['id']}"
    assert (await board.send(f"{here}/discard", {"revision": str(scenario["revision"])}))[0] == 303
    _, now = await board.api("GET", f"/scenarios/{scenario['id']}")
    assert (now["draft"], now["published_version"]) == (None, 1)
    assert (await board.api("DELETE", f"/scenarios/{scenario['id']}/draft", revision=now["revision"]))[0] == 409
    never = await begun(board)
    assert (await board.api("DELETE", f"/scenarios/{never['id']}/draft", revision=never["revision"]))[0] == 204
    assert (await board.page(f"/scenarios/{never['id']}"))[0] == 200


async def test_lists_open_filter_and_export(board: Switchboard) -> None:
    """The page, its filter by project, and the CSV name the same scenarios."""
    await published(board, name="=cmd|evil")
    status, text = await board.page("/scenarios")
    assert status == 200
    assert "=cmd|evil" in text
    _, other = await board.page(f"/scenarios?project_id={board.world.bakery_second.project_id}")
    assert "=cmd|evil" not in other
    _, table = await board.page("/scenarios.csv")
    assert "'=cmd|evil" in table
    assert (await board.page("/scenarios/new"))[0] == 200

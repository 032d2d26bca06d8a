"""Calls by the HTTP API: found, read, heard, and erased."""

import asyncio
import io
import json
import wave
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from policies.access import Scope
from policies.audit_tags import OPERATOR, Tag
from store import projects
from store.audit.log import entries
from store.erasure.holds import place_hold
from store.erasure.sessions import carry_out
from store.projects import Changes
from tests.admin.whole_call import SECONDS, STARTS_AT, WORDING, add_whole_call
from tests.admin.world import World

pytestmark = pytest.mark.asyncio(loop_scope="module")
BYTES = 44 + 8000 * SECONDS * 4


async def ask(world: World, path: str, who: str = "all", **query: object) -> tuple[int, Any]:
    """What the API answers to a key, or to a person who names the tenant."""
    fields = {name: str(value) for name, value in query.items()}
    if who not in world.keys:
        fields["tenant_id"] = str(world.bakery.tenant_id)
    async with world.client.get(f"/api/v1{path}", params=fields, headers=world.program(who)) as answer:
        return answer.status, json.loads(await answer.read())


async def listed(world: World, who: str = "all", **query: object) -> list[str]:
    """Ids of the calls that are found."""
    status, found = await ask(world, "/sessions", who, **query)
    assert status == 200, found
    return [item["id"] for item in found["items"]]


async def acts(world: World, session_id: UUID, tag: Tag) -> int:
    """How often this was done to the call, as the log of the Bakery knows."""
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        return len(await entries(store, about=str(session_id), tag=tag))


async def test_a_list_is_narrowed_by_each_of_its_fields(world: World) -> None:
    """Every filter keeps the call that it means and turns the other away."""
    first = str(await add_whole_call(world, world.bakery, caller="+4930111111"))
    second = str(
        await add_whole_call(
            world, world.bakery_second, caller="+4989222222", end_reason="line_failed", heard=False, recorded=False
        )
    )
    for query, found in (
        ({"project_id": world.bakery.project_id}, first),
        ({"project_id": world.bakery_second.project_id}, second),
        ({"scenario_id": world.bakery_second.scenario_id}, second),
        ({"outcome": "answered"}, first),
        ({"outcome": "missed"}, second),
        ({"end_reason": "line_failed"}, second),
        ({"recorded": "true"}, first),
        ({"recorded": "false"}, second),
        ({"caller": "030 111111"}, first),
        ({"caller": "+49 (89) 222222"}, second),
        ({"caller": "0049 89 222222"}, second),
    ):
        ids = await listed(world, **query)  # type: ignore[arg-type]  # strings and ids
        assert found in ids, query
        assert ({first, second} - {found}).isdisjoint(ids), query
    now = datetime.now(UTC)
    assert {first, second} <= set(await listed(world, since=(now - timedelta(hours=1)).isoformat()))
    assert await listed(world, until=(now - timedelta(hours=1)).isoformat()) == []
    assert await listed(world, state="open") == []


async def test_a_number_that_cannot_be_read_is_named(world: World) -> None:
    """422 with the field and what to write."""
    status, problem = await ask(world, "/sessions", caller="12")
    assert (status, problem["field"]) == (422, "caller")
    assert "country code" in problem["remedy"]


async def test_pages_follow_each_other_without_gap_or_repetition(world: World) -> None:
    """Two at a time, all are there once, newest first."""
    made = [str(await add_whole_call(world, world.bakery, caller="+4930333333")) for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        query = {"caller": "+4930333333", "limit": 2} | ({} if cursor is None else {"cursor": cursor})
        _, found = await ask(world, "/sessions", **query)
        seen += [item["id"] for item in found["items"]]
        cursor = found["next_cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_whoever_sees_one_project_is_told_of_no_other(world: World) -> None:
    """A viewer's list holds one receptionist's calls; a call of the other one is not there, nor its project."""
    hers = await add_whole_call(world, world.bakery)
    other = await add_whole_call(world, world.bakery_second)
    ids = await listed(world, "vera", limit=200)
    assert str(hers) in ids
    assert str(other) not in ids
    for path in ("", "/transcript", "/recording", "/recording/wave", "/consent", "/timeline", "/metrics"):
        assert (await ask(world, f"/sessions/{other}{path}", "vera"))[0] == 404, path
        assert (await ask(world, f"/sessions/{hers}{path}", "stranger"))[0] == 404, path
    assert (await ask(world, "/sessions", "vera", project_id=world.bakery_second.project_id))[0] == 404
    assert (await ask(world, f"/sessions/{hers}/transcript", "sessions"))[0] == 403


async def test_a_transcript_that_is_taken_is_written_down_once_in_ten_minutes(world: World) -> None:
    """The call's page names who took it; who is shown nothing of it has taken nothing."""
    call = await add_whole_call(world, world.bakery)
    for _ in range(2):
        assert (await ask(world, f"/sessions/{call}/transcript", "edgar"))[0] == 200
    assert await acts(world, call, Tag.TRANSCRIPT_EXPORTED) == 1
    assert (await ask(world, f"/sessions/{call}/transcript", "ada"))[0] == 200
    assert await acts(world, call, Tag.TRANSCRIPT_EXPORTED) == 2
    world.clock.ahead_s = 11 * 60
    try:
        assert (await ask(world, f"/sessions/{call}/transcript", "edgar"))[0] == 200
    finally:
        world.clock.ahead_s = 0
    assert await acts(world, call, Tag.TRANSCRIPT_EXPORTED) == 3
    async with world.client.get(f"{world.tenant}/calls/{call}", headers=world.browser("olga")) as answer:
        listened = (await answer.text()).partition("Who listened")[2]
    assert listened.count("<strong>edgar@bakery.example</strong>") == 2
    hidden = await add_whole_call(world, world.bakery)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, Changes(viewers_see="none"), actor=OPERATOR)
    _, shown = await ask(world, f"/sessions/{hidden}/transcript", "vera")
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, Changes(viewers_see="all"), actor=OPERATOR)
    assert (shown["visibility"], shown["turns"]) == ("none", [])
    assert await acts(world, hidden, Tag.TRANSCRIPT_EXPORTED) == 0


async def test_a_call_tells_what_was_measured_told_said_and_sent_away(world: World) -> None:
    """Each operation gives what the journal had."""
    call = await add_whole_call(world, world.bakery)
    _, shown = await ask(world, f"/sessions/{call}")
    assert (shown["outcome"], shown["duration_s"], shown["recorded"]) == ("answered", 30.0, True)
    assert (shown["reply_ms"], shown["first_audio_ms"], shown["consent"]) == (900, 26, "given")
    assert (shown["caller"], shown["readable"], shown["state"]) == ("+4930901820", True, "ended")
    _, transcript = await ask(world, f"/sessions/{call}/transcript")
    assert transcript["visibility"] == "all"
    assert [turn["role"] for turn in transcript["turns"]] == ["agent", "caller", "agent"]
    assert transcript["messages"] == [{"text": "Bitte rufen Sie zurück.", "from_ms": 1000, "to_ms": 2000}]
    _, consent = await ask(world, f"/sessions/{call}/consent")
    assert consent["items"][0]["wording_sha256"] == WORDING
    assert [step["kind"] for step in consent["items"]] == ["disclosure_played", "consent_decided", "recording_started"]
    _, timeline = await ask(world, f"/sessions/{call}/timeline")
    (tool,) = [event for event in timeline["items"] if event["kind"] == "tool_called"]
    assert tool["personal"]["arguments"] == {"who": "Anna Schmidt"}
    _, metrics = await ask(world, f"/sessions/{call}/metrics")
    assert metrics["line"]["lost_percent"] == 1.0
    assert metrics["usage"]["output_audio_tokens"] == 1234
    assert metrics["cost"] is None
    assert [(one["host"], one["in_eu"]) for one in metrics["sent_away"]] == [("api.openai.com", False)]
    assert len(metrics["waits"]) == 6


async def test_viewers_read_what_their_project_lets_them(world: World) -> None:
    """Redacted: no number and no tool's arguments; nothing: no turn; the recording is closed to them either way."""
    call = await add_whole_call(world, world.bakery)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, Changes(viewers_see="redacted"), actor=OPERATOR)
    _, transcript = await ask(world, f"/sessions/{call}/transcript", "vera")
    assert transcript["visibility"] == "redacted"
    assert "901820" not in json.dumps(transcript)
    _, timeline = await ask(world, f"/sessions/{call}/timeline", "vera")
    assert "Anna" not in json.dumps(timeline)
    assert (await ask(world, f"/sessions/{call}/recording", "vera"))[0] == 403
    assert (await ask(world, f"/sessions/{call}/recording/wave", "vera"))[0] == 403
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, Changes(viewers_see="none"), actor=OPERATOR)
    _, transcript = await ask(world, f"/sessions/{call}/transcript", "vera")
    assert (transcript["turns"], transcript["messages"]) == ([], [])
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await projects.change(store, world.bakery.project_id, Changes(viewers_see="all"), actor=OPERATOR)
    assert "901820" in json.dumps((await ask(world, f"/sessions/{call}/transcript", "vera"))[1])


async def hear(world: World, call: UUID, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The recording, as somebody's player asks for it."""
    async with world.client.get(
        f"/api/v1/sessions/{call}/recording", headers={**world.program("all"), **headers}
    ) as answer:
        return answer.status, dict(answer.headers), await answer.read()


async def test_a_recording_is_a_wav_file_with_both_sides(world: World) -> None:
    """The caller speaks first, left; then the agent, right."""
    call = await add_whole_call(world, world.bakery)
    status, headers, body = await hear(world, call)
    assert (status, headers["Content-Type"], len(body)) == (200, "audio/wav", BYTES)
    assert headers["Accept-Ranges"] == "bytes"
    with wave.open(io.BytesIO(body)) as read:
        assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (2, 8000, 8000 * SECONDS)
        left, right = memoryview(read.readframes(1)).cast("h")
        assert abs(left) > 32_000
        assert right == 0


@pytest.mark.parametrize(
    ("wish", "start", "stop"),
    [
        ("bytes=0-", 0, BYTES),
        ("bytes=0-99", 0, 100),
        ("bytes=40-51", 40, 52),
        ("bytes=480000-480003", 480_000, 480_004),
        ("bytes=-10", BYTES - 10, BYTES),
        (f"bytes=100-{BYTES + 5}", 100, BYTES),
    ],
)
async def test_a_range_is_that_part_of_the_file(world: World, wish: str, start: int, stop: int) -> None:
    """206 with the bytes and where they are (RFC 9110 14.4); all of it is 200."""
    call = await add_whole_call(world, world.bakery)
    _, _, whole = await hear(world, call)
    status, headers, body = await hear(world, call, Range=wish)
    assert body == whole[start:stop]
    assert headers["Content-Length"] == str(stop - start)
    if (start, stop) == (0, BYTES):
        assert status == 200
    else:
        assert status == 206
        assert headers["Content-Range"] == f"bytes {start}-{stop - 1}/{BYTES}"


@pytest.mark.parametrize("wish", [f"bytes={BYTES}-", "bytes=9-3", "bytes=-0"])
async def test_a_range_beyond_the_end_is_refused(world: World, wish: str) -> None:
    """416 with the length (RFC 9110 15.5.17)."""
    call = await add_whole_call(world, world.bakery)
    status, headers, _ = await hear(world, call, Range=wish)
    assert (status, headers["Content-Range"]) == (416, f"bytes */{BYTES}")


@pytest.mark.parametrize("wish", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=a-b"])
async def test_a_range_of_another_kind_is_passed_over(world: World, wish: str) -> None:
    """All of it, as RFC 9110 14.2 allows."""
    call = await add_whole_call(world, world.bakery)
    status, _, body = await hear(world, call, Range=wish)
    assert (status, len(body)) == (200, BYTES)


async def test_a_playing_is_written_down_once_and_a_download_each_time(world: World) -> None:
    """Pieces of one playing make one entry; ten minutes later it is another; a file that is kept is an export."""
    call = await add_whole_call(world, world.bakery)
    for start in (0, 1000, 2000):
        await hear(world, call, Range=f"bytes={start}-")
    assert await acts(world, call, Tag.RECORDING_PLAYED) == 1
    world.clock.ahead_s += 700
    await hear(world, call, Range="bytes=3000-")
    assert await acts(world, call, Tag.RECORDING_PLAYED) == 2
    assert await acts(world, call, Tag.RECORDING_EXPORTED) == 0
    async with world.client.get(
        f"/api/v1/sessions/{call}/recording", params={"download": "true"}, headers=world.program("all")
    ) as answer:
        assert answer.headers["Content-Disposition"] == f'attachment; filename="call-{call}.wav"'
    assert await acts(world, call, Tag.RECORDING_EXPORTED) == 1
    _, readings = await ask(world, f"/sessions/{call}/readings")
    assert [one["tag"] for one in readings["items"]] == [
        "session:recording:exported", "session:recording:played", "session:recording:played",
    ]  # fmt: skip  # newest first
    assert (await ask(world, f"/sessions/{call}/readings", "vera"))[0] == 403


async def test_the_wave_shows_who_was_loud_when(world: World) -> None:
    """The first half is the caller's, the second the agent's."""
    call = await add_whole_call(world, world.bakery)
    _, drawn = await ask(world, f"/sessions/{call}/recording/wave")
    assert (drawn["duration_s"], drawn["starts_at_ms"]) == (float(SECONDS), STARTS_AT // 8)
    half = len(drawn["caller"]) // 2
    assert (drawn["caller"][0], drawn["agent"][0]) == (1.0, 0.0)
    assert (drawn["caller"][-1], drawn["agent"][-1]) == (0.0, 1.0)
    assert set(drawn["caller"][: half - 1]) == {1.0}


async def test_erased_calls_are_gone_at_once_and_proven(world: World) -> None:
    """202, then nothing of them can be read; once the copies are gone too the call is not there."""
    call = await add_whole_call(world, world.bakery, caller="+4930444444")
    async with world.client.post(
        "/api/v1/sessions/erase", json={"session_ids": [str(call)]}, headers=world.program("all")
    ) as answer:
        assert answer.status == 202, await answer.text()
        erasure = await answer.json()
    assert (erasure["calls"], erasure["finished_at"]) == (1, None)
    assert (await ask(world, f"/sessions/{call}/transcript"))[0] == 410
    assert (await ask(world, f"/sessions/{call}/recording"))[0] == 410
    _, shown = await ask(world, f"/sessions/{call}")
    assert (shown["readable"], shown["caller"]) == (False, None)
    services = world.services
    await carry_out(services.database, services.blobs, world.bakery.tenant_id, UUID(erasure["id"]))
    assert (await ask(world, f"/sessions/{call}"))[0] == 404
    assert (await ask(world, f"/erasures/{erasure['id']}"))[1]["finished_at"] is not None


async def test_nothing_is_erased_where_one_of_them_may_not_be(world: World) -> None:
    """A hold: 409; a call that is not there, or of a project out of reach: 404; without the scope: 403."""
    call = await add_whole_call(world, world.bakery)
    held = await add_whole_call(world, world.bakery)
    other = await add_whole_call(world, world.bakery_second)
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        await place_hold(
            store,
            project_id=world.bakery.project_id,
            session_id=held,
            reason="A lawsuit",
            expires_at=datetime.now(UTC) + timedelta(days=30),
            actor=OPERATOR,
        )
    eraser = await world.key_with(Scope.SESSIONS_DELETE, Scope.SESSIONS_READ, project_id=world.bakery.project_id)
    for ids, headers, status in (
        ([call, held], world.program("all"), 409),
        ([call, uuid7()], world.program("all"), 404),
        ([call, other], {"Authorization": f"Bearer {eraser}"}, 404),
        ([call], world.program("sessions"), 403),
    ):
        body = {"session_ids": [str(one) for one in ids]}
        async with world.client.post("/api/v1/sessions/erase", json=body, headers=headers) as answer:
            assert answer.status == status, await answer.text()
    assert (await ask(world, f"/sessions/{call}"))[1]["readable"] is True


async def test_the_overview_adds_up(world: World) -> None:
    """Counts, minutes, waits and consent of one receptionist's calls are those of the calls that were made."""
    before = (await ask(world, "/overview", project_id=world.bakery_second.project_id))[1]
    await add_whole_call(world, world.bakery_second, reply_ms=(500.0,))
    await add_whole_call(world, world.bakery_second, reply_ms=(2500.0,), verdict="refused", recorded=False)
    await add_whole_call(world, world.bakery_second, heard=False, recorded=False, reply_ms=())
    async with asyncio.timeout(10):  # on a busy machine the figures may be some seconds old
        while True:
            status, after = await ask(world, "/overview", project_id=world.bakery_second.project_id)
            assert status == 200
            if after["calls"] != before["calls"]:
                break
    for name, more in (("calls", 3), ("answered", 2), ("missed", 1), ("minutes", 1.0)):
        assert after[name] - before[name] == pytest.approx(more), name
    assert after["consent"]["refused"] - before["consent"]["refused"] == 1
    assert after["reply"]["p95"] == 2500
    assert len(after["spans"]) == 7
    assert after["spans"][-1]["calls"] == after["calls"]
    for days, spans in ((1, 24), (30, 30)):
        assert len((await ask(world, "/overview", days=days))[1]["spans"]) == spans
    assert (await ask(world, "/overview", days=3))[0] == 422

"""Lists and figures of many calls: they say what is true of the calls that are there, also after some have gone."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import ingest, overview, sessions
from store.blobs import FolderBlobs
from store.call_lists import Wanted, list_calls
from store.engine import Database
from store.erasure import sessions as erasing
from store.erasure.expiry import expire
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent
from store.recordings import blob_name
from tests.database import Shop

_WHAT = {"reply_ms": "caller_stopped_to_agent_audio", "first_audio_ms": "answer_to_first_audio"}
_TRUE = """
SELECT percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY reply_ms),
       percentile_disc(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY first_audio_ms),
       count(*) FILTER (WHERE consent = 'given'), count(*), count(heard_samples)
FROM sessions WHERE tenant_id = :tenant_id
"""


async def have_call(
    database: Database, blobs: FolderBlobs, shop: Shop, chance: random.Random, *, recorded: bool, ago: timedelta
) -> UUID:
    """A call that is over, with waits in it or without any."""
    events = [
        SessionEvent(at_ms=1, kind="latency_measured", facts={"what": what, "took_ms": chance.randrange(300, 320)})
        for what in _WHAT.values()
        if chance.random() < 0.7
    ]
    now = datetime.now(UTC)
    async with database.tenant(shop.tenant_id) as store:
        opened = await sessions.open_session(
            store,
            project_id=shop.project_id,
            scenario_id=shop.scenario_id,
            scenario_version=1,
            called=shop.called,
            caller=None,
            trunk="loopback",
            language="de",
        )
        blob = blob_name(shop.tenant_id, opened.id)
        size = blobs.put(blob, b"sealed sound") if recorded else 0
        report = CallReport(
            session_id=opened.id,
            started_at=now - ago,
            ended_at=now - ago,
            ended_by="caller",
            end_reason="hung_up",
            caller=None,
            language="de",
            trunk="loopback",
            heard_samples=chance.choice((0, 8000)),
            events=events,
            consent=[ConsentEvent(at_ms=1, kind="consent_decided", from_sample=0, verdict="given")][
                : chance.randrange(2)
            ],
            recording=NewRecording(blob=blob, sealed_bytes=size, samples=8000, starts_at_sample=0)
            if recorded
            else None,
        )
        await ingest.take_in(store, report)
        await ingest.take_in(store, report)
    return opened.id


async def are_recorded(database: Database, shop: Shop, wanted: bool) -> set[UUID]:  # noqa: FBT001 - the filter's value
    async with database.tenant(shop.tenant_id) as store:
        found = await list_calls(store, Wanted(recorded=wanted), limit=100, actor=OPERATOR)
    return {one.id for one in found.calls}


async def check_figures(database: Database, shop: Shop) -> None:
    """By PostgreSQL's own percentiles, over all rows."""
    since = datetime.now(UTC) - timedelta(days=1)
    async with database.tenant(shop.tenant_id) as store:
        ((reply, first_audio, given, calls, answered),) = await store.fixed(_TRUE)
        quality = await overview.quality(store, since=since)
        spans = await overview.by_time(store, since=since, step=timedelta(minutes=15))
    assert [quality.reply.p50, quality.reply.p95] == (reply or [None, None])
    assert [quality.first_audio.p50, quality.first_audio.p95] == (first_audio or [None, None])
    assert quality.consent["given"] == given
    assert sum(span.calls for span in spans) == calls
    assert sum(span.answered for span in spans) == answered
    assert sum(span.missed for span in spans) == calls - answered


async def erase(database: Database, blobs: FolderBlobs, shop: Shop, ids: Iterable[UUID]) -> None:
    async with database.tenant(shop.tenant_id) as store:
        asked = await erasing.erase_sessions(store, blobs, list(ids), actor=OPERATOR, reason=Reason.MEMBER_ASKED)
    await erasing.carry_out(database, blobs, shop.tenant_id, asked.erasure_id)


async def test_figures_are_of_the_calls_that_are_there(
    database: Database, bakery: Shop, florist: Shop, tmp_path: Path
) -> None:
    """Of none, of many, and of those that are left after some were erased; never of another tenant's."""
    blobs, chance = FolderBlobs(tmp_path / "blobs"), random.Random(7)
    await check_figures(database, bakery)
    made = [
        await have_call(database, blobs, bakery, chance, recorded=chance.random() < 0.5, ago=timedelta())
        for _ in range(60)
    ]
    for _ in range(5):
        await have_call(database, blobs, florist, chance, recorded=True, ago=timedelta())
    await check_figures(database, bakery)
    await erase(database, blobs, bakery, chance.sample(made, 25))
    await check_figures(database, bakery)


async def test_all_calls_are_after_long_ago(database: Database, bakery: Shop, tmp_path: Path) -> None:
    """A moment before ids could begin is a moment like any other."""
    blobs, long_ago = FolderBlobs(tmp_path / "blobs"), datetime(1492, 10, 12, tzinfo=UTC)
    call = await have_call(database, blobs, bakery, random.Random(9), recorded=False, ago=timedelta())
    async with database.tenant(bakery.tenant_id) as store:
        since = await list_calls(store, Wanted(since=long_ago), actor=OPERATOR)
        until = await list_calls(store, Wanted(until=long_ago), actor=OPERATOR)
    assert ([one.id for one in since.calls], until.calls) == ([call], ())


async def test_lists_know_which_calls_are_recorded(database: Database, bakery: Shop, tmp_path: Path) -> None:
    """From the moment a recording is there until it has gone: with its call, or alone, after its time."""
    blobs, chance = FolderBlobs(tmp_path / "blobs"), random.Random(8)
    old, new, gone = [
        await have_call(database, blobs, bakery, chance, recorded=True, ago=timedelta(days=days)) for days in (99, 0, 0)
    ]
    silent = await have_call(database, blobs, bakery, chance, recorded=False, ago=timedelta())
    assert await are_recorded(database, bakery, wanted=True) == {old, new, gone}
    assert await are_recorded(database, bakery, wanted=False) == {silent}
    await erase(database, blobs, bakery, [gone])
    await expire(database, blobs, bakery.tenant_id, datetime.now(UTC), seller_country="DE")
    assert await are_recorded(database, bakery, wanted=True) == {new}
    assert await are_recorded(database, bakery, wanted=False) == {old, silent}

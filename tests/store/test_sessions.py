"""Calls: planned, counted, closed, found, and taken in from their journals."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from store import conversation, ingest, postgres, recordings, sessions, usage
from store.engine import Database
from store.ingest import SessionErasedError
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from store.keys import KeyShreddedError
from store.scope import TenantStore
from store.sessions import OpenedSession
from store.settings import StoreSettings
from tests.database import Shop, address

STARTED = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
CANARY = "purple giraffe"
CALLER = "+4915112345678"


async def _open(store: TenantStore, shop: Shop, *, caller: str | None = CALLER, spare: bool = False) -> OpenedSession:
    return await sessions.open_session(
        store,
        project_id=shop.project_id,
        scenario_id=shop.scenario_id,
        scenario_version=1,
        called=shop.called,
        caller=caller,
        trunk="loopback",
        language="de",
        spare=spare,
    )


def _report(opened: OpenedSession) -> CallReport:
    return CallReport(
        session_id=opened.id,
        started_at=STARTED,
        ended_at=STARTED + timedelta(seconds=42),
        ended_by="caller",
        end_reason="hung_up",
        caller=CALLER,
        language="de",
        trunk="loopback",
        heard_samples=336_000,
        turns=(
            Turn(role="agent", text="Guten Tag!", from_ms=0, to_ms=900),
            Turn(role="caller", text=f"A {CANARY}, please", from_ms=1000, to_ms=2000),
            Turn(role="agent", text="One", from_ms=2100, to_ms=2300, interrupted=True),
        ),
        consent=(
            ConsentEvent(
                at_ms=900,
                kind="disclosure_played",
                from_sample=0,
                to_sample=7200,
                wording_sha256="ab" * 32,
                language="de",
            ),
            ConsentEvent(at_ms=1500, kind="consent_decided", from_sample=12_000, verdict="given", method="key"),
        ),
        events=(
            SessionEvent(at_ms=0, kind="sip", facts={"direction": "in", "summary": "INVITE"}),
            SessionEvent(at_ms=2000, kind="tool", facts={"name": "book"}, personal={"arguments": {"name": CANARY}}),
        ),
        messages=(TakenMessage(text=f"Call back the {CANARY}", from_sample=8000, to_sample=16_000),),
        usage={"call_ms": 42_000, "input_audio_tokens": 420},
        recording=NewRecording(blob="recordings/x", sealed_bytes=1000, samples=320_000, starts_at_sample=7200),
    )


async def test_a_call_is_planned_counted_and_closed(database: Database, bakery: Shop, florist: Shop) -> None:
    """A planned call counts for its tenant until it is closed, and closing it twice is once."""
    async with database.tenant(bakery.tenant_id) as store:
        assert await sessions.live_count(store) == 0
        opened = await _open(store, bakery)
        assert await sessions.live_count(store) == 1
        assert await sessions.live_count(store, longest_seconds=-5) == 0
    async with database.tenant(florist.tenant_id) as store:
        assert await sessions.live_count(store) == 0
    async with database.tenant(bakery.tenant_id) as store:
        assert await sessions.close_session(store, opened.id, ended_by="system", end_reason="worker_lost")
        assert not await sessions.close_session(store, opened.id, ended_by="system", end_reason="again")
        assert await sessions.live_count(store) == 0
        found = await sessions.find_session(store, opened.id, actor=OPERATOR)
    assert found is not None
    assert (found.state, found.end_reason, found.caller) == ("ended", "worker_lost", CALLER)


async def test_a_spare_is_no_call_until_it_is_used(database: Database, bakery: Shop) -> None:
    """A plan made ahead is neither counted nor listed; used it is a call, unused it vanishes with its key."""
    async with database.tenant(bakery.tenant_id) as store:
        spare, unused = await _open(store, bakery, spare=True), await _open(store, bakery, spare=True)
        assert await sessions.live_count(store) == 0
        assert await sessions.list_sessions(store, actor=OPERATOR) == ()
        assert await sessions.use_spare(store, spare.id)
        assert not await sessions.use_spare(store, spare.id)
        assert [call.id for call in await sessions.list_sessions(store, actor=OPERATOR)] == [spare.id]
        assert await sessions.discard_session(store, unused.id)
        assert await sessions.find_session(store, unused.id, actor=OPERATOR) is None
        with pytest.raises(KeyShreddedError):
            await store.keys.data_key(store, unused.id)


async def test_a_journal_is_taken_in(database: Database, bakery: Shop) -> None:
    """Everything a journal told about a call is found again, in order."""
    async with database.tenant(bakery.tenant_id) as store:
        opened = await _open(store, bakery, caller=None)
    report = _report(opened)
    async with database.tenant(bakery.tenant_id) as store:
        await ingest.take_in(store, report)
    async with database.tenant(bakery.tenant_id) as store:
        call = await sessions.find_session(store, opened.id, actor=OPERATOR)
        assert call is not None
        assert (call.caller, call.started_at, call.heard_samples, call.readable) == (CALLER, STARTED, 336_000, True)
        assert await conversation.turns_of(store, opened.id, reader=READS_ALL) == tuple(report.turns)
        assert await conversation.consent_of(store, opened.id) == tuple(report.consent)
        assert await conversation.events_of(store, opened.id, reader=READS_ALL) == tuple(report.events)
        assert await conversation.messages_of(store, opened.id, reader=READS_ALL) == tuple(report.messages)
        recording = await recordings.find(store, opened.id)
        assert recording is not None
        assert (recording.samples, recording.starts_at_sample) == (320_000, 7200)
        since = STARTED - timedelta(days=1)
        sums = await usage.totals(store, since=since, until=since + timedelta(days=2), project_id=bakery.project_id)
    assert {total.kind: total.quantity for total in sums} == {"call_ms": 42_000, "input_audio_tokens": 420}


def _everything(settings: StoreSettings, home: Path) -> dict[str, list[tuple[object, ...]]]:
    name = str(psycopg.conninfo.conninfo_to_dict(settings.database_url or "")["dbname"])
    with psycopg.connect(address(home, postgres.SUPERUSER, name)) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'keys')"
        ).fetchall()
        # But for the counters of what keys have made, which each process writes down now and then.
        return {
            table: sorted(connection.execute(f"SELECT (to_jsonb(t) - 'seals')::text FROM {table} t").fetchall())  # noqa: S608
            for (table,) in tables
        }


async def test_a_journal_taken_in_twice_is_taken_in_once(
    database: Database, store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """Taking in the same journal again, as after a crash before its file was removed, changes not one byte."""
    async with database.tenant(bakery.tenant_id) as store:
        opened = await _open(store, bakery)
        await ingest.take_in(store, _report(opened))
    before = _everything(store_settings, database_home)
    async with database.tenant(bakery.tenant_id) as store:
        await ingest.take_in(store, _report(opened))
    assert _everything(store_settings, database_home) == before


async def test_a_failed_ingestion_leaves_nothing(
    database: Database, store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """If anything goes wrong before the end, nothing of the journal was written."""
    async with database.tenant(bakery.tenant_id) as store:
        opened = await _open(store, bakery)
    before = _everything(store_settings, database_home)

    async def fail() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await ingest.take_in(store, _report(opened))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert _everything(store_settings, database_home) == before


async def test_an_erased_call_does_not_come_back(database: Database, bakery: Shop, florist: Shop) -> None:
    """A journal is refused when its call's key was shredded, when there is no such call, and for another tenant."""
    async with database.tenant(bakery.tenant_id) as store:
        opened = await _open(store, bakery)
        await ingest.take_in(store, _report(opened))
        await store.keys.shred(store, opened.id)
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(SessionErasedError):
            await ingest.take_in(store, _report(opened))
        with pytest.raises(KeyShreddedError):
            await conversation.turns_of(store, opened.id, reader=READS_ALL)
        call = await sessions.find_session(store, opened.id, actor=OPERATOR)
        assert call is not None
        assert (call.caller, call.readable) == (None, False)
        assert [event.personal for event in await conversation.events_of(store, opened.id, reader=READS_ALL)] == [
            {},
            {},
        ]
    async with database.tenant(florist.tenant_id) as store:
        with pytest.raises(SessionErasedError):
            await ingest.take_in(store, _report(OpenedSession(uuid7(), opened.data_key)))
        with pytest.raises(SessionErasedError):
            await ingest.take_in(store, _report(opened))


async def test_what_is_personal_lies_sealed(
    database: Database, store_settings: StoreSettings, database_home: Path, bakery: Shop
) -> None:
    """No word the caller said and no digit of the number can be read in any table."""
    async with database.tenant(bakery.tenant_id) as store:
        opened = await _open(store, bakery)
        await ingest.take_in(store, _report(opened))
    dump = str(_everything(store_settings, database_home))
    for canary in (CANARY, CALLER, CALLER[1:]):
        assert canary not in dump
        assert canary.encode().hex() not in dump
    assert "INVITE" in dump  # the ladder is not personal, and to be searched


async def test_sessions_are_listed_newest_first_in_pages(database: Database, bakery: Shop) -> None:
    """Pages follow each other without gap or overlap, also when filtered by the caller's number."""
    async with database.tenant(bakery.tenant_id) as store:
        made = [(await _open(store, bakery, caller=CALLER if number % 2 else None)).id for number in range(7)]
    listed = []
    before = None
    async with database.tenant(bakery.tenant_id) as store:
        while page := await sessions.list_sessions(store, before=before, limit=3, actor=OPERATOR):
            listed += [call.id for call in page]
            before = listed[-1]
        of_caller = await sessions.list_sessions(store, caller=CALLER, project_id=bakery.project_id, actor=OPERATOR)
        of_nobody = await sessions.list_sessions(store, project_id=uuid7(), actor=OPERATOR)
    assert listed == made[::-1]
    assert [call.id for call in of_caller] == made[5::-2]
    assert of_nobody == ()

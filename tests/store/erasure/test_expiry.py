"""Retention over years: nothing older than its time is there, nothing younger is gone, and held calls stay."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR, Tag
from policies.retention import AUDIT_YEARS, Wishes, limits, proof_kept_until, usage_limit, years_after
from store import conversation, projects, sessions
from store.audit.log import record
from store.blobs import Blobs
from store.engine import Database
from store.erasure import holds
from store.erasure.expiry import NoProjectError, Preview, RetentionRefusedError, expire, preview, set_retention
from store.tables.setup import TenantTable
from tests.database import Shop
from tests.store.erasure.world import CALLER, make_call, objects, rows_of, where

NOW = datetime(2026, 11, 25, 3, 30, tzinfo=UTC)
_PROOFS_OF_ONE = 2


def _wishes(recording: int, transcript: int, basis: str | None = None) -> Wishes:
    return Wishes(jurisdiction="", recording_days=recording, transcript_days=transcript, legal_basis=basis)


async def test_a_change_is_previewed_and_then_made(
    database: Database, blobs: Blobs, bakery: Shop, florist: Shop
) -> None:
    """The preview says what the next run takes; the run takes exactly that; other projects keep theirs."""
    for days in (10, 40, 80):
        await make_call(database, blobs, bakery, NOW - timedelta(days=days))
    await make_call(database, blobs, bakery, NOW - timedelta(days=80), recorded=False)
    await make_call(database, blobs, florist, NOW - timedelta(days=80))
    async with database.tenant(bakery.tenant_id) as store:
        assert await preview(store, bakery.project_id, _wishes(90, 365), NOW) == Preview(0, 0)
        assert await preview(store, bakery.project_id, _wishes(30, 365), NOW) == Preview(2, 0)
        assert await preview(store, bakery.project_id, _wishes(30, 60), NOW) == Preview(2, 2)
        await set_retention(store, bakery.project_id, _wishes(30, 60), actor=OPERATOR, now=NOW)
    assert len(objects(blobs)) == 4, "nothing goes before the run"
    gone = await expire(database, blobs, bakery.tenant_id, NOW, seller_country="DE")
    assert (gone["recordings"], gone["sessions"], gone["turns"]) == (2, 2, 2)
    assert await expire(database, blobs, florist.tenant_id, NOW, seller_country="DE") == {}
    assert len(objects(blobs)) == 2
    async with database.tenant(bakery.tenant_id) as store:
        assert len(await sessions.list_sessions(store, actor=OPERATOR)) == 2
        assert await preview(store, bakery.project_id, _wishes(30, 60), NOW) == Preview(0, 0)


async def test_the_law_says_no(database: Database, bakery: Shop, florist: Shop) -> None:
    """More than a year needs a reason, another tenant's project is none, and what is refused changes nothing."""
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(RetentionRefusedError, match="legal basis"):
            await set_retention(store, bakery.project_id, _wishes(400, 400), actor=OPERATOR, now=NOW)
        with pytest.raises(NoProjectError):
            await set_retention(store, florist.project_id, _wishes(30, 30), actor=OPERATOR, now=NOW)
        project = await projects.find(store, bakery.project_id)
        assert project is not None
        assert (project.recording_days, project.transcript_days) == (90, 365)
        await set_retention(store, bakery.project_id, _wishes(400, 400, "a law"), actor=OPERATOR, now=NOW)


async def test_words_may_go_before_the_sound(database: Database, blobs: Blobs, bakery: Shop, all_seeing: str) -> None:
    """Where nothing may be written down, words and number go at once, and the call with its recording later."""
    call = await make_call(database, blobs, bakery, NOW - timedelta(hours=1))
    async with database.tenant(bakery.tenant_id) as store:
        await set_retention(store, bakery.project_id, _wishes(90, 0), actor=OPERATOR, now=NOW)
        assert await preview(store, bakery.project_id, _wishes(90, 0), NOW) == Preview(0, 1)
    await expire(database, blobs, bakery.tenant_id, NOW, seller_country="DE")
    assert objects(blobs)
    async with database.tenant(bakery.tenant_id) as store:
        found = await sessions.find_session(store, call.id, actor=OPERATOR)
        assert await conversation.turns_of(store, call.id, reader=READS_ALL) == ()
        assert await sessions.list_sessions(store, caller=CALLER, actor=OPERATOR) == ()
    assert found is not None
    assert found.caller is None
    assert not await expire(database, blobs, bakery.tenant_id, NOW, seller_country="DE"), "once is enough"
    await expire(database, blobs, bakery.tenant_id, NOW + timedelta(days=91), seller_country="DE")
    assert not objects(blobs)
    assert where(all_seeing, call.id) == {"public.consent_proofs"}


async def test_a_call_that_is_up_is_left_alone(database: Database, blobs: Blobs, bakery: Shop) -> None:
    """Even where nothing is kept; one of which nothing has been heard for a day is over."""
    async with database.tenant(bakery.tenant_id) as store:
        await set_retention(store, bakery.project_id, _wishes(0, 0), actor=OPERATOR)
        opened = await sessions.open_session(
            store,
            project_id=bakery.project_id,
            scenario_id=bakery.scenario_id,
            scenario_version=1,
            called=bakery.called,
            caller=CALLER,
            trunk="loopback",
            language="de",
        )
    for later, there in ((timedelta(hours=23), True), (timedelta(hours=25), False)):
        await expire(database, blobs, bakery.tenant_id, datetime.now(UTC) + later, seller_country="DE")
        async with database.tenant(bakery.tenant_id) as store:
            assert (await sessions.find_session(store, opened.id, actor=OPERATOR) is not None) is there


async def test_what_a_crash_left_is_swept(database: Database, blobs: Blobs, bakery: Shop, florist: Shop) -> None:
    """A recording of a call that is not there goes; another tenant's, and one that is on its way in, do not."""
    call = await make_call(database, blobs, bakery, NOW)
    blobs.put(f"recordings/{bakery.tenant_id}/{UUID(int=7)}", b"left")
    blobs.put(f"recordings/{florist.tenant_id}/{UUID(int=7)}", b"another tenant's")
    assert (await expire(database, blobs, bakery.tenant_id, NOW, seller_country="DE")) == {"orphans": 1}
    assert list(objects(blobs)) == sorted(
        [f"recordings/{bakery.tenant_id}/{call.id}", f"recordings/{florist.tenant_id}/{UUID(int=7)}"]
    )


@dataclass(slots=True)
class _Simulated:
    """A call of the simulation, and what of it has to be there."""

    id: UUID
    shop: Shop
    at: datetime
    recorded: bool
    held_until: datetime | None = None
    has_words: bool = True
    erased: bool = False


async def test_ten_years(database: Database, blobs: Blobs, bakery: Shop, florist: Shop, all_seeing: str) -> None:
    """A random population over ten years, looked at after each run.

    Rules change on the way, holds come and go. Whatever there is of calls, words, recordings, usage, proofs and the
    audit log is compared with what has to be there one by one; objects and their inventory are equal each time.
    """
    chance = random.Random(20261125)
    now = datetime(2016, 1, 5, 3, 30, tzinfo=UTC)  # all in the past: the database itself keeps a younger audit log
    end = now + timedelta(days=10 * 365)
    archive = uuid7()
    async with database.tenant(archive) as store:
        await store.put(TenantTable, [{"name": "Archive", "max_calls": 0}])  # whose log holds nothing of today
    acts: list[datetime] = []
    rules = {bakery.tenant_id: _wishes(90, 365), florist.tenant_id: _wishes(365, 30)}
    async with database.tenant(florist.tenant_id) as store:
        await set_retention(store, florist.project_id, rules[florist.tenant_id], actor=OPERATOR, now=now)
    calls: list[_Simulated] = []
    runs = 0
    while now < end:
        step = timedelta(days=chance.choice((1, 30, 90, 180)))
        for _ in range(chance.randrange(4)):
            shop, recorded = chance.choice((bakery, florist)), chance.random() < 0.7
            at = now + step * chance.random()
            call = await make_call(database, blobs, shop, at, recorded=recorded)
            calls.append(_Simulated(call.id, shop, at, recorded))
        now += step
        acts.append(now)
        async with database.tenant(archive) as store:
            await record(store, OPERATOR, Tag.RECORDING_PLAYED, at=now)
        if chance.random() < 0.2:
            shop = chance.choice((bakery, florist))
            rules[shop.tenant_id] = _wishes(chance.choice((0, 7, 90, 365)), chance.choice((0, 30, 365)))
            async with database.tenant(shop.tenant_id) as store:
                await set_retention(store, shop.project_id, rules[shop.tenant_id], actor=OPERATOR, now=now)
        there = await _there(database, bakery, florist)
        if chance.random() < 0.3 and (free := [call for call in calls if call.id in there and not call.held_until]):
            call = chance.choice(free)
            call.held_until = now + timedelta(days=chance.randrange(1, 500))
            call.recorded = bool(set(objects(blobs, f"recordings/{call.shop.tenant_id}/{call.id}")))
            async with database.tenant(call.shop.tenant_id) as store:
                await holds.place_hold(
                    store,
                    project_id=call.shop.project_id,
                    session_id=call.id,
                    reason="a matter",
                    expires_at=call.held_until,
                    actor=OPERATOR,
                    now=now,
                )
        for tenant_id in (bakery.tenant_id, florist.tenant_id, archive):
            await expire(database, blobs, tenant_id, now, seller_country="DE")
        runs += 1
        _forget_what_is_over(calls, rules, now)
        assert set(await _there(database, bakery, florist)) == {call.id for call in calls if not call.erased}, now
        _check_content(blobs, all_seeing, calls)
        assert _usage(all_seeing) == _expected_usage(calls, now), now
        assert _proofs(all_seeing) == _expected_proofs(calls, now), now
        assert _acts(all_seeing, archive) == [(at, at >= years_after(now, -AUDIT_YEARS)) for at in acts], now
    assert runs > 35
    erased = [call for call in calls if call.erased]
    assert 0 < len(_expected_proofs(calls, now)) < _PROOFS_OF_ONE * len(erased), "some are over their time, some not"
    assert 0 < len(_usage(all_seeing)) < len(calls)
    assert 0 < sum(is_there for _, is_there in _acts(all_seeing, archive)) < len(acts)


async def _there(database: Database, *shops: Shop) -> list[UUID]:
    found: list[UUID] = []
    for shop in shops:
        async with database.tenant(shop.tenant_id) as store:
            found += [call.id for call in await sessions.list_sessions(store, limit=10_000, actor=OPERATOR)]
    return found


def _forget_what_is_over(calls: list[_Simulated], rules: dict[UUID, Wishes], now: datetime) -> None:
    """What one run has to take, thought through once more, without SQL."""
    for call in calls:
        if call.erased:
            continue
        if call.held_until is not None and call.held_until > now:
            continue
        before = limits(rules[call.shop.tenant_id], now)
        if call.at < before.recordings:
            call.recorded = False
        if call.at < before.sessions:
            call.has_words = False
            call.erased = not call.recorded


def _check_content(blobs: Blobs, all_seeing: str, calls: list[_Simulated]) -> None:
    """Sound and words are of exactly the calls that have to have some."""
    live = [call for call in calls if not call.erased]
    inventory = {row["blob"] for row in rows_of(all_seeing, "public.recordings")}
    assert set(objects(blobs)) == inventory
    assert {UUID(name.rpartition("/")[2]) for name in inventory} == {call.id for call in live if call.recorded}
    for table in ("turns", "messages", "session_events"):
        worded = {UUID(row["session_id"]) for row in rows_of(all_seeing, f"public.{table}")}
        assert worded == {call.id for call in live if call.has_words}, table


def _usage(all_seeing: str) -> list[tuple[str, datetime]]:
    """Whose usage there is, and when it happened."""
    rows = rows_of(all_seeing, "public.usage_events")
    return sorted((row["tenant_id"], datetime.fromisoformat(row["happened_at"])) for row in rows)


def _expected_usage(calls: list[_Simulated], now: datetime) -> list[tuple[str, datetime]]:
    """One of each call, to the month once the call is erased, until the law lets it go."""
    found = [
        (str(call.shop.tenant_id), datetime(call.at.year, call.at.month, 1, tzinfo=UTC) if call.erased else call.at)
        for call in calls
    ]
    return sorted((tenant_id, at) for tenant_id, at in found if at >= usage_limit("DE", now))


def _proofs(all_seeing: str) -> set[tuple[UUID, datetime]]:
    """Of which call there is a proof, and when what it proves happened."""
    rows = rows_of(all_seeing, "public.consent_proofs")
    return {(UUID(row["session_id"]), datetime.fromisoformat(row["happened_at"])) for row in rows}


def _expected_proofs(calls: list[_Simulated], now: datetime) -> set[tuple[UUID, datetime]]:
    """That the caller was told and has agreed, once the call is erased, for as long as any law asks for."""
    found = {
        (call.id, call.at - timedelta(minutes=2) + timedelta(milliseconds=ms))
        for call in calls
        if call.erased
        for ms in (100, 900)
    }
    return {(call_id, at) for call_id, at in found if proof_kept_until(at) > now}


def _acts(all_seeing: str, tenant_id: UUID) -> list[tuple[datetime, bool]]:
    """When each act of the log was, oldest first, and whether it still says which one."""
    rows = [row for row in rows_of(all_seeing, "public.audit_leaves") if row["tenant_id"] == str(tenant_id)]
    return [
        (datetime.fromisoformat(row["at"]), row["leaf"] is not None)
        for row in sorted(rows, key=lambda row: row["idx"])
        if row["tag"] == Tag.RECORDING_PLAYED
    ]

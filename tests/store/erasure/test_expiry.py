"""Retention over years: nothing older than its time is there, nothing younger is gone, and held calls stay."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.retention import Wishes, limits, usage_limit
from store import projects, sessions
from store.blobs import Blobs
from store.engine import Database
from store.erasure import holds
from store.erasure.expiry import NoProjectError, Preview, RetentionRefusedError, expire, preview, set_retention
from tests.database import Shop
from tests.store.erasure.world import CALLER, make_call, objects, rows_of, where

NOW = datetime(2026, 11, 25, 3, 30, tzinfo=UTC)


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
        assert await sessions.turns_of(store, call.id, reader=READS_ALL) == ()
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


async def test_eight_years(database: Database, blobs: Blobs, bakery: Shop, florist: Shop, all_seeing: str) -> None:
    """A random population over eight years, looked at after each run.

    Rules change on the way, holds come and go. Recordings and calls are compared with what has to be there one by one;
    objects and their inventory are equal each time.
    """
    chance = random.Random(20261125)
    now = datetime(2019, 1, 5, 3, 30, tzinfo=UTC)
    end = now + timedelta(days=8 * 365)
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
        for shop in (bakery, florist):
            await expire(database, blobs, shop.tenant_id, now, seller_country="DE")
        runs += 1
        _forget_what_is_over(calls, rules, now)
        expected = {call.id for call in calls}
        assert set(await _there(database, bakery, florist)) == expected, now
        inventory = {row["blob"] for row in rows_of(all_seeing, "public.recordings")}
        assert set(objects(blobs)) == inventory, now
        assert {UUID(name.rpartition("/")[2]) for name in inventory} == {c.id for c in calls if c.recorded}, now
        oldest = [datetime.fromisoformat(row["happened_at"]) for row in rows_of(all_seeing, "public.usage_events")]
        assert min(oldest, default=now) >= usage_limit("DE", now), now
    assert runs > 25
    proofs = rows_of(all_seeing, "public.consent_proofs")
    assert proofs
    assert all(datetime.fromisoformat(row["kept_until"]) > now for row in proofs)


async def _there(database: Database, *shops: Shop) -> list[UUID]:
    found: list[UUID] = []
    for shop in shops:
        async with database.tenant(shop.tenant_id) as store:
            found += [call.id for call in await sessions.list_sessions(store, limit=10_000, actor=OPERATOR)]
    return found


def _forget_what_is_over(calls: list[_Simulated], rules: dict[UUID, Wishes], now: datetime) -> None:
    """What one run has to take, thought through once more, without SQL."""
    for call in tuple(calls):
        if call.held_until is not None and call.held_until > now:
            continue
        before = limits(rules[call.shop.tenant_id], now)
        if call.at < before.recordings:
            call.recorded = False
        if call.at < before.sessions and not call.recorded:
            calls.remove(call)

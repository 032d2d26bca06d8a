"""Erasing chosen calls: unreadable at once, gone soon, proven, and never a held one."""

from datetime import UTC, datetime, timedelta

import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.erasure import Reason
from store import conversation, jobs, sessions, usage
from store.blobs import Blobs, BlobsAwayError, FolderBlobs
from store.engine import Database
from store.erasure import holds
from store.erasure.sessions import TASK, NoErasureError, Then, carry_out, erase_sessions, find_erasure, run
from store.jobs import Work
from store.keys import KeyShreddedError
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import Shop
from tests.store.erasure.world import make_call, objects, rows_of, where

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)
STAYS = {"public.erasure_ledger", "public.consent_proofs"}
"""Where the random id of an erased call may be found."""


async def test_a_call_is_unreadable_at_once_and_gone_soon(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop, all_seeing: str
) -> None:
    """With the transaction that asks, its key is gone; after the job nothing of it is left, but for a few ids."""
    call = await make_call(database, blobs, bakery, NOW, in_queue=True)
    other = await make_call(database, blobs, bakery, NOW)
    async with database.tenant(bakery.tenant_id) as store:
        receipt = await erase_sessions(store, blobs, [call.id, call.id], actor=OPERATOR, reason=Reason.MEMBER_ASKED)
    assert (receipt.sessions, receipt.finished_at, receipt.signed) == (1, None, None)
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(KeyShreddedError):
            await conversation.turns_of(store, call.id, reader=READS_ALL)
        found = await sessions.find_session(store, call.id, actor=OPERATOR)
    assert found is not None
    assert (found.readable, found.caller) == (False, None)
    assert "jobs.procrastinate_jobs" not in where(all_seeing, call.id), "what waited for it is forgotten"

    await JobWorker(store_settings, database, blobs, tasks={TASK: run}).run_due()
    assert where(all_seeing, call.id) == STAYS
    assert [name.rpartition("/")[2] for name in objects(blobs)] == [str(other.id)]
    async with database.tenant(bakery.tenant_id) as store:
        assert await sessions.find_session(store, call.id, actor=OPERATOR) is None
        assert (await conversation.turns_of(store, other.id, reader=READS_ALL))[0].text
        receipt = await find_erasure(store, receipt.erasure_id)
    assert receipt.finished_at is not None
    assert receipt.backups_forget_at == receipt.finished_at + timedelta(days=30)
    assert receipt.counts == {
        "keys.data_keys": 1, "turns": 1, "messages": 1, "session_events": 1, "consent_events": 2, "recordings": 1,
        "sessions": 1, "consent_proofs": 2, "usage_events": 1,
    }  # fmt: skip


async def test_what_is_paid_for_stays_and_leads_nowhere(
    database: Database, blobs: Blobs, bakery: Shop, all_seeing: str
) -> None:
    """Usage keeps its kind, amount and month; its id is new, and neither call nor moment can be found by it."""
    call = await make_call(database, blobs, bakery, NOW)
    before = rows_of(all_seeing, "public.usage_events")
    async with database.tenant(bakery.tenant_id) as store:
        receipt = await erase_sessions(store, blobs, [call.id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
    await carry_out(database, blobs, bakery.tenant_id, receipt.erasure_id)
    (row,) = rows_of(all_seeing, "public.usage_events")
    assert row["id"] != before[0]["id"]
    assert (row["session_id"], row["happened_at"]) == (None, "2026-11-01T00:00:00+00:00")
    async with database.tenant(bakery.tenant_id) as store:
        (total,) = await usage.totals(store, since=datetime(2026, 11, 1, tzinfo=UTC), until=NOW)
    assert (total.kind, total.quantity) == ("call_ms", 120_000)


async def test_consent_stays_provable(database: Database, blobs: Blobs, bakery: Shop, all_seeing: str) -> None:
    """That the caller was told and agreed outlives the call for five years, without who it was."""
    call = await make_call(database, blobs, bakery, NOW)
    async with database.tenant(bakery.tenant_id) as store:
        receipt = await erase_sessions(store, blobs, [call.id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
    await carry_out(database, blobs, bakery.tenant_id, receipt.erasure_id)
    told, agreed = sorted(rows_of(all_seeing, "public.consent_proofs"), key=lambda row: row["ordinal"])
    assert (told["kind"], told["wording_sha256"]) == ("disclosure_played", "ab")
    assert (agreed["verdict"], agreed["method"]) == ("given", "key")
    answered = NOW - timedelta(minutes=2)
    assert datetime.fromisoformat(agreed["happened_at"]) == answered + timedelta(milliseconds=900)
    assert datetime.fromisoformat(agreed["kept_until"]).year == 2031


async def test_a_held_call_is_not_erased_and_no_other_with_it(database: Database, blobs: Blobs, bakery: Shop) -> None:
    """Where one of the calls is held, the wish is refused as a whole, and says by which hold."""
    calls = [await make_call(database, blobs, bakery, NOW) for _ in range(2)]
    async with database.tenant(bakery.tenant_id) as store:
        hold = await holds.place_hold(
            store,
            project_id=bakery.project_id,
            session_id=calls[1].id,
            reason="Bakery ./. Miller, 4 O 12/26",
            expires_at=datetime.now(UTC) + timedelta(days=30),
            actor=OPERATOR,
        )

    async def ask() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await erase_sessions(store, blobs, [c.id for c in calls], actor=OPERATOR, reason=Reason.CALLER_ASKED)

    with pytest.raises(holds.HeldError, match=str(hold.id)) as refused:
        await ask()
    assert "Miller" not in str(refused.value)
    async with database.tenant(bakery.tenant_id) as store:
        for call in calls:
            assert await conversation.turns_of(store, call.id, reader=READS_ALL)
    async with database.tenant(bakery.tenant_id) as store:
        assert await holds.release_hold(store, hold.id, actor=OPERATOR)
        assert not await holds.release_hold(store, hold.id, actor=OPERATOR)
    await ask()


async def test_another_tenants_call_is_passed_over(
    database: Database, blobs: Blobs, bakery: Shop, florist: Shop
) -> None:
    """A tenant can name another's call, and nothing comes of it."""
    call = await make_call(database, blobs, florist, NOW)
    async with database.tenant(bakery.tenant_id) as store:
        receipt = await erase_sessions(store, blobs, [call.id], actor=OPERATOR, reason=Reason.MEMBER_ASKED)
    receipt = await carry_out(database, blobs, bakery.tenant_id, receipt.erasure_id)
    assert receipt.sessions == 0
    assert objects(blobs)
    async with database.tenant(florist.tenant_id) as store:
        assert await conversation.turns_of(store, call.id, reader=READS_ALL)
        with pytest.raises(NoErasureError):
            await find_erasure(store, receipt.erasure_id)


async def test_nothing_is_erased_that_the_ledger_does_not_know(
    store_settings: StoreSettings, database: Database, bakery: Shop
) -> None:
    """Where the ledger cannot be written, the wish fails as a whole: it could come back with a backup."""
    blobs = FolderBlobs(store_settings.blobs)
    call = await make_call(database, blobs, bakery, NOW)
    (store_settings.blobs / "ledger").touch()  # where a folder has to be

    async def ask() -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await erase_sessions(store, blobs, [call.id], actor=OPERATOR, reason=Reason.MEMBER_ASKED)

    with pytest.raises(BlobsAwayError):
        await ask()
    async with database.tenant(bakery.tenant_id) as store:
        assert await conversation.turns_of(store, call.id, reader=READS_ALL)


async def test_a_job_can_wait_for_the_end(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop
) -> None:
    """Whoever asks can leave a job that is run once everything is gone."""
    told: list[Work] = []

    async def tell(work: Work) -> None:
        async with database.tenant(work.tenant_id) as store:
            assert (await find_erasure(store, work.id_of("erasure_id"))).finished_at is not None
        told.append(work)

    call = await make_call(database, blobs, bakery, NOW)
    async with database.tenant(bakery.tenant_id) as store:
        await erase_sessions(
            store, blobs, [call.id], actor=OPERATOR, reason=Reason.CALLER_ASKED, then=Then("tell", {"case_id": "7"})
        )
    await JobWorker(store_settings, database, blobs, tasks={TASK: run, "tell": tell}).run_due()
    assert [work.arguments["case_id"] for work in told] == ["7"]


async def test_progress_is_shown(
    database: Database, blobs: Blobs, bakery: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, each of which counts."""
    monkeypatch.setattr("store.erasure.sessions.AT_ONCE", 2)
    calls = [await make_call(database, blobs, bakery, NOW) for _ in range(5)]
    seen: list[tuple[int, int]] = []

    async def progress(done: int, of: int) -> None:
        seen.append((done, of))

    async with database.tenant(bakery.tenant_id) as store:
        receipt = await erase_sessions(
            store, blobs, [call.id for call in calls], actor=OPERATOR, reason=Reason.MEMBER_ASKED
        )
    await carry_out(database, blobs, bakery.tenant_id, receipt.erasure_id, progress=progress)
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    async with database.tenant(bakery.tenant_id) as store:
        assert (await find_erasure(store, receipt.erasure_id)).counts["sessions"] == 5
        assert await jobs.progress_of(store, 0) is None

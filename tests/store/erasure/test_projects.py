"""Deleting a project: locked, shredded, wiped, and what stays says nothing of it."""

from datetime import UTC, datetime, timedelta

import pytest

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from policies.retention import GRACE_DAYS, SHRED_DAYS, WIPE_DAYS
from store import answering, conversation, numbers, projects
from store.blobs import Blobs
from store.engine import Database
from store.erasure import holds
from store.erasure.expiry import NoProjectError
from store.erasure.projects import (
    TASK,
    DeletionRefusedError,
    carry_out,
    delete_project,
    find_deletion,
    overdue,
    run,
    take_back,
)
from store.settings import StoreSettings
from store.worker import JobWorker
from tests.database import Shop
from tests.store.erasure.world import make_call, objects, rows_of, where

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)


async def _locked(database: Database, shop: Shop) -> bool:
    async with database.tenant(shop.tenant_id) as store:
        return await answering.route(store, shop.called) is None


async def test_a_project_goes_and_what_is_paid_for_stays(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop, florist: Shop, all_seeing: str
) -> None:
    """Its numbers answer nothing from the wish on; after the job neither calls, set-up nor name are left."""
    calls = [await make_call(database, blobs, bakery, NOW, in_queue=True) for _ in range(3)]
    other = await make_call(database, blobs, florist, NOW)
    async with database.tenant(bakery.tenant_id) as store:
        deletion = await delete_project(store, bakery.project_id, actor=OPERATOR, grace_days=0)
    assert deletion.keys_shredded_at is None
    assert await _locked(database, bakery)
    assert not await _locked(database, florist)
    await JobWorker(store_settings, database, blobs, tasks={TASK: run}).run_due()

    async with database.tenant(bakery.tenant_id) as store:
        deletion = await find_deletion(store, bakery.project_id)
        assert await projects.all_projects(store) == ()
        assert await numbers.all_numbers(store) == ()
    assert deletion.wiped_at is not None
    assert deletion.receipt is not None
    assert (deletion.sessions, deletion.counts["turns"], deletion.counts["numbers"]) == (3, 3, 1)
    assert where(all_seeing, bakery.project_id) == {
        "public.audit_about",
        "public.audit_leaves",
        "public.project_deletions",
        "public.erasure_ledger",
    }
    assert where(all_seeing, bakery.scenario_id) == {"public.audit_about", "public.audit_leaves"}, (
        "who made and published it, for seven years"
    )
    assert where(all_seeing, bakery.called) == set()
    for call in calls:
        assert where(all_seeing, call.id) == {"public.consent_proofs"}
    assert [name.rpartition("/")[2] for name in objects(blobs)] == [str(other.id)]
    paid = [row for row in rows_of(all_seeing, "public.usage_events") if row["tenant_id"] == str(bakery.tenant_id)]
    assert len(paid) == 3
    (stub,) = {row["project_stub"] for row in paid}
    assert stub is not None
    assert {(row["project_id"], row["session_id"], row["quantity"]) for row in paid} == {(None, None, 120_000)}
    assert where(all_seeing, stub) == {"public.usage_events"}, "nothing leads from the stub to the project"
    async with database.tenant(florist.tenant_id) as store:
        assert await conversation.turns_of(store, other.id, reader=READS_ALL)


async def test_it_can_be_taken_back_until_its_keys_are_gone(
    store_settings: StoreSettings, database: Database, blobs: Blobs, bakery: Shop
) -> None:
    """Within the days of grace everything is as it was; afterwards there is no way back."""
    call = await make_call(database, blobs, bakery, NOW)
    async with database.tenant(bakery.tenant_id) as store:
        await delete_project(store, bakery.project_id, actor=OPERATOR)
        with pytest.raises(DeletionRefusedError, match="already"):
            await delete_project(store, bakery.project_id, actor=OPERATOR)
    await JobWorker(store_settings, database, blobs, tasks={TASK: run}).run_due()
    async with database.tenant(bakery.tenant_id) as store:
        await take_back(store, bakery.project_id, actor=OPERATOR)
        assert await conversation.turns_of(store, call.id, reader=READS_ALL)
        with pytest.raises(NoProjectError):
            await take_back(store, bakery.project_id, actor=OPERATOR)
    assert not await _locked(database, bakery)
    await carry_out(database, blobs, bakery.tenant_id, bakery.project_id)
    async with database.tenant(bakery.tenant_id) as store:
        assert await conversation.turns_of(store, call.id, reader=READS_ALL)
        await delete_project(store, bakery.project_id, actor=OPERATOR)
    await carry_out(database, blobs, bakery.tenant_id, bakery.project_id)
    async with database.tenant(bakery.tenant_id) as store:
        with pytest.raises(DeletionRefusedError, match="keys are gone"):
            await take_back(store, bakery.project_id, actor=OPERATOR)
    assert GRACE_DAYS < SHRED_DAYS < WIPE_DAYS


async def test_a_hold_stands_in_the_way(database: Database, blobs: Blobs, bakery: Shop) -> None:
    """A held project cannot be deleted, and a hold that comes later keeps its keys."""
    call = await make_call(database, blobs, bakery, NOW)

    async def place(until: datetime) -> None:
        async with database.tenant(bakery.tenant_id) as store:
            await holds.place_hold(
                store, project_id=bakery.project_id, reason="a matter", expires_at=until, actor=OPERATOR
            )

    now = datetime.now(UTC)
    async with database.tenant(bakery.tenant_id) as store:
        await delete_project(store, bakery.project_id, actor=OPERATOR)
    await place(now + timedelta(days=10))
    with pytest.raises(holds.HeldError):
        await carry_out(database, blobs, bakery.tenant_id, bakery.project_id)
    async with database.tenant(bakery.tenant_id) as store:
        await take_back(store, bakery.project_id, actor=OPERATOR)
        assert await conversation.turns_of(store, call.id, reader=READS_ALL)
        with pytest.raises(holds.HeldError):
            await delete_project(store, bakery.project_id, actor=OPERATOR)
    async with database.tenant(bakery.tenant_id) as store:
        await delete_project(store, bakery.project_id, actor=OPERATOR, now=now + timedelta(days=11))
    await carry_out(database, blobs, bakery.tenant_id, bakery.project_id, now=now + timedelta(days=11))
    assert not objects(blobs)


async def test_a_late_one_is_seen(database: Database, blobs: Blobs, bakery: Shop, florist: Shop) -> None:
    """After 25 days somebody is alarmed, whosesoever it is, and no longer once it is done."""
    for shop in (bakery, florist):
        async with database.tenant(shop.tenant_id) as store:
            await delete_project(store, shop.project_id, actor=OPERATOR, now=NOW)

    async def late(days: int) -> int:
        async with database.platform_jobs() as platform:
            return await overdue(platform, NOW + timedelta(days=days))

    assert (await late(25), await late(26)) == (0, 2)
    await carry_out(database, blobs, bakery.tenant_id, bakery.project_id)
    assert await late(26) == 1


async def test_another_tenants_project_is_none(database: Database, bakery: Shop, florist: Shop) -> None:
    """It can neither be deleted nor looked at."""
    async with database.tenant(bakery.tenant_id) as store:
        for act in (delete_project, take_back):
            with pytest.raises(NoProjectError):
                await act(store, florist.project_id, actor=OPERATOR)
        with pytest.raises(NoProjectError):
            await find_deletion(store, florist.project_id)
    assert not await _locked(database, florist)

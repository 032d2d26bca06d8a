"""New keys come into use without a gap, everything comes under them, old ones go; killed anywhere, it ends the same."""

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlmodel import col, delete, select
from uuid_utils.compat import uuid7

from policies.audit_tags import OPERATOR, Tag
from policies.key_schedule import Purpose
from policies.secret import Secret
from store import key_rotation, keys, reencryption, secrets_vault, sessions
from store.audit import log
from store.blobs import Blobs
from store.dsar import intake
from store.engine import Database
from store.jobs import Round, Work
from store.scope import TenantStore
from store.sealed_rows import KEYED, KeyedColumn, rows_under
from store.settings import StoreSettings
from store.tables.audit import SubjectKeyTable
from store.tables.base import TenantRow
from store.tables.calls import SessionTable
from store.tables.dsar import DsarCodeTable
from store.tables.keys import DataKeyTable
from store.tables.people import FailedCodeTable
from tests.database import Shop
from tests.store.erasure.conftest import all_seeing, blobs
from tests.store.erasure.world import CALLER, make_call
from tests.store.keyed import Kept, columns_filled, fill, let_pass, seen

__all__ = ["all_seeing", "blobs"]

_ROOT = Path(__file__).parents[2]
_HOUR = timedelta(hours=1)
_MOST_STEPS = 80
_RENEWED_ELSEWHERE = {"dsar_codes.number_index", "failed_codes.email_index"}
"""Rows that live for a day and have nothing from which an index could be made: they stay until they go."""


@pytest.fixture
async def kept(database: Database, blobs: Blobs, bakery: Shop, all_seeing: str) -> Kept:
    """A tenant with something in each column that a key has made, with keys that are an hour old."""
    found = await fill(database, blobs, bakery)
    let_pass(all_seeing, _HOUR)
    return found


async def _rotate(database: Database, tenant_id: UUID) -> None:
    async with database.tenant(tenant_id) as store:
        await key_rotation.rotate(store, actor=OPERATOR)


async def _rows(database: Database, tenant_id: UUID) -> Counter[tuple[Purpose, str]]:
    """How many values lie under keys of each state."""
    async with database.tenant(tenant_id) as store:
        found = Counter[tuple[Purpose, str]]()
        for one in await key_rotation.status(store, datetime.now(UTC)):
            found[one.purpose, one.state] += one.rows
        return found


async def test_there_is_something_in_each_column(database: Database, kept: Kept) -> None:
    """The tests below are about all columns. Where this fails a new one is to be filled in `tests.store.keyed`."""
    async with database.tenant(kept.shop.tenant_id) as store:
        assert await columns_filled(store) == {keyed.place for keyed in KEYED}


async def test_everything_comes_under_the_new_keys(database: Database, kept: Kept, all_seeing: str) -> None:
    """All reads as before, nothing is left under the old keys, and who and how much is in the audit log."""
    tenant_id = kept.shop.tenant_id
    async with database.tenant(tenant_id) as store:
        before = await seen(store, kept)
        await store.change(delete(DsarCodeTable))
        await store.change(delete(FailedCodeTable))
    assert len(before["calls"]) == 3
    assert before["persons"] == [{"number": CALLER}]
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)
    steps: list[tuple[int, int]] = []

    async def told(done: int, of: int) -> None:
        steps.append((done, of))

    renewed = await reencryption.reencrypt(database, tenant_id, actor=OPERATOR, progress=told)
    assert set(renewed) == {keyed.place for keyed in KEYED} - _RENEWED_ELSEWHERE - {"audit_personal.subject"}
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1] == sum(renewed.values()) - renewed["keys.subject_keys.subject"]
    found = await _rows(database, tenant_id)
    for purpose in (Purpose.WRAPPING, Purpose.COLUMNS, Purpose.INDEX):
        assert found[purpose, "primary"] > 0
        assert found[purpose, "decrypt_only"] == 0
    async with database.tenant(tenant_id) as store:
        assert await seen(store, kept) == before
        (entry,) = await log.entries(store, tag=str(Tag.KEYS_REENCRYPTED))
        assert (entry.actor, entry.facts) == (OPERATOR, renewed)
    assert await reencryption.reencrypt(database, tenant_id, actor=OPERATOR) == {}


async def test_old_keys_go_with_the_last_backup(database: Database, kept: Kept, all_seeing: str) -> None:
    """Not while anything is under them, not while a backup may hold something, and then for good."""
    tenant_id, now = kept.shop.tenant_id, datetime.now(UTC)
    async with database.tenant(tenant_id) as store:
        before = await seen(store, kept)
        await store.change(delete(DsarCodeTable))
        await store.change(delete(FailedCodeTable))
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)

    async def destroyed_after(days: int) -> int:
        async with database.tenant(tenant_id) as store:
            return await key_rotation.destroy_empty(store, actor=OPERATOR, now=now + timedelta(days=days))

    assert await destroyed_after(0) == 0
    assert await destroyed_after(1_000) == 0, "rows are under them"
    await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
    assert await destroyed_after(0) == 0
    assert await destroyed_after(29) == 0, "backups hold rows that are"
    assert await destroyed_after(30) == 3
    assert await destroyed_after(60) == 0
    async with database.tenant(tenant_id) as store:
        states = Counter(one.state for one in await key_rotation.status(store, now))
        assert states == {"primary": 3, "destroyed": 3}
        assert await seen(store, kept) == before
        assert len(await log.entries(store, tag=str(Tag.KEYS_DESTROYED))) == 3


async def test_what_appears_under_an_emptied_key_saves_it(database: Database, kept: Kept, all_seeing: str) -> None:
    """A value written by a process that was asleep starts the wait for backups again."""
    tenant_id, now = kept.shop.tenant_id, datetime.now(UTC)
    async with database.tenant(tenant_id) as store:
        old = await store.keys.in_use(store, Purpose.WRAPPING)
        wrapped = (await store.keys.new_data_key(store, session_id := uuid7())).wrapped
        assert wrapped.startswith(old.prefix)
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)
    await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
    async with database.tenant(tenant_id) as store:
        assert await rows_under(store, Purpose.WRAPPING, old.id) == 0
        await key_rotation.destroy_empty(store, actor=OPERATOR, now=now)
        await store.put(DataKeyTable, [{"session_id": session_id, "wrapped": wrapped}], replace=["wrapped"])
        await key_rotation.destroy_empty(store, actor=OPERATOR, now=now + timedelta(days=40))
        (status,) = [one for one in await key_rotation.status(store, now) if one.id == old.id]
    assert (status.state, status.rows, status.empty_since) == ("decrypt_only", 1, None)


async def test_callers_are_found_all_the_time(database: Database, kept: Kept, blobs: Blobs, all_seeing: str) -> None:
    """By number, before a new index key is in use, while some calls are under each, and afterwards."""
    shop = kept.shop

    async def found() -> int:
        async with database.tenant(shop.tenant_id) as store:
            return len(await sessions.list_sessions(store, caller=CALLER, actor=OPERATOR))

    await _rotate(database, shop.tenant_id)
    assert await found() == 3
    let_pass(all_seeing, _HOUR)
    fresh = await make_call(database, blobs, shop, datetime.now(UTC))
    assert await found() == 4
    assert len(await _indexes(database, shop.tenant_id)) == 2
    await reencryption.reencrypt(database, shop.tenant_id, actor=OPERATOR)
    assert await found() == 4
    assert len(await _indexes(database, shop.tenant_id)) == 1
    async with database.tenant(shop.tenant_id) as store:
        assert fresh.id in {one.id for one in await sessions.list_sessions(store, caller=CALLER, actor=OPERATOR)}


async def _indexes(database: Database, tenant_id: UUID) -> set[bytes]:
    async with database.tenant(tenant_id) as store:
        rows = await store.all(select(SessionTable.caller_index).where(col(SessionTable.caller_index).is_not(None)))
        return {bytes(row) for row in rows if row is not None}


async def test_the_audit_log_means_one_person(database: Database, kept: Kept, blobs: Blobs, all_seeing: str) -> None:
    """A caller whom the log knows under the old index and the new one is one person again, forgotten at once."""
    tenant_id = kept.shop.tenant_id
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)
    async with database.tenant(tenant_id) as store:
        index = await sessions.caller_index(store, CALLER)
        facts = {"objects": {"session": "x"}, "personal": {"number": CALLER, "note": "again"}, "subject": index}
        await log.record(store, OPERATOR, Tag.DSAR_CASE_OPENED, **facts)
        assert len(await store.all(select(SubjectKeyTable.subject))) == 2
    await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
    async with database.tenant(tenant_id) as store:
        assert await store.all(select(SubjectKeyTable.subject)) == [index]
        persons = [one.personal for one in await log.entries(store, limit=200) if one.personal]
        assert persons == [{"number": CALLER, "note": "again"}, {"number": CALLER}]
        assert await log.forget(store, index) == 2


async def test_a_code_that_was_sent_is_still_right(database: Database, kept: Kept, all_seeing: str) -> None:
    """Who was sent a code before the index key was renewed proves the number with it afterwards."""
    await _rotate(database, kept.shop.tenant_id)
    let_pass(all_seeing, _HOUR)
    await reencryption.reencrypt(database, kept.shop.tenant_id, actor=OPERATOR)
    async with database.tenant(kept.shop.tenant_id) as store:
        assert await intake.prove(store, kept.intake_id, kept.code, actor=OPERATOR) == "proven"


async def test_an_erased_call_stays_erased(
    database: Database, store_settings: StoreSettings, kept: Kept, all_seeing: str
) -> None:
    """A call that is shredded between the reading and the writing of its page does not come back."""
    tenant_id, doomed = kept.shop.tenant_id, kept.calls[1]
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)
    other = await Database.open(store_settings)
    shredded = False

    async def shred() -> None:
        async with other.tenant(tenant_id) as store:
            assert await store.keys.shred(store, doomed)

    replace_rows = reencryption._replace  # between reading and writing there is no other way in

    async def late(
        store: TenantStore, keyed: KeyedColumn, page: Sequence[TenantRow], renewed: Mapping[bytes, bytes]
    ) -> int:
        nonlocal shredded
        if keyed.place == "keys.data_keys.wrapped" and not shredded:
            shredded = True
            await shred()
        return await replace_rows(store, keyed, page, renewed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reencryption, "_replace", late)
        renewed = await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
    await other.close()
    assert shredded
    assert renewed["keys.data_keys.wrapped"] == len(kept.calls) - 1
    async with database.tenant(tenant_id) as store:
        assert doomed not in await store.keys.data_keys(store, kept.calls)


async def test_what_cannot_be_read_keeps_its_key(database: Database, kept: Kept, all_seeing: str) -> None:
    """A damaged value stops nothing else, stays, and with it the key it names."""
    tenant_id = kept.shop.tenant_id
    async with database.tenant(tenant_id) as store:
        whole = await store.first(select(DataKeyTable.wrapped).where(DataKeyTable.session_id == kept.calls[0]))
        assert whole is not None
        broken = {"session_id": kept.calls[0], "wrapped": whole[:-1] + bytes([whole[-1] ^ 1])}
        await store.put(DataKeyTable, [broken], replace=["wrapped"])
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)
    renewed = await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
    assert renewed["keys.data_keys.wrapped"] == len(kept.calls) - 1
    assert (await _rows(database, tenant_id))[Purpose.WRAPPING, "decrypt_only"] == 1


async def test_one_tenants_keys_are_not_anothers(
    database: Database, kept: Kept, florist: Shop, blobs: Blobs, all_seeing: str
) -> None:
    """Renewing those of one changes no row of the other."""
    await make_call(database, blobs, florist, datetime.now(UTC))
    before = await _rows(database, florist.tenant_id)
    await _rotate(database, kept.shop.tenant_id)
    let_pass(all_seeing, _HOUR)
    await reencryption.reencrypt(database, kept.shop.tenant_id, actor=OPERATOR)
    assert await _rows(database, florist.tenant_id) == before


async def test_the_round_renews_what_is_due(
    database: Database, kept: Kept, florist: Shop, blobs: Blobs, all_seeing: str
) -> None:
    """Keys of 90 days are renewed, what lies under them follows as a job once they are in use, and old ones end."""
    tenant_id = kept.shop.tenant_id

    async def ages(days: int) -> None:
        let_pass(all_seeing, timedelta(days=days))
        await reencryption.run_round(Round(database=database, blobs=blobs, at=datetime.now(UTC)))

    async def states() -> Counter[str]:
        async with database.tenant(tenant_id) as store:
            return Counter(one.state for one in await key_rotation.status(store, datetime.now(UTC)))

    await ages(89)
    assert await states() == {"primary": 3}
    await ages(1)
    assert await states() == {"primary": 3, "decrypt_only": 3}
    let_pass(all_seeing, _HOUR)
    async with database.tenant(tenant_id) as store:
        await store.change(delete(DsarCodeTable))
        await store.change(delete(FailedCodeTable))
    work = Work(database=database, blobs=blobs, tenant_id=tenant_id, job_id=1, task=reencryption.TASK, arguments={})
    await reencryption.run(work)
    assert (await _rows(database, tenant_id))[Purpose.WRAPPING, "decrypt_only"] == 0
    let_pass(all_seeing, timedelta(days=31))
    await reencryption.run(work)
    assert await states() == {"primary": 3, "destroyed": 3}
    async with database.tenant(florist.tenant_id) as store:
        assert await key_rotation.is_any_due(store, datetime.now(UTC) + timedelta(days=90))


async def test_two_processes_never_miss_each_other(
    database: Database, store_settings: StoreSettings, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While keys are renewed and everything follows, each reads what the other writes and finds every caller."""
    monkeypatch.setattr(keys, "_REMEMBERED", timedelta(seconds=0.3))
    monkeypatch.setattr(keys, "PUBLISHED", timedelta(seconds=0.6))
    tenant_id = kept.shop.tenant_id
    other = await Database.open(store_settings)
    used: set[bytes] = set()
    stop = asyncio.Event()

    async def talk(mine: Database, theirs: Database, name: str) -> int:
        rounds = 0
        while not stop.is_set():
            async with mine.tenant(tenant_id) as store:
                await secrets_vault.set_secret(store, name, Secret(f"{name} {rounds}"), actor=OPERATOR)
                used.add((await store.keys.blind_index(store, "caller", CALLER))[:4])
            async with theirs.tenant(tenant_id) as store:
                assert (await secrets_vault.use_secret(store, name)).reveal() == f"{name} {rounds}"
                assert len(await sessions.list_sessions(store, caller=CALLER, actor=OPERATOR)) == 3
            rounds += 1
        return rounds

    async def renew() -> None:
        for _ in range(2):
            await _rotate(database, tenant_id)
            await asyncio.sleep(0.8)
            await reencryption.reencrypt(database, tenant_id, actor=OPERATOR)
        stop.set()

    one, another, _ = await asyncio.gather(talk(database, other, "a"), talk(other, database, "b"), renew())
    await other.close()
    assert min(one, another) > 5
    assert len(used) == 3, "each key was in use"


class Rewriter:
    """The program of `rewriter.py`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    async def reencrypt(self, tenant_id: UUID, step: int) -> bool:
        """Do it, killed before the step; whether it came to its end before."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(tenant_id), step]) + "\n")
        self._process.stdin.flush()
        answer = await asyncio.to_thread(self._process.stdout.readline)
        assert answer.strip() in {"0", str(-signal.SIGKILL)}, answer
        return answer.strip() == "0"


@contextmanager
def _rewriter(settings: StoreSettings) -> Iterator[Rewriter]:
    program = [sys.executable, "-m", "tests.store.rewriter", str(settings.database_url), str(settings.home)]
    with subprocess.Popen(program, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Rewriter(process)
        process.kill()


@pytest.mark.long
async def test_killed_at_each_step_it_ends_the_same(
    store_settings: StoreSettings, database: Database, kept: Kept, all_seeing: str
) -> None:
    """Killed before its first commit, then before its second, and so on to the last: all can be read all the time."""
    tenant_id = kept.shop.tenant_id
    async with database.tenant(tenant_id) as store:
        before = await seen(store, kept)
        await store.change(delete(DsarCodeTable))
        await store.change(delete(FailedCodeTable))
    await _rotate(database, tenant_id)
    let_pass(all_seeing, _HOUR)
    onlooker = await Database.open(store_settings)
    with _rewriter(store_settings) as rewriter:
        for step in range(1, _MOST_STEPS):
            ended = await rewriter.reencrypt(tenant_id, step)
            async with onlooker.tenant(tenant_id) as store:
                assert await seen(store, kept) == before, f"killed before step {step}"
            if ended:
                break
        assert ended, "the last one came to its end"
        assert step > 20, "it was killed again and again"
    async with onlooker.tenant(tenant_id) as store:
        assert Counter(one.state for one in await key_rotation.status(store, datetime.now(UTC))) == {
            "primary": 3,
            "destroyed": 3,
        }
    await onlooker.close()


async def test_new_keys_are_there_whole_or_not_at_all(
    database: Database, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A renewal that is cut off before its end leaves the keys as they were."""

    async def cut_off(*_: object, **__: object) -> int:
        raise ConnectionError

    monkeypatch.setattr(key_rotation, "record", cut_off)
    with pytest.raises(ConnectionError):
        await _rotate(database, kept.shop.tenant_id)
    async with database.tenant(kept.shop.tenant_id) as store:
        assert [one.state for one in await key_rotation.status(store, datetime.now(UTC))] == ["primary"] * 3

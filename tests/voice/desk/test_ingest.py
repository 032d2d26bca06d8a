import asyncio
import fcntl
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from store import conversation, sessions
from store.blobs import FolderBlobs
from store.engine import Database, StoreAwayError
from store.settings import StoreSettings
from tests.database import Shop
from tests.voice.desk import dying
from tests.voice.desk.conftest import database_away, until
from tests.voice.desk.left_behind import (
    CALL,
    SOUND,
    STARTED_UNIX_MS,
    header_of,
    leave_call,
    open_call,
    sealed_journal,
    stored,
)
from voice.desk.ingest import Ingestion, LostCall
from voice.desk.spool import Spool
from voice.desk.transfers import TransferReports
from voice.waist.journal import ConsentDecided, JournalSealer, RecordingStarted, TurnSounding, TurnSpoken


@pytest.fixture
def spool(folder: Path) -> Path:
    """The folder where calls leave their files."""
    (folder / "spool").mkdir()
    return folder / "spool"


@pytest.fixture
def ingestion(database: Database, blobs: FolderBlobs, spool: Path) -> Ingestion:
    """What is tested."""
    return Ingestion(database, blobs, Spool(spool), TransferReports())


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


async def test_whole_call_is_taken_in(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Every word, event and sample is where it belongs, and nothing is left in the spool."""
    left = await leave_call(database, bakery, spool)
    await ingestion.scan()
    call = await stored(database, blobs, bakery, left.session_id)
    started = datetime.fromtimestamp(STARTED_UNIX_MS / 1000, UTC)
    assert call["state"] == ("ended", "caller", "hung_up", 72_000)
    assert call["times"] == (started, started + timedelta(milliseconds=9020))
    assert call["caller"] == "+493012345678"
    assert [turn.text for turn in call["turns"]] == ["Guten Tag", "Ich heiße Kanarienvogel"]
    assert [event.kind for event in call["consent"]] == [
        "disclosure_played",
        "consent_decided",
        "gate_opened",
        "recording_started",
        "recording_paused",
        "recording_resumed",
    ]
    assert call["usage"] == {
        "call_ms": 9000,
        "input_text_tokens": 10,
        "input_audio_tokens": 20,
        "output_text_tokens": 30,
        "output_audio_tokens": 40,
    }
    assert call["sound"] == SOUND
    assert call["starts"] == 40_000
    assert not names(spool)
    assert ingestion.ingested == 1
    assert ingestion.damaged == 0


async def test_what_is_personal_goes_with_the_key(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Facts hold no number, key, argument or name; deleting the call's key takes the rest."""
    left = await leave_call(database, bakery, spool)
    await ingestion.scan()
    async with database.tenant(bakery.tenant_id) as store:
        events = await conversation.events_of(store, left.session_id, reader=READS_ALL)
        await store.keys.shred(store, left.session_id)
    facts = repr([dict(event.facts) for event in events])
    for personal in ("4930", "192.0.2.1", "'digit'", "montag", "operator"):
        assert personal not in facts
    assert any(event.personal.get("arguments") == {"day": "montag"} for event in events)


async def test_again_changes_nothing(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Files that come back, as after a restored disk, give the same rows and no second one."""
    left = await leave_call(database, bakery, spool)
    files = {path: path.read_bytes() for path in (left.journal, left.recording)}
    await ingestion.scan()
    before = await stored(database, blobs, bakery, left.session_id)
    for path, content in files.items():
        path.write_bytes(content)
    await ingestion.scan()
    left.journal.write_bytes(files[left.journal])  # a crash between removing the recording and the journal
    await ingestion.scan()
    assert await stored(database, blobs, bakery, left.session_id) == before
    assert not names(spool)


async def test_running_call_is_left_alone(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """While the worker holds the lock nothing is touched; once it has let go, or died, the call is taken in."""
    left = await leave_call(database, bakery, spool)
    with left.journal.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await ingestion.scan()
        assert left.journal.exists()
        assert (await stored(database, blobs, bakery, left.session_id))["turns"] == ()
    await ingestion.scan()
    assert not names(spool)


def cuts(content: bytes) -> list[tuple[int, int]]:
    """Lengths a cut journal may have, each with the number of whole records in it."""
    ends = [10 + int.from_bytes(content[6:10])]
    while ends[-1] < len(content):
        ends.append(ends[-1] + 4 + int.from_bytes(content[ends[-1] : ends[-1] + 4]))
    whole = [(end, number) for number, end in enumerate(ends[:-1])]
    return [*whole, *((end + 3, number) for end, number in whole[::4]), (ends[-1] - 1, len(whole) - 1)]


async def test_killed_worker_keeps_what_it_had_written(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Wherever journal and recording just stop, all whole records and chunks are kept, and the end is named."""
    opened = await open_call(database, bakery)
    content = sealed_journal(bakery, opened)
    for number, (length, records) in enumerate(cuts(content)):
        left = await leave_call(database, bakery, spool)
        os.truncate(left.journal, length)
        chunks = number % 4
        os.truncate(left.recording, 56 + 4_112 * chunks + 100 * (number % 3))
        await ingestion.scan()
        call = await stored(database, blobs, bakery, left.session_id)
        said = [record.text for record in CALL[:records] if isinstance(record, TurnSpoken)]
        if records and isinstance(CALL[records - 1], TurnSounding):
            said = [CALL[records - 1].text]  # type: ignore[union-attr]  # just looked at
        recorded = chunks > 0 and any(isinstance(record, RecordingStarted) for record in CALL[:records])
        assert call["state"][:3] == ("ended", "system", "worker_lost")
        assert [turn.text for turn in call["turns"]] == said
        assert call["sound"] == (SOUND[: 4_096 * chunks] if recorded else None)
        assert not names(spool) - {"damaged"}


async def test_refused_recording_is_not_kept(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """A worker that was killed between the caller's no and the deletion leaves a file that must not survive."""
    refused = tuple(
        msgspec.structs.replace(record, verdict="refused") if isinstance(record, ConsentDecided) else record
        for record in CALL
    )
    left = await leave_call(database, bakery, spool, records=refused)
    await ingestion.scan()
    assert (await stored(database, blobs, bakery, left.session_id))["sound"] is None
    assert not names(spool)
    assert not list(blobs.list())


async def test_damaged_journal_is_kept_and_holds_up_nobody(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Its beginning is taken in, its original set aside for an operator, and the next call is taken in as ever."""
    damaged, whole = await leave_call(database, bakery, spool), await leave_call(database, bakery, spool)
    content = bytearray(damaged.journal.read_bytes())
    content[-40] ^= 1
    damaged.journal.write_bytes(content)
    await ingestion.scan()
    call = await stored(database, blobs, bakery, damaged.session_id)
    assert call["state"][2] == "worker_lost"
    assert len(call["turns"]) == 2
    assert (spool / "damaged" / damaged.journal.name).read_bytes() == content
    assert (await stored(database, blobs, bakery, whole.session_id))["state"][2] == "hung_up"
    assert names(spool) == {"damaged"}
    assert ingestion.damaged == 1


async def test_what_is_no_journal_is_set_aside(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, florist: Shop, spool: Path
) -> None:
    """Noise, a header under another call's name, and a key of another tenant never become rows, and are not lost."""
    noise = await leave_call(database, bakery, spool)
    noise.journal.write_bytes(b"AITJ1\n\0\0\0\5hello")
    renamed = await leave_call(database, bakery, spool, sound=None)
    other = await open_call(database, bakery)
    renamed.journal.write_bytes(sealed_journal(bakery, other))
    stolen = await leave_call(database, bakery, spool, sound=None)
    mine = await open_call(database, florist)
    forged = header_of(bakery, mine)
    stolen.journal.write_bytes(
        JournalSealer(msgspec.structs.replace(forged, session_id=str(stolen.session_id)), bytes(32)).preamble
    )
    whole = await leave_call(database, bakery, spool)
    await ingestion.scan()
    assert {left.journal.name for left in (noise, renamed, stolen)} <= names(spool / "damaged")
    assert names(spool) == {"damaged"}
    for left in (noise, renamed, stolen):
        assert (await stored(database, blobs, bakery, left.session_id))["turns"] == ()
    assert (await stored(database, blobs, bakery, whole.session_id))["turns"]


async def test_recording_nobody_announced_is_set_aside(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """Sound without a record of when it began cannot be placed, and nobody knows whether it was allowed."""
    silent = tuple(record for record in CALL if not isinstance(record, RecordingStarted))
    left = await leave_call(database, bakery, spool, records=silent)
    await ingestion.scan()
    assert (await stored(database, blobs, bakery, left.session_id))["sound"] is None
    assert left.recording.name in names(spool / "damaged")


async def test_erased_call_does_not_come_back(
    ingestion: Ingestion, database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path
) -> None:
    """A call whose key was deleted while its files waited is deleted from the spool, too."""
    left = await leave_call(database, bakery, spool)
    async with database.tenant(bakery.tenant_id) as store:
        await store.keys.shred(store, left.session_id)
    await ingestion.scan()
    assert not names(spool)
    assert not list(blobs.list())


async def test_database_away_loses_nothing(
    ingestion: Ingestion,
    database: Database,
    blobs: FolderBlobs,
    bakery: Shop,
    spool: Path,
    database_home: Path,
    store_settings: StoreSettings,
) -> None:
    """While the database refuses, everything waits in the spool; soon after it is back, everything is taken in."""
    left = await leave_call(database, bakery, spool)
    with database_away(database_home, store_settings):
        with pytest.raises(StoreAwayError):
            await ingestion.scan()
        working = asyncio.ensure_future(ingestion.run())
        ingestion.lose(LostCall(bakery.tenant_id, uuid7(), "worker_lost", spare=False))
        await asyncio.sleep(0.3)
        assert left.journal.exists()
        assert left.recording.exists()
    try:
        await until(lambda: not names(spool))
    finally:
        working.cancel()
    assert (await stored(database, blobs, bakery, left.session_id))["sound"] == SOUND


async def test_call_without_journal_is_closed_and_spare_discarded(
    ingestion: Ingestion, database: Database, bakery: Shop
) -> None:
    """A lost call ends its row; a spare plan that was never used leaves neither row nor key."""
    lost, spare, used = [await open_call(database, bakery) for _ in range(3)]
    async with database.tenant(bakery.tenant_id) as store:
        await store.fixed(
            "UPDATE sessions SET state = 'spare' WHERE tenant_id = :tenant_id AND id = ANY(:ids)",
            ids=[spare.id, used.id],
        )
    ingestion.lose(LostCall(bakery.tenant_id, lost.id, "worker_lost", spare=False))
    ingestion.lose(LostCall(bakery.tenant_id, spare.id, "worker_lost", spare=True))
    ingestion.spare_used(bakery.tenant_id, used.id)
    await ingestion.scan()
    async with database.tenant(bakery.tenant_id) as store:
        found = [await sessions.find_session(store, opened.id, actor=OPERATOR) for opened in (lost, spare, used)]
        assert spare.id not in await store.keys.data_keys(store, [spare.id])
    assert [session and session.state for session in found] == ["ended", None, "open"]


async def test_two_ingestions_do_not_meet(database: Database, blobs: FolderBlobs, bakery: Shop, spool: Path) -> None:
    """Two desks on one spool, as during a restart, take each call in once."""
    for _ in range(4):
        await leave_call(database, bakery, spool)
    both = [Ingestion(database, blobs, Spool(spool), TransferReports()) for _ in range(2)]
    await asyncio.gather(*(ingestion.scan() for ingestion in both))
    assert sum(ingestion.ingested for ingestion in both) == 4
    assert not names(spool)


@pytest.mark.long
async def test_killed_at_any_step_ends_the_same(
    database: Database,
    blobs: FolderBlobs,
    bakery: Shop,
    spool: Path,
    store_settings: StoreSettings,
    folder: Path,
) -> None:
    """Ingestion killed before any operation on a file, or around a commit, is finished by the next one, without trace.

    At each second step with a whole recording, at the others with one that has to be recovered.
    """
    steps_file = folder / "steps"

    async def take_in(last: int, *, cut: bool) -> tuple[int | None, dict[str, object]]:
        left = await leave_call(database, bakery, spool)
        if cut:
            os.truncate(left.recording, 56 + 4_112 * 3 + 77)
        code = await asyncio.to_thread(dying.run, store_settings, folder, last, steps_file)
        await Ingestion(database, blobs, Spool(spool), TransferReports()).scan()
        assert not names(spool)
        assert len(list(blobs.list(f"recordings/{bakery.tenant_id}/{left.session_id}"))) == 1
        return code, await stored(database, blobs, bakery, left.session_id)

    for cut in (False, True):
        code, expected = await take_in(NEVER, cut=cut)
        assert code == 0
        steps = int(steps_file.read_text())
        assert steps > 12
        for last in range(1 + cut, steps, 2):
            code, found = await take_in(last, cut=cut)
            assert code == -signal.SIGKILL
            assert found == expected, f"killed at step {last}"


NEVER = 1_000_000

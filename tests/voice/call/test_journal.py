"""The spool: what is written, locked and cut short; and a disk that is full, late or gone."""

import fcntl
import functools
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.pretty import pretty_repr

from policies.chunks import SPOOLED_CHUNK_BYTES, recover, spooled_recording_context
from tests.fakes.plans import PLAN, tone
from voice.call import journal as module
from voice.call.journal import CallLog, Journal, SpoolFile, SpoolWriter
from voice.call.recording_sink import RecordingSink, recording_key
from voice.call.side_by_side import LASTING_TICKS, LONGEST_REST_TICKS
from voice.waist.journal import AlarmRaised, KeyPressed, open_records, read_header

SESSION = msgspec.structs.replace(PLAN, session_id="0198c0de-0000-7000-8000-00000000abcd")


@pytest.fixture
def writer() -> Iterator[SpoolWriter]:
    """A writer's thread."""
    writer = SpoolWriter()
    yield writer
    writer.close()


def key(digit: str) -> KeyPressed:
    return KeyPressed(at_ms=1, digit=digit, by="caller")


async def test_records_wait_for_the_journal_and_follow_it(writer: SpoolWriter, tmp_path: Path) -> None:
    """What happens before the plan is there is written first, and the header says whose call it is."""
    log = CallLog(time.monotonic())
    log.note(key("1"))
    log.open(Journal(writer, tmp_path, SESSION, log.started))
    log.note(key("2"))
    assert await log.close()
    content = (tmp_path / f"{SESSION.session_id}.journal").read_bytes()
    assert list(open_records(content, SESSION.data_key)) == [key("1"), key("2")]
    header = read_header(content)
    assert (header.session_id, header.wrapped_data_key) == (SESSION.session_id, SESSION.wrapped_data_key)
    assert abs(header.started_at_unix_ms / 1000 - time.time()) < 5


async def test_journal_is_locked_while_the_call_lives(writer: SpoolWriter, tmp_path: Path) -> None:
    """Whoever finds the file can tell by its lock whether the call is over."""
    journal = Journal(writer, tmp_path, SESSION, time.monotonic())
    await writer.done()
    path = tmp_path / f"{SESSION.session_id}.journal"
    with path.open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        await journal.close()
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert path.stat().st_mode & 0o777 == 0o600


def recorded(folder: Path) -> bytes:
    """What can be read of the recording as it is now."""
    sealed = (folder / f"{SESSION.session_id}.recording").read_bytes()
    context = spooled_recording_context(SESSION.tenant_id, SESSION.session_id)
    key = recording_key(SESSION.data_key)
    return b"".join(recover(key, context, sealed, AESGCM, chunk_bytes=SPOOLED_CHUNK_BYTES))


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_what_comes_after_the_end_is_not_written(writer: SpoolWriter, tmp_path: Path) -> None:
    """A record that is late finds a closed journal, and makes no new one in the place of one that was taken in."""
    journal = Journal(writer, tmp_path, SESSION, time.monotonic())
    await journal.close()
    (tmp_path / f"{SESSION.session_id}.journal").unlink()
    journal.note(key("1"))
    await writer.done()
    assert names_in(tmp_path) == []


def test_journal_that_cannot_get_its_name_leaves_nothing(tmp_path: Path) -> None:
    """A file that cannot be renamed is given up, and the next try begins anew."""
    (tmp_path / "x.journal").mkdir()
    file = SpoolFile(tmp_path / "x.journal", locked=True)
    file.write(b"a")
    assert file.troubled
    assert not (tmp_path / "x.unborn").exists()
    (tmp_path / "x.journal").rmdir()
    file.write(b"b")
    file.close()
    assert (tmp_path / "x.journal").read_bytes() == b"ab"


async def test_recording_cut_short_keeps_its_whole_chunks(writer: SpoolWriter, tmp_path: Path) -> None:
    """Whenever its writer is killed, a recording is readable up to its last second."""
    sink = RecordingSink(writer, tmp_path, SESSION, lambda: None)
    sink.start()
    missing = []
    for ticks in range(1, 501):
        sink.tick(tone(300, 0.02), bytes(320), 0)
        if ticks > 400:
            await writer.done()
            plain = recorded(tmp_path)
            missing.append((ticks * 160 - len(plain) // 2) / 8000)
    behind = LASTING_TICKS - 1 + LONGEST_REST_TICKS
    assert sink.samples == 80000 - behind * 160
    assert 0.5 < max(missing) < 0.75
    assert set(plain[1::2]) == {0xFF}
    assert b"\xff" * 100 not in plain[0::2]


def test_full_disk_keeps_order_and_says_what_is_missing(tmp_path: Path) -> None:
    """Bytes that the disk does not take wait; once there is room they follow, and a gap is named."""
    program = f"""
        import asyncio, resource, sys, time
        from pathlib import Path
        import voice.call.journal as module
        from tests.voice.call.test_journal import SESSION, key
        from voice.waist.journal import open_records

        module.JOURNAL_WAITING_BYTES = 3000
        folder = Path({str(tmp_path)!r})

        async def main():
            writer = module.SpoolWriter()
            log = module.CallLog(time.monotonic())
            journal = module.Journal(writer, folder, SESSION, log.started)
            log.open(journal)
            log.note(key("1"))
            await writer.done()
            resource.setrlimit(resource.RLIMIT_FSIZE, (700, resource.RLIM_INFINITY))
            for _ in range(500):
                log.note(key("2"))
            await writer.done()
            assert journal._file.troubled
            assert journal._file.waiting_bytes < 4000
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            log.note(key("3"))
            assert await log.close()
            writer.close()

        asyncio.run(main())
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60, cwd=Path.cwd())
    content = (tmp_path / f"{SESSION.session_id}.journal").read_bytes()
    kept = list(open_records(content, SESSION.data_key))
    assert kept[0] == key("1")
    assert kept[-1] == key("3")
    alarms = [record.what for record in kept if isinstance(record, AlarmRaised)]
    assert "journal_records_lost" in alarms
    assert 20 < sum(record == key("2") for record in kept) < 500


def test_full_disk_makes_silence_not_a_shift(tmp_path: Path) -> None:
    """Sound that could not be kept leaves silence of its own length behind, and an alarm is raised once."""
    program = f"""
        import asyncio, resource
        from pathlib import Path
        import voice.call.recording_sink as module
        from tests.fakes.plans import tone
        from tests.voice.call.test_journal import SESSION
        from voice.call.journal import SpoolWriter

        module.WAITING_BYTES = 40_000
        alarms = []

        async def main():
            writer = SpoolWriter()
            sink = module.RecordingSink(writer, Path({str(tmp_path)!r}), SESSION, lambda: alarms.append(1))
            sink.start()
            frame = tone(300, 0.02)
            def second(count):
                for _ in range(50 * count):
                    sink.tick(frame, frame, 0)
            second(2)
            await writer.done()
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
            second(10)
            await writer.done()
            assert sink._file.file.waiting_bytes < 70_000
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            second(3)
            sink.finish()
            await writer.done()
            assert alarms == [1], alarms
            writer.close()

        asyncio.run(main())
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60, cwd=Path.cwd())
    plain = recorded(tmp_path)
    assert len(plain) == 15 * 16000
    assert b"\xff" * 16000 in plain
    assert b"\xff" * 100 not in plain[-2 * 16000 :]
    assert b"\xff" * 100 not in plain[: 2 * 16000]


def test_folder_that_is_gone_raises_an_alarm_and_nothing_else(tmp_path: Path) -> None:
    """A spool that cannot even be opened costs memory up to a limit, no call."""
    alarms: list[int] = []
    file = SpoolFile(tmp_path / "gone" / "x.recording", troubled=lambda: alarms.append(1))
    file.write(b"a")
    file.write(b"b")
    assert alarms == [1]
    assert file.waiting_bytes == 2
    (tmp_path / "gone").mkdir()
    file.write(b"c")
    file.close()
    assert (tmp_path / "gone" / "x.recording").read_bytes() == b"abc"


def test_nobody_can_plant_a_link(tmp_path: Path) -> None:
    """A file that is already there, or a link, is not written to."""
    (tmp_path / "target").write_bytes(b"")
    (tmp_path / "x.recording").symlink_to(tmp_path / "target")
    file = SpoolFile(tmp_path / "x.recording")
    file.write(b"secret")
    file.close()
    assert (tmp_path / "target").stat().st_size == 0


def test_a_plan_in_a_traceback_shows_no_secret() -> None:
    """However a plan is shown, neither its key nor its texts are."""
    for shown in (repr(PLAN), str(PLAN), pretty_repr(PLAN)):
        assert shown == "CallPlan(session_id='')"


async def test_a_disk_that_stays_full_costs_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of calls that are over only the latest wait for room; older ones are let go of, and their locks with them."""
    monkeypatch.setattr(module, "MOST_UNFINISHED_FILES", 2)
    writer = SpoolWriter()
    files = [SpoolFile(tmp_path / "gone" / f"{number}.recording") for number in range(4)]
    for file in files:
        writer.do(functools.partial(file.write, b"sound"))
        writer.finish(file)
    await writer.done()
    assert [file.waiting_bytes for file in files] == [0, 0, 5, 5]
    (tmp_path / "gone").mkdir()
    writer.close()
    assert sorted(path.name for path in (tmp_path / "gone").iterdir()) == ["2.recording", "3.recording"]

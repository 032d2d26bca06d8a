import fcntl
import multiprocessing
import os
import uuid
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from voice.desk.spool import Spool
from voice.waist.journal import CallEnded, Header, JournalDamagedError, JournalSealer

KEY = bytes(range(32))


def leave(folder: Path, *, recording: bytes | None = None) -> str:
    """Writes the journal of a call that is over; returns the session id."""
    session_id = str(uuid.uuid4())
    header = Header(
        session_id=session_id,
        tenant_id=str(uuid.uuid4()),
        project_id=str(uuid.uuid4()),
        scenario_id=str(uuid.uuid4()),
        scenario_version=1,
        wrapped_data_key=b"wrapped",
        started_at_unix_ms=1_700_000_000_000,
    )
    sealer = JournalSealer(header, KEY)
    end = CallEnded(at_ms=5, reason="hung_up", by="caller", recorded_samples=0, heard_samples=0)
    (folder / f"{session_id}.journal").write_bytes(sealer.preamble + sealer.seal(end))
    if recording is not None:
        (folder / f"{session_id}.recording").write_bytes(recording)
    return session_id


def test_lists_only_journals(tmp_path: Path) -> None:
    """Recordings, partial names and other people's files are not taken for journals."""
    spool = Spool(tmp_path)
    session_id = leave(tmp_path, recording=b"sound")
    (tmp_path / "notes.journal").write_text("hello")
    (tmp_path / f"{uuid.uuid4()}.recording").write_bytes(b"sound")
    assert list(spool.session_ids()) == [session_id]


def test_locked_journal_is_not_left_behind(tmp_path: Path) -> None:
    """While somebody holds the lock the call goes on; afterwards what it left can be claimed, by one at a time."""
    spool = Spool(tmp_path)
    session_id = leave(tmp_path)
    with (tmp_path / f"{session_id}.journal").open("rb") as worker:
        fcntl.flock(worker, fcntl.LOCK_EX)
        assert spool.claim(session_id) is None
    claimed = spool.claim(session_id)
    assert claimed is not None
    with claimed:
        assert spool.claim(session_id) is None
        assert claimed.journal().startswith(b"AITJ1\n")


def test_link_is_not_followed(tmp_path: Path) -> None:
    """A link or a pipe under a journal's name is refused without reading what it points to."""
    spool = Spool(tmp_path)
    linked, piped = str(uuid.uuid4()), str(uuid.uuid4())
    (tmp_path / f"{linked}.journal").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / f"{piped}.journal")
    for session_id in (linked, piped):
        with pytest.raises(OSError, match=r"plain|symbolic"):
            spool.claim(session_id)


def test_discard_removes_both(tmp_path: Path) -> None:
    """Once ingested, nothing of the call is left in the spool."""
    spool = Spool(tmp_path)
    session_id = leave(tmp_path, recording=b"sound")
    claimed = spool.claim(session_id)
    assert claimed is not None
    with claimed:
        claimed.discard()
    assert not list(tmp_path.iterdir())
    assert spool.claim(session_id) is None


def test_set_aside_keeps_both(tmp_path: Path) -> None:
    """What is damaged moves out of the way and keeps its names."""
    spool = Spool(tmp_path)
    session_id = leave(tmp_path, recording=b"sound")
    claimed = spool.claim(session_id)
    assert claimed is not None
    with claimed:
        claimed.set_aside()
    assert not list(spool.session_ids())
    assert {path.name for path in (tmp_path / "damaged").iterdir()} == {
        f"{session_id}.journal",
        f"{session_id}.recording",
    }


def test_huge_journal_is_damaged(tmp_path: Path) -> None:
    """A journal larger than any call can write is not read into memory."""
    spool = Spool(tmp_path)
    session_id = leave(tmp_path)
    os.truncate(tmp_path / f"{session_id}.journal", 1 << 40)
    claimed = spool.claim(session_id)
    assert claimed is not None
    with claimed, pytest.raises(JournalDamagedError):
        claimed.journal()


def _hold(path: str, ready: Connection) -> None:
    with Path(path).open("rb") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        ready.send(os.getpid())
        ready.recv()


def test_running_call_belongs_to_the_holder_of_its_lock(tmp_path: Path) -> None:
    """Only the process that holds the journal's lock is believed to have the call."""
    spool = Spool(tmp_path)
    session_id = leave(tmp_path)
    ours, theirs = multiprocessing.Pipe()
    holder = multiprocessing.get_context("spawn").Process(
        target=_hold, args=(str(tmp_path / f"{session_id}.journal"), theirs)
    )
    holder.start()
    try:
        process = ours.recv()
        header = spool.header_of_running(session_id, process)
        assert header is not None
        assert header.session_id == session_id
        assert spool.header_of_running(session_id, os.getpid()) is None
        assert spool.header_of_running("../../etc/passwd", process) is None
    finally:
        ours.send("done")
        holder.join()
    assert spool.header_of_running(session_id, process) is None

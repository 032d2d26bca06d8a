"""Objects in a folder and in a bucket: whole or not at all, and gone when they are deleted."""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import blobs as blobs_room
from store.blobs import BlobMissingError, Blobs, BlobsAwayError, FolderBlobs
from store.blobs_s3 import S3Blobs
from tests.peers import s3_server
from tests.peers.s3_server import S3Server

LONG = bytes(range(256)) * 49_152  # 12 MiB: three parts in a bucket


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server.running() as server:
        yield server


@pytest.fixture(params=["folder", "bucket", "bucket with versions"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Each place where objects can lie."""
    if request.param == "folder":
        return FolderBlobs(tmp_path / "blobs")
    server: S3Server = request.getfixturevalue("s3")
    return S3Blobs(server.bucket(versioned="versions" in request.param))


@pytest.fixture
def folder(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(content)
    return path


def test_an_object_is_kept(blobs: Blobs, tmp_path: Path) -> None:
    """What was put under a name can be read in parts, listed and deleted."""
    assert blobs.put_file("recordings/a/b", _file(tmp_path, b"0123456789")) == 10
    assert blobs.put("recordings/a/c", b"x") == 1
    assert blobs.put("recordings/a-d", b"") == 0
    assert blobs.size("recordings/a/b") == 10
    assert blobs.size("recordings/a-d") == 0
    assert blobs.read_at("recordings/a/b", 3, 4) == b"3456"
    assert blobs.read_at("recordings/a/b", 8, 100) == b"89"
    assert blobs.read_at("recordings/a/b", 10, 5) == b""
    assert blobs.read_at("recordings/a/b", 2, 0) == b""
    assert sorted(blobs.list()) == ["recordings/a-d", "recordings/a/b", "recordings/a/c"]
    assert sorted(blobs.list("recordings/a/")) == ["recordings/a/b", "recordings/a/c"]
    assert list(blobs.list("recordings/a/c")) == ["recordings/a/c"]
    assert list(blobs.list("nothing/")) == []
    assert blobs.delete("recordings/a/b")
    assert not blobs.delete("recordings/a/b")
    for read in (
        lambda: blobs.size("recordings/a/b"),
        lambda: blobs.read_at("recordings/a/b", 0, 1),
        lambda: blobs.read_at("recordings/a/b", 0, 0),
    ):
        with pytest.raises(BlobMissingError):
            read()
    assert sorted(blobs.list()) == ["recordings/a-d", "recordings/a/c"]


def test_a_long_object_is_kept(blobs: Blobs, tmp_path: Path) -> None:
    """Also one that goes in several parts, and any range of it."""
    assert blobs.put_file("long", _file(tmp_path, LONG)) == len(LONG)
    assert blobs.size("long") == len(LONG)
    assert blobs.read_at("long", 0, len(LONG)) == LONG
    at = (5 << 20) - 3
    assert blobs.read_at("long", at, 6) == LONG[at : at + 6]


def test_putting_again_replaces(blobs: Blobs, tmp_path: Path) -> None:
    """The last content under a name counts, and the source stays where it was."""
    source = _file(tmp_path, b"old")
    blobs.put_file("a", source)
    source.write_bytes(b"newer")
    blobs.put_file("a", source)
    assert blobs.read_at("a", 0, 10) == b"newer"
    assert source.exists()


def test_a_deleted_object_takes_only_itself(blobs: Blobs) -> None:
    """Names that begin like it stay."""
    for name in ("a/1", "a/1/x", "a/10", "a/1.b"):
        if not isinstance(blobs, FolderBlobs) or name != "a/1/x":
            blobs.put(name, name.encode())
    assert blobs.delete("a/1")
    assert "a/1" not in set(blobs.list("a/"))
    assert blobs.read_at("a/10", 0, 9) == b"a/10"
    assert blobs.read_at("a/1.b", 0, 9) == b"a/1.b"


def test_readers_and_writers_at_once(blobs: Blobs) -> None:
    """Threads see an old content or a new one, never a mixture."""
    contents = [bytes([number]) * 100_000 for number in range(1, 5)]
    blobs.put("shared", contents[0])
    wrong: list[bytes] = []

    def write(content: bytes) -> None:
        for _ in range(5):
            blobs.put("shared", content)

    def read() -> None:
        for _ in range(10):
            found = blobs.read_at("shared", 0, 100_000)
            if found not in contents:
                wrong.append(found[:10])

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    threads += [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "A", "a/", ".hidden", "a/.b", "a\0b", "a\n"]
)
def test_a_name_is_a_name(blobs: Blobs, name: str) -> None:
    """Names that are no names are refused before disk or network is asked."""
    uses: tuple[Callable[[str], object], ...] = (
        blobs.size,
        blobs.delete,
        lambda it: blobs.read_at(it, 0, 1),
        lambda it: blobs.put(it, b""),
    )
    for use in uses:
        with pytest.raises(ValueError, match="name"):
            use(name)


def test_a_place_that_works_has_nothing_to_say(blobs: Blobs) -> None:
    """The check passes, leaves nothing behind, and there is nothing to sweep."""
    blobs.check()
    assert list(blobs.list()) == []
    assert blobs.sweep() == 0


def test_a_listing_cannot_leave_the_folder(folder: FolderBlobs) -> None:
    """Neither upwards nor to the root."""
    for prefix in ("..", "../", "/etc", "a/../../", "a/../b"):
        with pytest.raises(ValueError, match="begins"):
            folder.list(prefix)


def test_a_failed_put_leaves_what_was_there(folder: FolderBlobs, tmp_path: Path) -> None:
    """When the copy cannot be made, the old object stays and nothing half written is left."""
    folder.put("a", b"old")
    (tmp_path / "blobs" / "b").mkdir()
    with pytest.raises(BlobsAwayError, match="directory"):
        folder.put("b", b"new")
    assert folder.read_at("a", 0, 10) == b"old"
    assert sorted(path.name for path in (tmp_path / "blobs").rglob("*")) == [".drafts", "a", "b"]


def test_only_the_owner_may_look(folder: FolderBlobs, tmp_path: Path) -> None:
    """Folder and objects are closed to everyone else."""
    folder.put("a/b", b"x")
    for path in (tmp_path / "blobs", *(tmp_path / "blobs").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_a_full_disk_is_said(folder: FolderBlobs, tmp_path: Path) -> None:
    """The old object stays, the error names the disk, nothing half written stays, and it heals by itself."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root may mount a disk of its own")
    disk = tmp_path / "blobs"
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "blobs", str(disk)]
    if subprocess.run(mounting, check=False).returncode != 0:
        pytest.skip("NOT TESTED: this user may not mount a disk of its own")
    try:
        small = FolderBlobs(disk)
        small.put("a", b"old")
        with pytest.raises(BlobsAwayError, match=r"full.*[Mm]ake room"):
            small.put("a", bytes(2 << 20))
        assert small.read_at("a", 0, 9) == b"old"
        assert list((disk / ".drafts").iterdir()) == []
        small.put("ballast", bytes((1 << 20) - 8192))
        small.put("more", bytes(4096))
        with pytest.raises(BlobsAwayError, match="full"):
            small.check()
        small.delete("ballast")
        small.check()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: S607


def test_what_a_killed_process_half_wrote_is_swept(folder: FolderBlobs, tmp_path: Path) -> None:
    """Once its writer is dead, and not while it writes."""
    program = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from store.blobs import FolderBlobs\n"
        "FolderBlobs(Path(sys.argv[1])).put_file('a', Path(sys.argv[2]))\n"
    )
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # the writer waits for more
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "blobs"), str(pipe)],
        cwd=Path(blobs_room.__file__).parents[1],
    )
    drafts = tmp_path / "blobs" / ".drafts"
    with pipe.open("wb") as more:
        more.write(bytes(3 << 20))
        more.flush()
        deadline = time.monotonic() + 20
        while not list(drafts.iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.1)
        assert folder.sweep() == 0
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(list(drafts.iterdir())) == 1
    assert list(folder.list()) == []
    assert folder.sweep() == 1
    assert list(drafts.iterdir()) == []

"""Objects in a folder: whole or not at all, and never outside the folder."""

import stat
from pathlib import Path

import pytest

from store.blobs import BlobMissingError, FolderBlobs


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "source"
    path.write_bytes(content)
    return path


def test_an_object_is_kept(blobs: FolderBlobs, tmp_path: Path) -> None:
    """What was put under a name can be read in parts, listed and deleted."""
    assert blobs.put_file("recordings/a/b", _file(tmp_path, b"0123456789")) == 10
    assert blobs.put("recordings/a/c", b"x") == 1
    assert blobs.size("recordings/a/b") == 10
    assert blobs.read_at("recordings/a/b", 3, 4) == b"3456"
    assert blobs.read_at("recordings/a/b", 8, 100) == b"89"
    assert list(blobs.list()) == ["recordings/a/b", "recordings/a/c"]
    assert list(blobs.list("recordings/a/c")) == ["recordings/a/c"]
    assert blobs.delete("recordings/a/b")
    assert not blobs.delete("recordings/a/b")
    for read in (lambda: blobs.size("recordings/a/b"), lambda: blobs.read_at("recordings/a/b", 0, 1)):
        with pytest.raises(BlobMissingError):
            read()


def test_putting_again_replaces(blobs: FolderBlobs, tmp_path: Path) -> None:
    """The last content under a name counts, and the source stays where it was."""
    source = _file(tmp_path, b"old")
    blobs.put_file("a", source)
    source.write_bytes(b"newer")
    blobs.put_file("a", source)
    assert blobs.read_at("a", 0, 10) == b"newer"
    assert source.exists()


def test_a_failed_put_leaves_what_was_there(blobs: FolderBlobs, tmp_path: Path) -> None:
    """When the copy cannot be made, the old object stays and nothing half written is left."""
    blobs.put("a", b"old")
    (tmp_path / "blobs" / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        blobs.put("b", b"new")
    assert blobs.read_at("a", 0, 10) == b"old"
    assert sorted(path.name for path in (tmp_path / "blobs").rglob("*")) == ["a", "b"]


def test_only_the_owner_may_look(blobs: FolderBlobs, tmp_path: Path) -> None:
    """Folder and objects are closed to everyone else."""
    blobs.put("a/b", b"x")
    for path in (tmp_path / "blobs", tmp_path / "blobs" / "a", tmp_path / "blobs" / "a" / "b"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "A", "a/", ".hidden", "a/.b", "a\0b", "a\n"]
)
def test_a_name_cannot_leave_the_folder(blobs: FolderBlobs, name: str) -> None:
    """Names that are no names are refused before the disk is asked."""
    for use in (blobs.size, blobs.delete, lambda it: blobs.read_at(it, 0, 1), lambda it: blobs.put(it, b"")):
        with pytest.raises(ValueError, match="name"):
            use(name)

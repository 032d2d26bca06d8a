"""Parts of a backup: streamed, sealed for one key, and never taken for whole when they are not."""

import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from store.parts import PartError, PartFile, as_identities, as_recipients, check, reading, writing
from tests.store.disks import small_disk

CONTENTS = {"a": b"", "tables/b": b"x" * 100_000, "c/" + "d" * 150: bytes(range(256)) * 20_000}


@pytest.fixture
def key() -> pyrage.x25519.Identity:
    return pyrage.x25519.Identity.generate()


def _write(path: Path, key: pyrage.x25519.Identity, *, compressed: bool) -> PartFile:
    kept: list[PartFile] = []
    with writing(path, as_recipients([str(key.to_public())]), compressed=compressed, done=kept.append) as part:
        for name, content in CONTENTS.items():
            part.add(name, content)
    return kept[0]


@pytest.mark.parametrize("compressed", [True, False])
def test_what_was_written_is_read(tmp_path: Path, key: pyrage.x25519.Identity, compressed: bool) -> None:  # noqa: FBT001  # a parameter of the test
    """Names and contents, in their order; nothing of it can be seen in the file, and only its owner may look."""
    path = tmp_path / "part.age"
    kept = _write(path, key, compressed=compressed)
    assert kept.size == path.stat().st_size
    assert path.stat().st_mode & 0o077 == 0
    assert b"xxxx" not in path.read_bytes()
    check(path, kept)
    with reading(path, [key], compressed=compressed) as members:
        assert {member.name: member.whole() for member in members} == CONTENTS
    with reading(path, [key], compressed=compressed) as members:
        assert [member.name for member in members] == list(CONTENTS), "contents may be passed over"
    with reading(path, [key], compressed=compressed) as members:
        assert next(members).name == "a", "and it may be left early"


def test_age_itself_opens_it(tmp_path: Path, key: pyrage.x25519.Identity) -> None:
    """An operator without this program gets at everything with two tools that everybody has."""
    if not (age := shutil.which("age")):
        pytest.skip("NOT TESTED: the age tool is not installed")
    _write(tmp_path / "part.age", key, compressed=True)
    (tmp_path / "key").write_text(str(key))
    opened = subprocess.run([age, "-d", "-i", tmp_path / "key", tmp_path / "part.age"], capture_output=True, check=True)
    listed = subprocess.run(["tar", "tz"], input=opened.stdout, capture_output=True, check=True)  # noqa: S607  # as found
    assert listed.stdout.decode().split() == list(CONTENTS)


def test_another_key_does_not_open_it(tmp_path: Path, key: pyrage.x25519.Identity) -> None:
    """And it says so."""
    _write(tmp_path / "part.age", key, compressed=True)
    other = pyrage.x25519.Identity.generate()
    with (
        pytest.raises(PartError, match="this private key"),
        reading(tmp_path / "part.age", [other], compressed=True) as members,
    ):
        list(members)


@pytest.mark.parametrize("where", ["start", "middle", "end"])
def test_a_damaged_file_is_found(tmp_path: Path, key: pyrage.x25519.Identity, where: str) -> None:
    """By its hash before anything is read of it, and while it is read."""
    path = tmp_path / "part.age"
    kept = _write(path, key, compressed=False)
    content = bytearray(path.read_bytes())
    at = {"start": 200, "middle": len(content) // 2, "end": 0}[where]
    if at:
        content[at] ^= 1
    else:
        del content[len(content) // 2 :]
    path.write_bytes(content)
    with pytest.raises(PartError, match="not what was written"):
        check(path, kept)
    with pytest.raises(PartError), reading(path, [key], compressed=False) as members:
        b"".join(member.whole() for member in members)


def test_a_reader_that_fails_keeps_its_own_error(tmp_path: Path, key: pyrage.x25519.Identity) -> None:
    """What goes wrong outside is not called damage."""
    _write(tmp_path / "part.age", key, compressed=False)
    with pytest.raises(OSError, match="of the reader"), reading(tmp_path / "part.age", [key], compressed=False):
        raise OSError("of the reader")


def test_a_full_disk_is_said(tmp_path: Path, key: pyrage.x25519.Identity) -> None:
    """Writing ends with what to do."""
    with small_disk(tmp_path / "disk", "1m") as disk, pytest.raises(PartError, match=r"No space.*Make room"):
        _write(disk / "part.age", key, compressed=False)


def test_keys_that_are_none(tmp_path: Path) -> None:
    """A private key is not taken for a public one, nor a file without any for one with."""
    for text in ("", "age1nonsense", str(pyrage.x25519.Identity.generate())):
        with pytest.raises(PartError, match="public key") as raised:
            as_recipients([text])
        assert "AGE-SECRET" not in str(raised.value)
    for text in ("", "# created by hand\n", "age1nonsense"):
        with pytest.raises(PartError, match="private key"):
            as_identities(text)

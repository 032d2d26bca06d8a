"""The home folder, its lock, its key, and secrets on their way."""

import asyncio
import multiprocessing
import os
from pathlib import Path

import pytest

from policies.secret import Secret
from scripts import secrets_channel
from scripts.home import Home
from scripts.master_key import NAME, master_key_of
from scripts.settings import Secrets, SettingError


def test_folders_are_as_open_as_their_users_need(tmp_path: Path) -> None:
    """Others may pass through the home and do nothing else; made twice it stays the same."""
    home = Home(tmp_path / "home")
    home.prepare(None)
    home.prepare(None)
    assert home.folder.stat().st_mode & 0o777 == 0o711
    for folder in (home.run, home.spool, home.clips, home.blobs):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way ends in a refusal that names the setting."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="AITELIER_HOME"):
        Home(tmp_path / "file" / "home").prepare(None)


def test_the_lock_admits_one(tmp_path: Path) -> None:
    """A second taker is told who has it; once it is free, it can be taken again."""
    home = Home(tmp_path)
    home.prepare(None)
    held = home.lock()
    with pytest.raises(SettingError, match=f"already \\(process {os.getpid()}\\)"):
        home.lock()
    os.close(held)
    os.close(home.lock())


def test_cleaning_removes_stale_sockets_only(tmp_path: Path) -> None:
    """Sockets and state of a killed server go; what a restart needs stays."""
    home = Home(tmp_path)
    home.prepare(None)
    for name in ("edge.sock", "desk.sock", "status.json", "edge.secret", "trunks.json"):
        (home.run / name).touch()
    home.clean()
    assert {path.name for path in home.run.iterdir()} == {"edge.secret", "trunks.json"}


def test_a_master_key_is_made_once(tmp_path: Path) -> None:
    """The first start makes it, for the owner's eyes only; every later one reads the same."""
    key = master_key_of(tmp_path / "home")
    assert master_key_of(tmp_path / "home") == key
    assert (tmp_path / "home" / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == [NAME]


def _key_of(home: Path) -> str:
    return master_key_of(home).reveal()


def test_two_first_starts_agree_on_one_key(tmp_path: Path) -> None:
    """However many processes start at once, there is one key."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(_key_of, [tmp_path / "home"] * 8)
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("content", "mode", "says"), [("short", 0o600, "is not a master key"), ("x", 0o644, "chmod 600")]
)
def test_a_damaged_or_open_key_is_refused(tmp_path: Path, content: str, mode: int, says: str) -> None:
    """Neither a file that is no key nor one that others may read is used, or quietly replaced."""
    (tmp_path / NAME).write_text(content, encoding="ascii")
    (tmp_path / NAME).chmod(mode)
    with pytest.raises(SettingError, match=says):
        master_key_of(tmp_path)
    assert (tmp_path / NAME).read_text(encoding="ascii") == content


def test_secrets_pass_whole_and_can_be_read_again() -> None:
    """What is put is taken, by any number of processes, and nobody can change it on the way."""
    secrets = Secrets(master_key=Secret("k"), smtp_url=Secret("smtps://ü@x"))
    descriptors = secrets_channel.put(secrets)
    try:
        for _ in range(2):
            copies = {name: os.dup(descriptor) for name, descriptor in descriptors.items()}
            assert secrets_channel.take(copies) == secrets
        for descriptor in descriptors.values():
            with pytest.raises(PermissionError):
                os.pwrite(descriptor, b"x", 0)
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, 0)
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


async def test_secrets_are_in_no_folder() -> None:
    """The file has no name: it can be reached through its descriptor only."""
    (descriptor,) = secrets_channel.put(Secrets(master_key=Secret("k"))).values()
    try:
        link = await asyncio.to_thread(os.readlink, f"/proc/self/fd/{descriptor}")
        assert link.startswith("/memfd:")
        assert link.endswith("(deleted)")
    finally:
        os.close(descriptor)

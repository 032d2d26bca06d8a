"""The home folder: what lies where, who may reach it, and the lock that keeps a second server out."""

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.privileges import Account
from scripts.settings import SettingError

LOCK: Final = "serve.lock"


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one home folder."""

    folder: Path

    @property
    def run(self) -> Path:
        """Sockets, the lock, the state: nothing that matters after a stop."""
        return self.folder / "run"

    @property
    def spool(self) -> Path:
        """Journals and recordings of calls that are not in the store yet. Workers write here."""
        return self.folder / "spool"

    @property
    def clips(self) -> Path:
        """Sentences rendered beforehand."""
        return self.folder / "clips"

    @property
    def database(self) -> Path:
        """The embedded PostgreSQL."""
        return self.folder / "postgres"

    @property
    def blobs(self) -> Path:
        """Sealed recordings, unless a bucket keeps them."""
        return self.folder / "blobs"

    def prepare(self, workers: Account | None) -> None:
        """Make the folders, each as open as its users need and no more.

        Raises:
            SettingError: The home cannot be written.
        """
        try:
            # Others may pass through (workers, PostgreSQL's own user), but not look around.
            self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
            self.folder.chmod(0o711)
            for folder, mode in ((self.run, 0o700), (self.spool, 0o700), (self.clips, 0o700), (self.blobs, 0o700)):
                folder.mkdir(mode=mode, exist_ok=True)
            if workers is not None:
                os.chown(self.run, 0, workers.gid)
                self.run.chmod(0o710)
                # Workers may create files and see none; the sticky bit keeps each from the others' files.
                os.chown(self.spool, 0, workers.gid)
                self.spool.chmod(0o1730)
        except OSError as error:
            raise SettingError(
                "HOME", f"{self.folder} cannot be used ({error.strerror})", "Name a folder this user may write"
            ) from error

    def lock(self) -> int:
        """Take the home for this server; the returned descriptor holds the lock until it is closed.

        Raises:
            SettingError: Another server has it.
        """
        descriptor = os.open(self.run / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip()
            os.close(descriptor)
            raise SettingError(
                "HOME",
                f"a server is running on {self.folder} already{f' (process {holder})' if holder else ''}",
                "Stop that one first, or set another home",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor

    def clean(self) -> None:
        """Remove what a killed server left in the run folder. Call it under the lock only."""
        for leftover in self.run.glob("*.sock"):
            with contextlib.suppress(FileNotFoundError):
                leftover.unlink()
        for name in ("status.json", ".status.json"):
            (self.run / name).unlink(missing_ok=True)

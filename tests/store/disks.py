"""Disks that are full: small ones of their own, in memory."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of this size (`1m`), mounted on a folder that is made if it is missing."""
    folder.mkdir(mode=0o700, exist_ok=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tests", str(folder)]
    if subprocess.run(mounting, check=False, capture_output=True).returncode != 0:
        pytest.skip("NOT TESTED: this user may not mount a disk of its own")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607  # as the system has it

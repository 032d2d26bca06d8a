"""What the supervisor knows of its processes, as a file that others may read: `<home>/run/status.json`."""

import os
from pathlib import Path

import msgspec

NAME = "status.json"


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process."""

    name: str
    pid: int | None
    """None while it is not running."""
    ready: bool
    restarts: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    pid: int
    """The supervisor's."""
    ready: bool
    """Every process does its work."""
    draining: bool
    processes: tuple[ProcessStatus, ...]


def write_status(run_folder: Path, status: Status) -> None:
    """Replace the file as a whole, so that no reader sees half of it."""
    draft = run_folder / f".{NAME}"
    draft.write_bytes(msgspec.json.encode(status))
    draft.chmod(0o600)
    draft.replace(run_folder / NAME)


def read_status(run_folder: Path) -> Status | None:
    """The state as last reported; None when no supervisor lives that could have reported it."""
    try:
        status = msgspec.json.decode((run_folder / NAME).read_bytes(), type=Status)
        os.kill(status.pid, 0)
    except PermissionError:
        return status
    except (OSError, msgspec.MsgspecError):
        return None
    return status

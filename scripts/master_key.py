"""The root of all encryption, when the user brought none: made once, kept in the home folder."""

import base64
import os
import secrets
from pathlib import Path

from scripts.settings import Secret, SettingError
from scripts.values import BadValueError, as_master_key

NAME = "master.key"


def master_key_of(home: Path) -> Secret:
    """The home's key, made now if there is none.

    Two processes that make it at once agree on one key: the file appears whole or not at all, and the first one wins.

    Raises:
        SettingError: The file is there and is not a key, or others may read it.
    """
    path = home / NAME
    if not path.exists():
        home.mkdir(mode=0o711, parents=True, exist_ok=True)
        draft = home / f".{NAME}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster; its key counts
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingError("HOME", f"{path} may be read by others", f"Run: chmod 600 {path}")
    try:
        return Secret(as_master_key(path.read_text(encoding="ascii").strip()))
    except (BadValueError, UnicodeDecodeError):
        raise SettingError(
            "HOME", f"{path} is not a master key", "Restore it from your backup; without it recordings stay sealed"
        ) from None

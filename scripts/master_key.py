"""The root of all encryption: given as a setting, printed by the user's command, or kept in the home folder.

When the user brings none, one is made there, once.
"""

import base64
import os
import secrets
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Final

from policies.secret import Secret
from scripts.settings import Secrets, SettingError, Settings, command_environment
from scripts.values import BadValueError, as_master_key

NAME: Final = "master.key"
_COMMAND_S: Final = 20.0
_LONGEST: Final = 1_000
"""Bytes of output: more is no key."""


def with_master_key(settings: Settings, known: Secrets) -> Secrets:
    """The same secrets, with the root key among them and without the command that may have printed it.

    Raises:
        SettingError: The key cannot be had.
    """
    if known.master_key is not None:
        return known
    if known.master_key_command is None:
        return replace(known, master_key=master_key_of(settings.home_folder))
    return replace(known, master_key=_printed_key(known.master_key_command), master_key_command=None)


def _printed_key(command: Secret) -> Secret:
    """What the command prints. What it says on standard error reaches the user's terminal, and no message of ours."""
    name, by_hand = "MASTER_KEY_COMMAND", "Run it by hand: it must print 32 bytes in base64 or hex, and end with 0"
    try:
        done = subprocess.run(  # noqa: S603  # the operator's own program
            shlex.split(command.reveal()),
            env=command_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_COMMAND_S,
            check=False,
        )
    except OSError as error:
        raise SettingError(name, f"the program cannot be run ({error.strerror})", by_hand) from None
    except subprocess.TimeoutExpired:
        raise SettingError(name, f"has not ended within {_COMMAND_S:g} s", by_hand) from None
    if done.returncode != 0:
        raise SettingError(name, f"has ended with status {done.returncode}", by_hand)
    try:
        return Secret(as_master_key(done.stdout[:_LONGEST].decode("ascii").strip()))
    except (BadValueError, UnicodeDecodeError):
        raise SettingError(name, "has printed something else than a key", by_hand) from None


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

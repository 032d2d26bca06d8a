"""The system users that parts of the service become when it was started as root."""

import fcntl
import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_LOCK: Final = Path("/run/aitelier-system-users.lock")
"""Where only root can open it, so that nobody else can keep us waiting."""


class NoSystemUserError(Exception):
    """There is no such user and none can be made; says why."""


def system_user(name: str) -> pwd.struct_passwd:
    """That user, made now where it is missing. For root.

    Raises:
        NoSystemUserError: It cannot be made.
    """
    user = _known(name)
    if user is None:
        try:
            with _alone():
                user = _known(name) or _made(name)  # another process may have been faster
        except OSError as error:
            raise NoSystemUserError(str(error)) from error
    return user


def _known(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


@contextmanager
def _alone() -> Iterator[None]:
    """Of two useradd(8) for one name at the same moment the later gives the user another id: both report success."""
    lock = os.open(_LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _made(name: str) -> pwd.struct_passwd:
    tool = shutil.which("useradd")
    if tool is None:
        raise NoSystemUserError("useradd is missing")
    arguments = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    grouping = ["--gid", name] if _group_exists(name) else ["--user-group"]
    made = subprocess.run([tool, *arguments, *grouping, name], capture_output=True, text=True, check=False)  # noqa: S603 - constant arguments
    user = _known(name)
    if user is None:
        raise NoSystemUserError(made.stderr.strip())
    return user


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True

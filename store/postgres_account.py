"""The system user under which the embedded PostgreSQL runs, because it refuses to run as root."""

import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from store.system_user import NoSystemUserError, system_user

DATABASE_USER: Final = "aitelier-db"


class PostgresSetupError(Exception):
    """The embedded PostgreSQL cannot be set up here; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server is."""

    name: str
    uid: int
    gid: int
    dropped: bool
    """Somebody else than ourselves: we are root and the server must not be."""

    def prefix(self) -> list[str]:
        """What goes before a command to run it as this account, in the same process.

        The kernel ends the command with SIGINT when the thread that started it has ended.
        """
        tool = shutil.which("setpriv")
        if tool is None:
            if self.dropped:
                raise PostgresSetupError(
                    "setpriv is missing, which starts the database as another user than root. "
                    "Install util-linux, start as an ordinary user, or set AITELIER_DATABASE_URL."
                )
            return []
        who = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"] if self.dropped else []
        return [tool, *who, "--no-new-privs", "--pdeathsig=INT", "--"]


def account() -> Account:
    """Who the server is to run as: ourselves, or as root the system user, made now if it is missing.

    Raises:
        PostgresSetupError: There is no such user and none can be made.
    """
    uid = os.geteuid()
    if uid != 0:
        try:
            user = pwd.getpwuid(uid)
        except KeyError:
            raise PostgresSetupError(
                f"User id {uid} has no name, and PostgreSQL refuses to run without one. "
                "Add it to /etc/passwd, or set AITELIER_DATABASE_URL."
            ) from None
        return Account(user.pw_name, user.pw_uid, user.pw_gid, dropped=False)
    try:
        user = system_user(DATABASE_USER)
    except NoSystemUserError as error:
        raise PostgresSetupError(
            f"The database must not run as root, and the system user {DATABASE_USER} cannot be made: {error}. "
            "Make it by hand, start as an ordinary user, or set AITELIER_DATABASE_URL."
        ) from error
    return Account(user.pw_name, user.pw_uid, user.pw_gid, dropped=True)


def our_name() -> str:
    """The name by which the server will know us: it asks the kernel who is at the other end of the socket."""
    return pwd.getpwuid(os.geteuid()).pw_name


def check_reach(who: Account, *paths: Path) -> None:
    """Make sure that the account can get at each path.

    Raises:
        PostgresSetupError: It cannot; names the folder that is in its way.
    """
    for path in paths:
        for folder in (*reversed(path.parents), path):
            found = folder.stat()
            if not _may_enter(who, found):
                raise PostgresSetupError(
                    f"The database runs as {who.name}, which may not enter {folder} ({stat.filemode(found.st_mode)}). "
                    f"Run: chmod o+x {folder}; or move what is in there; or start as an ordinary user; "
                    "or set AITELIER_DATABASE_URL."
                )


def _may_enter(who: Account, found: os.stat_result) -> bool:
    if found.st_uid == who.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == who.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)

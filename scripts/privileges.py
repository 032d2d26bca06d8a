"""What a process gives up before it touches anything from outside (prctl(2), credentials(7)).

Started as root, workers become a system user of their own. In every case a process of ours can be neither traced nor
dumped by others of its user, gains no privileges by executing something, and dies with its parent.
"""

import ctypes
import os
import pwd
import resource
import signal
from dataclasses import dataclass

import structlog

from store.system_user import NoSystemUserError, system_user

log = structlog.get_logger()

WORKER_USER = "aitelier-call"

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int | bytes) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@dataclass(frozen=True, slots=True)
class Account:
    """Who a process is to become."""

    uid: int
    gid: int


def worker_account() -> Account | None:
    """The unprivileged user for workers; None when we are not root and nothing can be dropped.

    Makes the system user where it is missing, and falls back on `nobody` where that cannot be done.
    """
    if os.geteuid() != 0:
        return None
    try:
        user = system_user(WORKER_USER)
    except NoSystemUserError as error:
        log.warning("worker_user_not_made", user=WORKER_USER, problem=str(error))
        return _nobody()
    return Account(user.pw_uid, user.pw_gid)


def _nobody() -> Account:
    try:
        user = pwd.getpwnam("nobody")
    except KeyError:
        # Containers without a user database still have the kernel's overflow id, which owns nothing.
        return Account(65534, 65534)
    return Account(user.pw_uid, user.pw_gid)


def become(account: Account) -> None:
    """Turn this process into that user for good: real, effective and saved ids, and no further groups."""
    os.setgroups([])
    os.setresgid(account.gid, account.gid, account.gid)
    os.setresuid(account.uid, account.uid, account.uid)


def harden(name: str) -> None:
    """No core dump, no tracing by others of the same user, no privileges from set-uid programs. Sets the name in ps."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_NAME, name.encode()[:15])


def die_with_parent(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Have the kernel signal this process when its parent ends. Call it after `become`, which clears the wish.

    Raises:
        ProcessLookupError: The parent has ended already.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        raise ProcessLookupError("the supervisor has ended")


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind, so that it can be reaped."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)

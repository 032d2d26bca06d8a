"""Forking one process off the zygote, and what that process does before it is itself."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import msgspec
import structlog

from scripts import logs, privileges, secrets_channel
from scripts.settings import Secrets, SettingError

log = structlog.get_logger()

EXIT_UNUSABLE: Final = 78
"""EX_CONFIG of sysexits.h: starting again would not help, a setting must change."""


_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
"""What the supervisor handles."""


class CannotStartError(Exception):
    """A process cannot do its work until something is changed; names what and how."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a process tells the supervisor once it does its work."""

    lines: tuple[str, ...] = ()
    """For people: where it can be reached."""


@dataclass(slots=True)
class Child:
    """What a process knows about its place; handed to its role."""

    name: str
    index: int
    generation: int
    """Number of earlier processes in this place."""
    secrets: Secrets
    """Those that its role may know."""
    _ready_fd: int

    def ready(self, *lines: str) -> None:
        """Tell the supervisor that the work has begun. Once."""
        os.write(self._ready_fd, msgspec.json.encode(Facts(lines=lines)))
        self.forget_ready()

    def forget_ready(self) -> None:
        """Leave it to another process of this role to say so."""
        os.close(self._ready_fd)

    def run(self, main: Callable[[], Awaitable[None]]) -> int:
        """Run the role's own event loop to its end."""

        async def whole() -> None:
            await main()

        asyncio.run(whole())
        return 0


async def told_when(ready: asyncio.Event, child: Child, lines: Callable[[], tuple[str, ...]] = tuple) -> None:
    """Tell the supervisor once `ready` is set."""
    await ready.wait()
    child.ready(*lines())


Run = Callable[[Child], int]
"""A role's work: blocks until the process is told to end, returns its exit status."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """One process that the supervisor keeps running."""

    name: str
    run: Run
    stage: int
    """When it is stopped: the lowest stage first."""
    grace_s: float
    """How long it may take to end after the signal."""
    ended_by: signal.Signals = signal.SIGTERM
    """What tells it to end."""
    dies_by: signal.Signals = signal.SIGKILL
    """What it gets from the kernel when the supervisor is gone."""
    index: int = 0
    secrets: frozenset[str] = frozenset()
    """Names of those that it may know."""
    becomes: privileges.Account | None = None
    """Another user to run as."""
    umask: int = 0o077
    needs: tuple[str, ...] = ()
    """Roles that must be ready before its first start."""
    remedy: str = "Look at its lines above"
    """What to do when it crashes again and again."""
    died: Callable[[], None] = field(default=lambda: None)
    """Called by the supervisor when it has ended, before it is started again."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that has just been forked."""

    pid: int
    ready_fd: int
    """Readable once the process has said that it is ready, or has ended before that."""
    output_fd: int
    """Its standard output and standard error."""
    at: float
    """Monotonic seconds."""


def fork(role: Role, *, generation: int, secret_fds: Mapping[str, int]) -> Started:
    """Start the role's process. Only the zygote may call this: no other thread may run, and no event loop.

    Returns in the parent only.
    """
    if threading.active_count() != 1:
        raise RuntimeError("the zygote has threads; a fork would lose them and keep their locks")
    parent = os.getpid()
    ready_read, ready_write = os.pipe()
    output_read, output_write = os.pipe()
    at = time.monotonic()
    # A signal that comes before the child has handlers of its own must not be lost in those it inherited: it waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if pid == 0:
        _be(
            role,
            generation=generation,
            parent=parent,
            secret_fds={name: secret for name, secret in secret_fds.items() if name in role.secrets},
            ready_fd=ready_write,
            output_fd=output_write,
        )
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.close(ready_write)
    os.close(output_write)
    os.set_blocking(ready_read, False)
    os.set_blocking(output_read, False)
    return Started(pid, ready_read, output_read, at)


def _be(
    role: Role, *, generation: int, parent: int, secret_fds: Mapping[str, int], ready_fd: int, output_fd: int
) -> NoReturn:
    status = 1
    try:
        _close_all_but({0, 1, 2, ready_fd, output_fd, *secret_fds.values()})
        os.dup2(output_fd, 1)
        os.dup2(output_fd, 2)
        os.close(output_fd)
        _own_signals()
        os.umask(role.umask)
        if role.becomes is not None:
            privileges.become(role.becomes)
        privileges.harden(role.name)
        privileges.die_with_parent(parent, role.dies_by)
        gc.enable()
        logs.name_process(role.name)
        secrets = secrets_channel.take(secret_fds)
        status = role.run(Child(role.name, role.index, generation, secrets, ready_fd))
    except (SettingError, CannotStartError) as error:
        log.error("process_cannot_start", why=str(error))  # noqa: TRY400  # the place in our code does not help the user
        status = EXIT_UNUSABLE
    except BaseExceptionGroup as group:
        unusable, others = group.split((SettingError, CannotStartError))
        for reason in unusable.exceptions if unusable is not None else ():
            log.error("process_cannot_start", why=str(reason))  # noqa: TRY400  # as above
            status = EXIT_UNUSABLE
        if others is not None:
            log.exception("process_failed", errors=[type(error).__name__ for error in others.exceptions])
    except KeyboardInterrupt:
        status = 130
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        log.exception("process_failed")
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        # Not sys.exit: the zygote's own clean-up, forked along, is not ours to run.
        os._exit(status)


def _close_all_but(kept: set[int]) -> None:
    """Close what the supervisor had open: pipes of siblings, its lock, the secrets of others."""
    for entry in list(Path("/proc/self/fd").iterdir()):
        descriptor = int(entry.name)
        if descriptor not in kept:
            with contextlib.suppress(OSError):  # the listing's own descriptor is gone already
                os.close(descriptor)


def _own_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    # A Ctrl-C in the terminal reaches the whole group; ending is the supervisor's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

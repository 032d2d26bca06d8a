"""The parent of all processes: starts them, restarts what dies, drains, and ends them in order.

It has no event loop, no threads and no secrets: it imports the heavy modules once, freezes them, and forks. What it
waits for are signals, pipes of its children and the next date on its list.
"""

import gc
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import structlog

from scripts.child import EXIT_UNUSABLE, Facts, Role, Started, fork
from scripts.output import Output
from scripts.restarts import Restarts
from scripts.status import ProcessStatus, Status

log = structlog.get_logger()

_decode_facts = msgspec.json.Decoder(Facts).decode
AT_ONCE_S: Final = 2.0
"""Grace of each process when the user is in a hurry."""
READY_WITHIN_S: Final = 90.0
"""A process that is not ready by then is killed, and so started again."""


@dataclass(slots=True)
class _Post:
    """One role and the process that fills it at the moment."""

    role: Role
    process: Started | None = None
    ready: bool = False
    was_ready: bool = False
    generation: int = 0
    restarts: Restarts = field(default_factory=Restarts)
    start_at: float | None = 0.0
    """Monotonic time of the next start; None while it runs or is not to be started."""
    kill_at: float | None = None
    output: Output | None = None
    facts: Facts = field(default_factory=Facts)


class Supervisor:
    """Keeps the roles running until it is told to end.

    Args:
        roles: What to run.
        secret_fds: The sealed secrets by name, never read here.
        as_json: Whether output that children write past the loggers is to be wrapped as JSON.
        on_ready: Called once, when every role has been ready, with all that they said of themselves.
        on_drain: Called when the first wish to end arrives.
        on_hangup: Called on SIGHUP.
        report: Called with the state whenever it changed.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        *,
        secret_fds: Mapping[str, int],
        as_json: bool,
        on_ready: Callable[[tuple[str, ...]], None],
        on_drain: Callable[[], None],
        on_hangup: Callable[[], None],
        report: Callable[[Status], None],
    ) -> None:
        self._posts = {role.name: _Post(role) for role in roles}
        self._secret_fds = secret_fds
        self._as_json = as_json
        self._on_ready = on_ready
        self._on_drain = on_drain
        self._on_hangup = on_hangup
        self._report = report
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._stage: int | None = None
        """The stage that is being stopped; None while all is to run."""
        self._at_once = False
        self._told_ready = False
        self._status = 0
        self._reported: Status | None = None

    def run(self) -> int:
        """Work until everything has ended; returns the exit status."""
        awake, wake = socket.socketpair()
        awake.setblocking(False)
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._note_signal)
        self._selector.register(awake, selectors.EVENT_READ, lambda: _drain_socket(awake))
        gc.collect()
        gc.disable()
        gc.freeze()
        try:
            while not self._over():
                self._start_due()
                self._tell()
                for key, _ in self._selector.select(self._wait_s()):
                    key.data()
                self._act_on_signals()
                self._reap()
                self._kill_overdue()
                self._advance()
        finally:
            signal.set_wakeup_fd(-1)
            self._selector.close()
            awake.close()
            wake.close()
        self._tell()
        return self._status

    def stop(self, *, at_once: bool = False) -> None:
        """Begin to end: new calls are refused, running ones finish. Said twice, or with `at_once`, it means now."""
        if self._stage is None:
            log.info("draining", at_once=at_once)
            self._on_drain()
            self._stage = min((post.role.stage for post in self._posts.values()), default=0) - 1
            self._at_once = at_once
        else:
            self._at_once = True
        if self._at_once:
            now = time.monotonic()
            for post in self._posts.values():
                if post.process is not None and post.kill_at is not None:
                    self._signal(post, post.role.ended_by)
                    post.kill_at = min(post.kill_at, now + AT_ONCE_S)
        self._advance()

    # --- signals -----------------------------------------------------------------------------------------------------

    def _note_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _act_on_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in {signal.SIGTERM, signal.SIGINT}:
                self.stop()
            elif number == signal.SIGHUP:
                log.info("reloading_certificates")
                self._on_hangup()
                for post in self._posts.values():
                    self._signal(post, signal.SIGHUP)

    # --- starting ----------------------------------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for post in self._posts.values():
            if post.start_at is None or post.start_at > now or not self._may_run(post):
                continue
            if post.generation == 0 and not all(self._posts[name].was_ready for name in post.role.needs):
                continue
            self._start(post)

    def _may_run(self, post: _Post) -> bool:
        return self._stage is None or post.role.stage > self._stage

    def _start(self, post: _Post) -> None:
        post.start_at = None
        process = fork(post.role, generation=post.generation, secret_fds=self._secret_fds)
        post.generation += 1
        post.process, post.ready, post.facts = process, False, Facts()
        post.output = Output(process.output_fd, post.role.name, as_json=self._as_json)
        post.kill_at = None
        self._selector.register(process.ready_fd, selectors.EVENT_READ, lambda: self._hear(post))
        self._selector.register(process.output_fd, selectors.EVENT_READ, lambda: self._copy(post))

    def _hear(self, post: _Post) -> None:
        process = post.process
        if process is None:
            return
        try:
            said = os.read(process.ready_fd, 65_536)
        except BlockingIOError:
            # Killed before it was ready, and a helper of its own (see run_database) still holds the other end.
            said = b""
        self._selector.unregister(process.ready_fd)
        os.close(process.ready_fd)
        post.process = Started(process.pid, -1, process.output_fd, process.at)
        if said:
            post.ready = post.was_ready = True
            post.facts = _decode_facts(said)
            if post.generation > 1:
                took = round((time.monotonic() - process.at) * 1000, 1)
                log.info("process_restarted", of=post.role.name, pid=process.pid, ready_after_ms=took)
            self._announce()

    def _announce(self) -> None:
        if not self._told_ready and all(post.was_ready for post in self._posts.values()):
            self._told_ready = True
            self._on_ready(tuple(line for post in self._posts.values() for line in post.facts.lines))

    def _copy(self, post: _Post) -> None:
        if post.output is not None and not post.output.copy():
            self._selector.unregister(post.output.descriptor)
            post.output.close()

    # --- ending ------------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for post in self._posts.values():
                if post.process is not None and post.process.pid == pid:
                    self._ended(post, post.process, os.waitstatus_to_exitcode(wait_status))

    def _ended(self, post: _Post, process: Started, exit_code: int) -> None:
        if process.ready_fd >= 0:
            self._hear(post)
        if post.output is not None and post.output.descriptor in self._selector.get_map():
            post.output.copy()
            self._selector.unregister(post.output.descriptor)
            post.output.close()
        post.process, was_ready, post.ready = None, post.ready, False
        if self._may_run(post) or exit_code != 0:
            post.role.died()
        if not self._may_run(post):
            return
        lived_s = time.monotonic() - process.at
        delay_s = post.restarts.died(lived_s=lived_s, was_ready=was_ready)
        last_line = post.output.last_line if post.output is not None else ""
        how = {"of": post.role.name, "ended_by": _in_words(exit_code), "last_line": last_line}
        if exit_code == EXIT_UNUSABLE and not post.was_ready:
            self._give_up(f"{post.role.name} cannot start", how)
            return
        if post.restarts.loops:
            remedy = post.role.remedy
            log.error("crash_loop", **how, deaths=post.restarts.quick_deaths, next_start_in_s=delay_s, remedy=remedy)
            if not post.was_ready:
                self._give_up(f"{post.role.name} ended {post.restarts.quick_deaths} times before it was ready", how)
                return
        else:
            log.warning("process_ended", **how, next_start_in_s=delay_s)
        post.start_at = time.monotonic() + delay_s

    def _give_up(self, why: str, how: dict[str, str]) -> None:
        """A start that cannot succeed ends everything, so that it is noticed."""
        log.error("start_failed", why=why, **how)
        self._status = 1
        self.stop(at_once=True)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for post in self._posts.values():
            if post.process is None:
                continue
            if post.kill_at is not None and now >= post.kill_at:
                log.warning("process_killed", of=post.role.name, why="it did not end in time")
                self._signal(post, signal.SIGKILL)
                post.kill_at = now + AT_ONCE_S
            elif not post.ready and post.process.ready_fd >= 0 and now >= post.process.at + READY_WITHIN_S:
                log.warning("process_killed", of=post.role.name, why="it was not ready in time")
                self._signal(post, signal.SIGKILL)

    def _advance(self) -> None:
        """Stop one stage after the other, each once the one before has ended."""
        while self._stage is not None and not any(
            post.process is not None and post.role.stage <= self._stage for post in self._posts.values()
        ):
            later = [post.role.stage for post in self._posts.values() if post.role.stage > self._stage]
            if not later:
                return
            self._stage = min(later)
            for post in self._posts.values():
                if post.role.stage == self._stage and post.process is not None:
                    self._signal(post, post.role.ended_by)
                    post.kill_at = time.monotonic() + (AT_ONCE_S if self._at_once else post.role.grace_s)

    def _signal(self, post: _Post, number: signal.Signals) -> None:
        if post.process is not None:
            # Not reaped yet, so the number is still its own.
            os.kill(post.process.pid, number)

    def _over(self) -> bool:
        return self._stage is not None and all(post.process is None for post in self._posts.values())

    # --- looking after time ------------------------------------------------------------------------------------------

    def _wait_s(self) -> float | None:
        dates = [post.kill_at for post in self._posts.values() if post.process is not None and post.kill_at is not None]
        dates += [post.start_at for post in self._posts.values() if post.start_at is not None and post.generation > 0]
        dates += [
            post.process.at + READY_WITHIN_S
            for post in self._posts.values()
            if post.process is not None and post.process.ready_fd >= 0
        ]
        return max(0.0, min(dates) - time.monotonic()) if dates else None

    def _tell(self) -> None:
        status = Status(
            pid=os.getpid(),
            ready=self._told_ready and self._stage is None and all(post.ready for post in self._posts.values()),
            draining=self._stage is not None,
            processes=tuple(
                ProcessStatus(
                    name=post.role.name,
                    pid=post.process.pid if post.process is not None else None,
                    ready=post.ready,
                    restarts=post.restarts.total,
                )
                for post in self._posts.values()
            ),
        )
        if status != self._reported:
            try:
                self._report(status)
            except OSError as error:  # told again with what happens next
                log.error("status_not_written", error=error.strerror)  # noqa: TRY400  # where is known
            else:
                self._reported = status


def _in_words(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit status {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"


def _drain_socket(awake: socket.socket) -> None:
    try:
        while awake.recv(4096):
            pass
    except BlockingIOError:
        return

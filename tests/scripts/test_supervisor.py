"""The supervisor, over real processes: start, restart, crash loop, drain, end."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.status import Status, read_status

ROOT = Path(__file__).resolve().parents[2]


class Toys:
    """One run of `toys.py`."""

    def __init__(self, folder: Path, scenario: str) -> None:
        self.folder = folder
        self.errors = folder / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("toys.py")), str(folder), scenario],
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
                stderr=errors,
            )

    def diary(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in (self.folder / "diary").read_text(encoding="ascii").splitlines()]
        return []

    def events(self) -> list[str]:
        return [f"{entry['name']} {entry['what']}" for entry in self.diary()]

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = self.errors.read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["event"] == event]

    def status(self) -> Status:
        status = read_status(self.folder)
        assert status is not None
        return status

    def pid(self, name: str) -> int:
        return next(process.pid for process in self.status().processes if process.name == name and process.pid)

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self, within_s: float = 40) -> int:
        return self.process.wait(within_s)


def until(condition: Callable[[], object], within_s: float = 40) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def toys(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Toys]:
    tmp_path.chmod(0o777)  # a worker that has become another user writes its diary here
    (tmp_path / "diary").touch(mode=0o666)
    (tmp_path / "diary").chmod(0o666)
    (tmp_path / "forbidden").write_text("canary", encoding="ascii")
    (tmp_path / "forbidden").chmod(0o600)
    running = Toys(tmp_path, request.param)
    yield running
    if running.process.poll() is None:
        running.process.kill()
        running.process.wait()


def scenario(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("toys", [name], indirect=True, ids=[""])


@scenario("two")
def test_roles_start_in_the_order_of_their_needs_and_end_in_stages(toys: Toys) -> None:
    """What is needed is ready first and ends last; readiness is told once, with what the processes said."""
    until(lambda: toys.status().ready if read_status(toys.folder) else False)
    toys.signal()
    assert toys.end() == 0
    assert toys.events() == [
        "first ready",
        "second ready",
        "supervisor ready: first is here, second is here",
        "supervisor drain",
        "second told to end",
        "second ended",
        "first told to end",
        "first ended",
    ]


@scenario("two")
def test_a_killed_process_is_replaced_within_100_ms(toys: Toys) -> None:
    """Kill -9: the replacement is ready at most 100 ms later, the others go on."""
    until(lambda: "supervisor" in str(toys.events()))
    others = toys.pid("first")
    killed_at = time.monotonic()
    os.kill(toys.pid("second"), signal.SIGKILL)
    until(lambda: toys.events().count("second ready") == 2)
    assert toys.diary()[-1]["at"] - killed_at < 0.1
    until(lambda: toys.status().ready)
    assert toys.pid("first") == others
    (ended,) = toys.logged("process_ended")
    assert (ended["of"], ended["ended_by"], ended["next_start_in_s"]) == ("second", "signal SIGKILL", 0.0)


@scenario("breaks later")
def test_a_crash_loop_says_why_and_what_to_do(toys: Toys) -> None:
    """After five quick deaths role, signal and remedy are logged; starts slow down; the rest goes on."""
    until(lambda: toys.logged("crash_loop"))
    loop = toys.logged("crash_loop")[0]
    assert (loop["of"], loop["ended_by"], loop["remedy"]) == ("bad", "signal SIGSEGV", "Turn it off and on")
    waits = [line["next_start_in_s"] for line in toys.logged("process_ended")]
    assert waits == [0.0, 0.05, 0.1, 0.2]
    assert toys.pid("good")
    toys.signal()
    assert toys.end() == 0


@scenario("breaks")
def test_a_server_that_cannot_start_ends_and_says_why(toys: Toys) -> None:
    """A process that never becomes ready ends the start, with its last line on standard error in the reason."""
    assert toys.end() == 1
    (failed,) = toys.logged("start_failed")
    assert "bad ended 5 times before it was ready" in failed["why"]
    assert failed["ended_by"] == "exit status 3"
    assert "the canary line" in failed["last_line"]
    assert "good ended" in toys.events()


@scenario("unusable")
def test_a_setting_that_must_change_ends_the_start_at_once(toys: Toys) -> None:
    """No process is started again in vain; the log names the setting and the remedy."""
    assert toys.end() == 1
    (why,) = toys.logged("process_cannot_start")
    assert why["why"] == "AITELIER_SIP_PORT: 5060 is in use. Set another port"
    assert not toys.logged("process_ended")


@scenario("slow")
def test_a_drain_lets_calls_finish(toys: Toys) -> None:
    """After SIGTERM what has calls may take its time; only then does the rest end."""
    until(lambda: "supervisor" in str(toys.events()))
    toys.signal()
    until(lambda: toys.status().draining)
    assert not toys.status().ready
    assert toys.end() == 0
    diary = {f"{entry['name']} {entry['what']}": entry["at"] for entry in toys.diary()}
    assert diary["call ended"] - diary["call told to end"] >= 1.0
    assert diary["base told to end"] >= diary["call ended"]


@scenario("slow")
def test_a_process_that_others_need_is_replaced_during_a_drain(toys: Toys) -> None:
    """The desk may die while calls finish; a call that dies is not replaced."""
    until(lambda: "supervisor" in str(toys.events()))
    toys.signal()
    until(lambda: toys.status().draining)
    os.kill(toys.pid("base"), signal.SIGKILL)
    until(lambda: toys.events().count("base ready") == 2)
    os.kill(toys.pid("call"), signal.SIGKILL)
    assert toys.end() == 0
    assert toys.events().count("call ready") == 1


@scenario("endless")
def test_a_second_signal_ends_everything_at_once(toys: Toys) -> None:
    """Ctrl-C twice: calls are cut, and the server is gone within the short grace."""
    until(lambda: "supervisor" in str(toys.events()))
    toys.signal(signal.SIGINT)
    until(lambda: "call told to end" in toys.events())
    began = time.monotonic()
    toys.signal(signal.SIGINT)
    assert toys.end() == 0
    assert time.monotonic() - began < 2.0
    assert "base ended" in toys.events()


@scenario("deaf")
def test_what_does_not_end_in_time_is_killed(toys: Toys) -> None:
    """A process that ignores SIGTERM does not keep the server from ending."""
    until(lambda: "supervisor" in str(toys.events()))
    toys.signal()
    assert toys.end() == 0
    assert toys.logged("process_killed")


@scenario("two")
def test_a_hangup_reaches_everyone(toys: Toys) -> None:
    """SIGHUP: the supervisor and each process get to read their certificates again."""
    until(lambda: "supervisor" in str(toys.events()))
    toys.signal(signal.SIGHUP)
    until(lambda: {"supervisor hangup", "first hangup", "second hangup"} <= set(toys.events()))


@scenario("two")
def test_no_child_outlives_a_killed_supervisor(toys: Toys) -> None:
    """Kill -9 of the supervisor takes its processes along."""
    until(lambda: "supervisor" in str(toys.events()))
    children = [toys.pid("first"), toys.pid("second")]
    toys.signal(signal.SIGKILL)
    toys.end()
    until(lambda: not any(alive(pid) for pid in children), 2)


@scenario("orphan")
def test_zombies_and_orphans_are_reaped(toys: Toys) -> None:
    """What a dead process leaves behind becomes the supervisor's and is reaped."""
    until(lambda: "supervisor" in str(toys.events()))
    grandchild = int(next(event for event in toys.events() if "grandchild" in event).split()[-1])
    os.kill(toys.pid("mother"), signal.SIGKILL)
    until(lambda: not alive(grandchild), 3)


@scenario("secrets")
def test_secrets_reach_trusted_processes_only(toys: Toys) -> None:
    """The trusted role reads them; for the other the descriptor is closed before anything else happens."""
    until(lambda: "supervisor" in str(toys.events()))
    events = toys.events()
    assert {"desk knows it", "desk memfd closed", "worker knows nothing", "worker memfd closed"} <= set(events)
    if os.geteuid() == 0:
        assert not any(event.startswith("worker uid 0") for event in events)
        assert "worker read what is forbidden" not in events


def test_a_signal_at_any_moment_of_the_start_is_heeded(tmp_path: Path) -> None:
    """SIGTERM while processes are being forked: all of them end, none has to be killed."""
    runs = []
    for number in range(12):
        folder = tmp_path / str(number)
        folder.mkdir()
        runs.append((Toys(folder, "two"), 0.02 * number))
    try:
        for running, delay_s in runs:
            until((running.folder / "status.json").exists)
            time.sleep(delay_s / 4)
            running.signal()
        for running, _ in runs:
            assert running.end() == 0
            assert not running.logged("process_killed")
    finally:
        for running, _ in runs:
            if running.process.poll() is None:
                running.process.kill()

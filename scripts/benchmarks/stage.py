"""What every benchmark needs: the programs of `native/` compiled, a whole server started, and its processes watched.

The server under test is the real one, started as a user starts it; the caller and the model are C programs that cost
next to nothing and run with real-time priority where the machine allows it.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.ports import free_port
from scripts.settings import ROOT
from scripts.status import Status, read_status

NATIVE = Path(__file__).parent / "native"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark cannot be run; says what to do."""


def say(text: str) -> None:
    """Progress, for people; results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def compiled(name: str, folder: Path) -> Path:
    """The program `native/NAME.c`, built into `folder`.

    Raises:
        BenchError: There is no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise BenchError("no C compiler found; install one with: apt-get install gcc libc6-dev")
    target = folder / name
    command = [compiler, "-O2", "-o", str(target), str(NATIVE / f"{name}.c"), "-lm"]
    subprocess.run(command, check=True)
    return target


def at_real_time(command: list[str]) -> list[str]:
    """The same command with SCHED_FIFO where root can give it, so that measuring is not what is measured."""
    if os.geteuid() == 0 and shutil.which("chrt"):
        return ["chrt", "-f", "1", *command]
    return command


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """The program, running at real-time priority, and killed at the end of the block whatever happened in it."""
    with subprocess.Popen(at_real_time(command), stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Server:
    """A running Aitelier."""

    process: subprocess.Popen[bytes]
    home: Path
    sip_port: int
    environment: dict[str, str]

    def status(self) -> Status:
        """What its supervisor reports.

        Raises:
            BenchError: The server is gone.
        """
        status = read_status(self.home / "run")
        if status is None:
            raise BenchError(f"the server has ended; see {self.home / 'server.log'}")
        return status

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        return [p.pid for p in self.status().processes if p.pid and p.name.startswith("worker")]

    def family(self) -> list[int]:
        """The supervisor and all its descendants."""
        parents: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, IndexError):
                    fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                    parents.setdefault(int(fields[1]), []).append(int(entry.name))
        found, ahead = [], [self.process.pid]
        while ahead:
            pid = ahead.pop()
            found.append(pid)
            ahead.extend(parents.get(pid, ()))
        return found

    def run(self, *arguments: str) -> str:
        """Run an `aitelier` command against this server; its output."""
        command = [str(Path(sys.executable).with_name("aitelier")), *arguments]
        return subprocess.run(
            ["env", *_as_assignments(self.environment), *command],  # noqa: S607  env stands in every PATH
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
        ).stdout


def _as_assignments(environment: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in environment.items()]


@contextlib.contextmanager
def server(folder: Path, *options: str, **settings: str) -> Iterator[Server]:
    """A whole server whose home is in `folder`; `settings` without their prefix, in lower case.

    Raises:
        BenchError: It does not come up within two minutes.
    """
    home, sip_port = folder / "home", free_port()
    home.mkdir(exist_ok=True)
    folder.chmod(0o711)
    named = {
        "home": str(home),
        "sip_port": str(sip_port),
        "sip_tls_port": str(free_port()),
        "admin_port": str(free_port()),
        **settings,
    }
    environment = {f"AITELIER_{name.upper()}": value for name, value in named.items()}
    with (home / "server.log").open("ab") as log:
        process = subprocess.Popen(
            ["env", *_as_assignments(environment), sys.executable, "-m", "scripts.serve", *options],  # noqa: S607  see above
            stdout=log,
            stderr=log,
            cwd=ROOT,
        )
    try:
        _wait_until_ready(process, home)
        yield Server(process, home, sip_port, environment)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)  # a second one ends running calls at once
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status = read_status(home / "run")
        if status is not None and status.ready:
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    tail = (home / "server.log").read_text(errors="replace")[-3000:]
    raise BenchError(f"the server did not come up; the end of its log:\n{tail}")


def cpu_seconds(pids: list[int]) -> float:
    """User and system time these processes have used so far."""
    used = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            used += int(fields[11]) + int(fields[12])
    return used / TICKS_PER_SECOND


def private_mb(pid: int) -> float:
    """Memory this process shares with nobody, in MiB; 0 when it is gone."""
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return sum(int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+)", rollup, re.MULTILINE)) / 1024


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="aitelier-bench-") as name:
        yield Path(name)


def distribution(measured: Mapping[str, Any]) -> dict[str, float]:
    """The four figures by which a distribution is reported."""
    return {name: float(measured[name]) for name in ("p50", "p95", "p99", "max")}


def read_json(path: Path, seconds: float = 5.0) -> dict[str, Any]:
    """A JSON file another process is about to write.

    Raises:
        BenchError: It does not come.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            content: dict[str, Any] = json.loads(path.read_text())
            return content
        time.sleep(0.05)
    raise BenchError(f"{path.name} was not written")

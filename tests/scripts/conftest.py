"""A whole server, started as a user starts it, on free ports of loopback."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from scripts.ports import free_port, free_port_range
from scripts.status import Status, read_status
from tests.database import bakery, database, database_home, store_settings
from tests.store.restoring import new_home

__all__ = ["bakery", "database", "database_home", "new_home", "store_settings"]
"""Fixtures, for tests without a server."""

ROOT = Path(__file__).resolve().parents[2]
RTP_PORTS = 200
CANARIES = {
    "AITELIER_OPENAI_API_KEY": "sk-canary-openai-0f6d1c",
    "AITELIER_ANTHROPIC_API_KEY": "sk-canary-anthropic-92ab17",
    "AITELIER_STRIPE_SECRET_KEY": "sk_live_canary_stripe_77e1",
    "AITELIER_SMTP_URL": "smtps://user:canary-smtp-5521@mail.example",
    "SOMEBODY_ELSES_SECRET": "canary-somebody-else-31c9",
}


def until(condition: Callable[[], object], within_s: float = 40.0) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def watched_path() -> str:
    """The path of a program whose statements the oracle sees (`tests.oracle.watch`)."""
    return os.environ["PYTHONPATH"]  # noqa: TID251  # set by the oracle's fixture


class Server:
    """One server process and its home."""

    def __init__(self, home: Path, settings: Mapping[str, str] = {}, *options: str) -> None:  # read only
        first = free_port_range(RTP_PORTS)
        self.home = home
        self.log = home.with_suffix(".log")
        self.environment = {
            "PATH": os.environ["PATH"],  # noqa: TID251  # programs are found as the user finds them
            "AITELIER_HOME": str(home),
            "AITELIER_SIP_PORT": str(free_port()),
            "AITELIER_SIP_TLS_PORT": str(free_port()),
            "AITELIER_ADMIN_PORT": str(free_port()),
            "AITELIER_RTP_PORTS": f"{first}-{first + RTP_PORTS - 1}",
            "AITELIER_MAX_CALLS": "8",
            **settings,
        }
        self.options = options
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "scripts.serve", *self.options],
                cwd=ROOT,
                env={**self.environment, "PYTHONPATH": watched_path()},
                stdout=log,
                stderr=log,
            )

    @property
    def status(self) -> Status:
        found = read_status(self.home / "run")
        assert found is not None, self.text()[-4000:]
        return found

    def ready(self) -> bool:
        assert self.process.poll() is None, self.text()[-4000:]
        found = read_status(self.home / "run")
        return found is not None and found.ready

    def pid(self, name: str) -> int:
        return next(one.pid for one in self.status.processes if one.name == name and one.pid is not None)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-c", "from scripts.cli import main; main()", *arguments],
            cwd=ROOT,
            env={**self.environment, "PYTHONPATH": watched_path()},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    @property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.environment['AITELIER_ADMIN_PORT']}"

    @property
    def sip(self) -> tuple[str, int]:
        return "127.0.0.1", int(self.environment["AITELIER_SIP_PORT"])

    def stop(self, number: int = signal.SIGTERM, within_s: float = 30) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(within_s)


@contextlib.contextmanager
def served(settings: Mapping[str, str] = {}, *options: str) -> Iterator[Server]:  # read only
    """A server that is ready; ended and forgotten at the end of the block."""
    # Not below pytest's own folder, which only its owner may enter: the database runs as another user.
    folder = Path(tempfile.mkdtemp(prefix="aitelier-test-"))
    folder.chmod(0o711)
    server = Server(folder / "home", settings, *options)
    try:
        until(server.ready, 90)
        yield server
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.stop()
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One server for a whole module; tests leave it as they found it."""
    with served({**CANARIES, "AITELIER_OWN_HOSTS": "mail.example=DE"}, "--drain-seconds", "2") as running:
        yield running

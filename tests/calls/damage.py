"""Doing harm to a running server, and seeing whether those who speak on it notice."""

import asyncio
import itertools
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from scripts.benchmarks.stage import Server
from store.engine import StoreAwayError
from tests.calls.caller import FRAME, PATIENCE_SECONDS, Caller
from tests.calls.model import Words
from tests.calls.stack import Business


def pid_of(server: Server, name: str) -> int | None:
    """Of the process that fills this place now; None while there is none."""
    return next((process.pid for process in server.status().processes if process.name == name), None)


def kill(server: Server, name: str, number: signal.Signals = signal.SIGKILL) -> int:
    """Send it a signal; its process id."""
    pid = pid_of(server, name)
    assert pid is not None, f"{name} is not running"
    os.kill(pid, number)
    return pid


async def becomes(true: Callable[[], object], what: str, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait for something outside this process; the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + seconds, f"waited {seconds:g} s in vain: {what}"
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def all_ready(server: Server, name: str, killed: int) -> float:
    """Wait for the successor of a killed process, and for all others; the seconds it took."""

    def ready() -> bool:
        status = server.status()
        return status.ready and pid_of(server, name) not in {None, killed}

    return await becomes(ready, f"{name} is back")


async def store_answers(business: Business, seconds: float = 60.0) -> None:
    """Wait until the database can be asked again."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await business.sessions()
            except StoreAwayError:
                await asyncio.sleep(0.1)
            else:
                return


@asynccontextmanager
async def kept_away(server: Server, name: str) -> AsyncIterator[None]:
    """A process is killed, and so is each successor, until the block ends."""

    async def keep() -> None:
        while True:
            if (pid := pid_of(server, name)) is not None:
                os.kill(pid, signal.SIGKILL)
                await becomes(lambda pid=pid: pid_of(server, name) != pid, f"{name} has ended")  # type: ignore[misc]
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(keep())
        try:
            await becomes(lambda: pid_of(server, name) is None, f"{name} is away")
            yield
        finally:
            keeping.cancel()


def longest_gap(caller: Caller, since: float) -> float:
    """Seconds of silence on the wire between two packets to this caller, at most, since a moment (monotonic)."""
    arrivals = [since, *(at for at, _, _ in caller.sound.frames if at > since), time.monotonic()]
    return max(later - earlier for earlier, later in itertools.pairwise(arrivals))


def lost_packets(caller: Caller) -> int:
    """Packets of 20 ms that never came, by their timestamps."""
    stamps = [stamp for _, stamp, _ in caller.sound.frames]
    return ((stamps[-1] - stamps[0]) & 0xFFFFFFFF) // 160 + 1 - len(set(stamps))


def share(words: Words, sound: bytes) -> float:
    """How much of these words is in a sound, frame by frame.

    A caller's frame that our own telephone sent late on a busy machine is replaced by the jitter buffer.
    """
    frames = [words.mulaw[at : at + FRAME] for at in range(0, len(words.mulaw), FRAME)]
    return sum(frame in sound for frame in frames) / len(frames)


def show(figures: str) -> None:
    """Print what was measured; pytest shows it with -s, and when the test fails."""
    sys.stdout.write(f"\n{figures}\n")

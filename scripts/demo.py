"""`serve --demo`: a server on free ports with a throw-away home, which rings itself with `--once`."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR
from scripts.cli_call import speaker
from scripts.cli_sessions import WholeSession, read_whole
from scripts.cli_store import Books, CommandError, books_of
from scripts.launch import Launch, command_line, prepare
from scripts.phone.conversation import CallResult, Step, place_call
from scripts.ports import free_port, free_port_range
from scripts.settings import supervisor_environment
from scripts.status import read_status
from store import recordings, sessions

STEPS: Final[tuple[Step, ...]] = (("key", "1"), ("say", "What are your opening hours?"), ("say", "Goodbye."))
"""Consent, by the key that no busy machine can mishear, then words the rehearsal model knows."""
_READY_WITHIN_S: Final = 60.0
_TAKEN_IN_WITHIN_S: Final = 15.0
_RTP_PORTS: Final = 200


class DemoError(Exception):
    """The demo did not work; says where it stopped."""


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A server that is up."""

    environment: dict[str, str]
    uri: str
    home: Path


async def run_demo(*, once: bool, as_json: bool) -> int:
    """Run the demo; its exit status."""
    show: Callable[[str], None] = (lambda text: print(text, file=sys.stderr)) if as_json else print
    found: dict[str, Any]
    try:
        async with running() as server:
            if not once:
                show(f"Ring {server.uri}. Ctrl-C ends the demo and removes its home.")
                await _until_interrupted()
                return 0
            found = await ring_itself(server, show)
    except (DemoError, CommandError) as error:
        show(f"The demo failed: {error}")
        found = {"ok": False, "error": str(error)}
    if as_json:
        print(msgspec.json.encode(found).decode(), flush=True)
    return 0 if found["ok"] else 1


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[DemoServer]:
    """A server of its own, ended and forgotten at the end of the block.

    Raises:
        DemoError: It did not come up.
    """
    home = Path(tempfile.mkdtemp(prefix="aitelier-demo-"))
    rtp = free_port_range(_RTP_PORTS)
    environment = {
        "AITELIER_HOME": str(home),
        "AITELIER_SIP_PORT": str(free_port()),
        "AITELIER_SIP_TLS_PORT": str(free_port()),
        "AITELIER_ADMIN_PORT": str(free_port()),
        "AITELIER_RTP_PORTS": f"{rtp}-{rtp + _RTP_PORTS - 1}",
        "AITELIER_MAX_CALLS": "4",
    }
    launch = prepare(drain_s=2.0, environment=environment)
    try:
        process = await _start(launch)
        try:
            await _until_ready(process, home)
            yield DemoServer(environment, f"sip:demo@127.0.0.1:{environment['AITELIER_SIP_PORT']}", home)
        finally:
            await _stop(process)
    finally:
        for secret in launch.secret_fds.values():
            os.close(secret)
        shutil.rmtree(home, ignore_errors=True)


async def _start(launch: Launch) -> asyncio.subprocess.Process:
    arguments, descriptors = command_line(launch)
    process = await asyncio.create_subprocess_exec(
        *arguments,
        env=supervisor_environment(),
        pass_fds=descriptors,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in the terminal is for us; we end the server then
    )
    os.close(descriptors[0])
    return process


async def _until_ready(process: asyncio.subprocess.Process, home: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.returncode is not None:
            raise DemoError(f"the server ended with status {process.returncode}; its lines above say why")
        status = read_status(home / "run")
        if status is not None and status.ready:
            return
        await asyncio.sleep(0.05)
    raise DemoError(f"the server was not ready after {_READY_WITHIN_S:.0f} s; its lines above say why")


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(30):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _until_interrupted() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


async def ring_itself(server: DemoServer, show: Callable[[str], None]) -> dict[str, Any]:
    """Place one call over SIP and RTP, and read afterwards what the store has of it."""

    def told(what: str, detail: str) -> None:
        show(f"  {what:<9} {detail}".rstrip())

    async with speaker() as speak:
        result = await place_call(server.uri, STEPS, speak=speak, show=told, longest_seconds=120.0)
    if not result.answered:
        raise DemoError(f"the call was refused with {result.status} {result.reason}")
    async with books_of(server.environment) as books:
        whole = await until_taken_in(books)
        seconds = await heard_seconds(books, whole)
    return report(whole, result, seconds)


async def until_taken_in(books: Books) -> WholeSession:
    """The only session of a fresh home, once all of it is in the store.

    Raises:
        DemoError: It does not arrive.
    """
    tenant = await books.tenant(None)
    deadline = time.monotonic() + _TAKEN_IN_WITHIN_S
    while time.monotonic() < deadline:
        async with books.database.tenant(tenant) as store:
            found = await sessions.list_sessions(store, limit=1, actor=OPERATOR)
        if found and found[0].heard_samples is not None:
            return await read_whole(books, found[0].id)
        await asyncio.sleep(0.1)
    raise DemoError("the call did not reach the store in time")


async def heard_seconds(books: Books, whole: WholeSession) -> float:
    """Length of the recording in seconds, having opened it; 0 when there is none."""
    if whole.recording is None:
        return 0.0
    async with books.database.tenant(await books.tenant(None)) as store:
        recording = await recordings.open_recording(store, books.blobs, UUID(str(whole.session.id)), reader=READS_ALL)
    if recording is None:
        return 0.0
    await recording.read(0, recording.samples)
    return recording.samples / recordings.SAMPLES_PER_SECOND


def report(whole: WholeSession, result: CallResult, recording_seconds: float) -> dict[str, Any]:
    """The demo's outcome."""
    turns = [{"role": turn.role, "text": turn.text} for turn in whole.turns]
    disclosure_first = is_disclosure_first(whole)
    return {
        "ok": disclosure_first and recording_seconds > 0 and {turn["role"] for turn in turns} == {"caller", "agent"},
        "disclosure_first": disclosure_first,
        "turns": turns,
        "recording_seconds": round(recording_seconds, 2),
        "first_audio_ms": _rounded(result.first_audio_ms),
        "setup_ms": _rounded(result.setup_ms),
        "session_id": str(whole.session.id),
    }


def is_disclosure_first(whole: WholeSession) -> bool:
    """Whether the disclosure had been played whole before the caller's voice went anywhere."""
    played = next((event for event in whole.consent if event.kind == "disclosure_played"), None)
    opened = next((event for event in whole.consent if event.kind == "gate_opened"), None)
    if played is None or played.to_sample is None:
        return False
    return opened is None or opened.from_sample >= played.to_sample


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

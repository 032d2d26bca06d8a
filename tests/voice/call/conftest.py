"""A worker's call office between a local line, a local desk and the rehearsal server."""

import asyncio
import audioop
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policies.chunks import SPOOLED_CHUNK_BYTES, recover, spooled_recording_context
from tests.fakes.desk import LocalDesk
from tests.fakes.line import LocalLine
from tests.fakes.plans import make_plan, tone
from voice.call.desk_client import DeskClient
from voice.call.office import CallOffice
from voice.call.recording_sink import recording_key
from voice.rehearsal.script import Script
from voice.rehearsal.server import RehearsalServer
from voice.waist.journal import AnyRecord, open_records
from voice.waist.messages import PlanGranted, TurnHeard
from voice.waist.plan import CallPlan

R = TypeVar("R")


@dataclass(slots=True)
class Left:
    """What a call left in the spool."""

    plan: CallPlan
    records: list[AnyRecord]
    caller: bytes = b""
    """Left channel of the recording, mu-law."""
    agent: bytes = b""
    """Right channel."""

    def all(self, kind: type[R]) -> list[R]:
        """The records of one kind."""
        return [record for record in self.records if isinstance(record, kind)]

    def one(self, kind: type[R]) -> R:
        """The only record of its kind."""
        (record,) = self.all(kind)
        return record


@dataclass(slots=True)
class World:
    """One worker and everything around it."""

    spool: Path
    desk: LocalDesk
    office: CallOffice
    client: DeskClient
    lines: list[LocalLine] = field(default_factory=list)

    def ring(self, plan: CallPlan, *, spare: CallPlan | None = None) -> LocalLine:
        """A call comes in and will be granted this plan."""
        self.desk.plan = lambda _: PlanGranted(plan=plan, spare=spare)
        line = LocalLine(called=plan.called)
        self.lines.append(line)
        self.office.take(line)
        return line

    def said(self, state: str) -> bool:
        """Whether some call has told the desk that it entered this state."""
        return any(getattr(told, "state", None) == state for told in self.desk.told)

    def use_ear(self, url: str) -> None:
        """Have calls that come in from now on use this speech server."""
        self.office._means = dataclasses.replace(self.office._means, speech_url=url)

    def turns(self) -> int:
        """Turns that the desk was told of so far."""
        return len(self.desk.told_of(TurnHeard))

    async def ended(self, line: LocalLine, plan: CallPlan, *, hang_up: bool = False) -> Left:
        """Wait for the call's end, or bring it about, and read what it left."""
        if hang_up:
            line.hang_up_by_caller()
        await until(lambda: line.over.is_set() and not self.office.busy, seconds=20)
        return self.left(plan)

    def left(self, plan: CallPlan) -> Left:
        """Read the spool."""
        journal = self.spool / f"{plan.session_id}.journal"
        left = Left(plan, list(open_records(journal.read_bytes(), plan.data_key)))
        recording = self.spool / f"{plan.session_id}.recording"
        if recording.exists():
            sealed = recording.read_bytes()
            context = spooled_recording_context(plan.tenant_id, plan.session_id)
            key = recording_key(plan.data_key)
            stereo = b"".join(recover(key, context, sealed, AESGCM, chunk_bytes=SPOOLED_CHUNK_BYTES))
            left.caller, left.agent = stereo[0::2], stereo[1::2]
        return left


async def until(true: Callable[[], Any], seconds: float = 5.0) -> None:
    """Wait until something is true, looking every few milliseconds; fail if it never is."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail("what was waited for did not happen")
        await asyncio.sleep(0.005)


SPEECH = tone(300, 0.8)
"""Loud enough for any voice detection."""


def sounds_like(sound: bytes, hertz: float, *, mulaw: bool = False) -> float:
    """How much of a sound, signed 16 bits unless it is mu-law, is a tone: 0 to 1, whatever its phase."""
    samples = np.frombuffer(audioop.ulaw2lin(sound, 2) if mulaw else sound, np.int16).astype(np.float64)
    energy = float(np.sqrt(np.mean(samples**2))) if samples.size else 0.0
    if energy < 10:
        return 0.0
    turning = np.exp(-2j * np.pi * hertz * np.arange(samples.size) / 8000)
    return float(abs(np.mean(samples * turning)) * np.sqrt(2) / energy)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A worker with its desk; nothing is left running afterwards."""
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        client = DeskClient(tmp_path / "desk.sock", "test worker")
        spool = tmp_path / "spool"
        spool.mkdir()
        office = CallOffice(client, spool, "http://127.0.0.1:9", None)
        await client.wait_connected(5)
        world = World(spool, desk, office, client)
        yield world
        for line in world.lines:
            if not line.over.is_set():
                line.hang_up_by_caller()
        await office.drain(5)
        await client.close()
        for line in world.lines:
            await line.close()
    left_over = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left_over


class Scripted(Protocol):
    """Starts a rehearsal server with a script."""

    async def __call__(self, script: Script) -> RehearsalServer:
        """The server; it ends with the test."""


@pytest.fixture
async def scripted(world: World) -> AsyncIterator[Scripted]:
    """Start a rehearsal server with a script; it ends with the test."""
    servers: list[RehearsalServer] = []

    async def start(script: Script) -> RehearsalServer:
        server = RehearsalServer(script=script)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


def plan_for(server: RehearsalServer, **changes: object) -> CallPlan:
    """A plan that talks to this server."""
    return make_plan(server.realtime_url, **changes)

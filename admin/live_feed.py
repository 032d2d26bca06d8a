"""The calls that are up on this machine, as its desk tells of them: one connection, however many people look on."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import msgspec
import structlog

from policies.audit_tags import Actor
from voice.waist.messages import (
    LENGTH,
    LONGEST_MESSAGE,
    AnyMessage,
    Envelope,
    LiveCall,
    LiveCallChanged,
    LiveTurn,
    LiveTurnHeard,
    WatchBegun,
    WatchRequested,
    decode_envelope,
    frame,
)

log = structlog.get_logger()

RETRY_S: Final = 0.5
TURNS_KEPT: Final = 200
"""The last ones of each call, as at the desk; memory only."""
MOST_WAITING: Final = 1000
"""Changes. Whoever has not been told so many is too slow, and is let go."""
TOGETHER_S: Final = 0.1
"""Changes within so long are told at once: forty calls cost one write, not forty."""
ENDED: Final = "ended"

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to the desk's operators' socket. Raises `OSError` where there is none."""


class DeskChanged(msgspec.Struct, frozen=True):
    """The desk is away, or back: what was known before is known no more."""

    is_up: bool


Change = LiveCallChanged | LiveTurnHeard | DeskChanged


@dataclass(slots=True)
class KnownCall:
    """A call that is up, and what was said in it last."""

    call: LiveCall
    turns: OrderedDict[int, LiveTurn] = field(default_factory=OrderedDict)
    """By their number in the call; the last may still be growing."""
    read_by: set[Actor] = field(default_factory=set)
    """Who reads along and is in the log for it, or need not be."""

    @property
    def session_id(self) -> UUID:
        """The call."""
        return UUID(self.call.session_id)

    @property
    def tenant_id(self) -> UUID:
        """Whose it is."""
        return UUID(self.call.tenant_id)

    @property
    def project_id(self) -> UUID:
        """Of which project."""
        return UUID(self.call.project_id)

    def hear(self, heard: LiveTurnHeard) -> None:
        """A turn is new, or has grown."""
        self.turns[heard.number] = heard.turn
        if heard.is_whole:
            self.call = msgspec.structs.replace(self.call, turns=heard.number + 1)
        while len(self.turns) > TURNS_KEPT:
            self.turns.popitem(last=False)

    def is_whole(self, number: int) -> bool:
        """Whether the turn has been spoken to its end."""
        return number < self.call.turns


class TooSlowError(Exception):
    """Somebody does not take what they are told."""


class Viewer:
    """Somebody who is told of every change of one tenant's calls."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        self._waiting: deque[tuple[KnownCall | None, Change]] = deque()
        self._some = asyncio.Event()
        self._too_slow = False

    def tell(self, known: KnownCall | None, change: Change) -> None:
        """One change more, of this call."""
        if len(self._waiting) >= MOST_WAITING:
            self._too_slow = True
            self._waiting.clear()
        if not self._too_slow:
            self._waiting.append((known, change))
        self._some.set()

    def nudge(self) -> None:
        """Something else has happened that whoever views wants to look at."""
        self._some.set()

    async def take(self, seconds: float) -> list[tuple[KnownCall | None, Change]]:
        """What has changed, having waited for it for so long at most.

        Raises:
            TooSlowError: More had changed than is kept.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some.wait()
            await asyncio.sleep(TOGETHER_S)
        if self._too_slow:
            raise TooSlowError
        self._some.clear()
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class LiveFeed:
    """One in the admin's process. `run` it; it heals when the desk has been away."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._calls: dict[UUID, KnownCall] = {}
        self._viewers: set[Viewer] = set()
        self.is_up = False
        """Whether the desk answers."""

    async def run(self) -> None:
        """Follow the desk, for ever."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError, msgspec.MsgspecError, ValueError):
                await self._follow()
            self._lose()
            await asyncio.sleep(RETRY_S)

    def find(self, session_id: UUID) -> KnownCall | None:
        """The call, if it is up."""
        return self._calls.get(session_id)

    def of_line(self, sip_call_id: str) -> KnownCall | None:
        """The call of this Call-ID."""
        return next((known for known in self._calls.values() if known.call.sip_call_id == sip_call_id), None)

    def of_tenant(self, tenant_id: UUID) -> list[KnownCall]:
        """The tenant's calls, oldest first."""
        return [known for known in self._calls.values() if known.tenant_id == tenant_id]

    @contextmanager
    def watched_by(self, tenant_id: UUID) -> Iterator[Viewer]:
        """Tell a viewer of every change of this tenant's calls until the block ends."""
        viewer = Viewer(tenant_id)
        self._viewers.add(viewer)
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)

    async def _follow(self) -> None:
        reader, writer = await self._connect()
        try:
            writer.write(frame(Envelope(number=1, is_reply=False, body=WatchRequested())))
            while True:
                (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                if length > LONGEST_MESSAGE:
                    raise ValueError("a message longer than any may be")
                self._hear(decode_envelope(await reader.readexactly(length)).body)
        finally:
            writer.close()

    def _hear(self, message: AnyMessage) -> None:
        match message:
            case WatchBegun(calls=calls):
                for watched in calls:
                    known = KnownCall(watched.call)
                    first = watched.call.turns - len(watched.turns)
                    known.turns.update(enumerate(watched.turns, start=first))
                    self._calls[known.session_id] = known
                self._change(is_up=True)
            case LiveCallChanged(call=call):
                known = self._calls.setdefault(UUID(call.session_id), KnownCall(call))
                known.call = call
                if call.state == ENDED:
                    del self._calls[known.session_id]
                self._tell(known, message)
            case LiveTurnHeard(session_id=session_id):
                if found := self._calls.get(UUID(session_id)):
                    found.hear(message)
                    self._tell(found, message)
            case _:
                raise ValueError("not what a watch is told")

    def _lose(self) -> None:
        self._calls.clear()
        if self.is_up:
            log.warning("desk_lost")
            self._change(is_up=False)

    def _change(self, *, is_up: bool) -> None:
        self.is_up = is_up
        for viewer in self._viewers:
            viewer.tell(None, DeskChanged(is_up))

    def _tell(self, known: KnownCall, change: Change) -> None:
        for viewer in self._viewers:
            if viewer.tenant_id == known.tenant_id:
                viewer.tell(known, change)

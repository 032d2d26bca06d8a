"""Calls that people make from this web admin: whose they are, how far each is, and its end when nobody follows it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from admin.live_feed import Viewer
from policies.audit_tags import Actor

UNWATCHED_S: Final = 15.0
"""A call whose page has not been there for so long is ended. Pages come back within a second."""
_LOOK_EVERY_S: Final = 1.0

State = Literal["connecting", "connected", "ringing", "up", "ended"]


@dataclass(frozen=True, slots=True)
class Moved:
    """How far a call is."""

    state: State
    status: int = 0
    """Of "ended": the SIP status where nobody answered."""
    reason: str = ""


class NotPlacedError(Exception):
    """No call was begun."""

    def __init__(self, why: Literal["bad_offer", "busy", "no_address", "away"]) -> None:
        super().__init__(why)
        self.why = why


class Line(Protocol):
    """A call that the process of browsers' calls has taken on."""

    @property
    def answer(self) -> str:
        """The SDP for the browser."""

    async def moved(self) -> Moved | None:
        """What happens next; None when nothing does any more."""

    def hang_up(self) -> None:
        """End it."""


class PlaceCall(Protocol):
    """Has a call taken on."""

    async def __call__(self, offer: str, called: str, sip_call_id: str, owner: str) -> Line:
        """The call. Raises `NotPlacedError`."""


@dataclass(slots=True, kw_only=True)
class BrowserCall:
    """One call from a browser."""

    id: UUID
    tenant_id: UUID
    actor: Actor
    line: Line
    now: Moved = Moved("connecting")
    session_id: UUID | None = None
    """Once the desk has told of it."""
    viewers: set[Viewer] = field(default_factory=set)
    unwatched_since: float = 0.0

    @property
    def sip_call_id(self) -> str:
        """By which the desk knows it."""
        return str(self.id)

    @contextmanager
    def followed_by(self, viewer: Viewer) -> Iterator[None]:
        """Somebody follows it until the block ends."""
        self.viewers.add(viewer)
        try:
            yield
        finally:
            self.viewers.discard(viewer)
            self.unwatched_since = asyncio.get_running_loop().time()

    def move(self, moved: Moved) -> None:
        """It has gone on."""
        self.now = moved
        for viewer in self.viewers:
            viewer.nudge()


class BrowserCalls:
    """All of them. `run` it; they end with it."""

    def __init__(self, place: PlaceCall) -> None:
        self._place = place
        self._calls: dict[UUID, BrowserCall] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Carry calls, for ever."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            while True:
                await asyncio.sleep(_LOOK_EVERY_S)
                self._end_unwatched()

    async def begin(self, offer: str, *, called: str, tenant_id: UUID, actor: Actor) -> BrowserCall:
        """Place a call for somebody's browser.

        Raises:
            NotPlacedError: It could not be.
        """
        if self._group is None:
            raise NotPlacedError("away")
        call_id = uuid7()
        line = await self._place(offer, called, str(call_id), str(tenant_id))
        call = BrowserCall(id=call_id, tenant_id=tenant_id, actor=actor, line=line)
        call.unwatched_since = asyncio.get_running_loop().time()
        self._calls[call_id] = call
        self._group.create_task(self._follow(call), name="browser call")
        return call

    def find(self, call_id: UUID, *, tenant_id: UUID, actor: Actor) -> BrowserCall | None:
        """Somebody's own call."""
        call = self._calls.get(call_id)
        return call if call is not None and (call.tenant_id, call.actor) == (tenant_id, actor) else None

    async def _follow(self, call: BrowserCall) -> None:
        try:
            while (moved := await call.line.moved()) is not None:
                call.move(moved)
            if call.now.state != "ended":
                call.move(Moved("ended", reason="away"))
            await asyncio.sleep(UNWATCHED_S)  # whoever has missed its end still finds it
        finally:
            call.line.hang_up()
            del self._calls[call.id]

    def _end_unwatched(self) -> None:
        now = asyncio.get_running_loop().time()
        for call in self._calls.values():
            if not call.viewers and now - call.unwatched_since > UNWATCHED_S:
                call.line.hang_up()

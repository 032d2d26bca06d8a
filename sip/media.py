"""The media clock's two callbacks, and the way of their sound to the loop and back.

pjmedia's clock thread ticks every 20 ms and asks each connected port for a frame (what the caller will hear), then
gives it one (what the caller said). Ports are made once at start and never destroyed, since destroying one under a
running clock is not safe in this library; a call borrows one. The last port of a tick wakes the loop, once for all
calls.
"""

import asyncio
import ctypes
from collections import deque
from collections.abc import Callable
from typing import Any

import pjsua2 as pj

from sip.frames import FRAME_BYTES, SILENCE, ReadFrame, WriteFrame, frame_access
from sip.jitter import RestedMs
from sip.playout import Lane, Playout

TickSink = Callable[[bytes, int, bytes, Lane | None, int], None]
"""Takes one tick on the loop's thread: the caller's frame and how many milliseconds it had rested in the jitter buffer,
ours, and where ours came from.
"""

_NOTHING_SENT: tuple[bytes, Lane | None, int] = (SILENCE, None, 0)


class MediaClock:
    """Hands the ticks of all ports to the loop, with one wake-up a tick."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ports: tuple[MediaPort, ...] = ()
        self.last_port: MediaPort | None = None
        """Of the borrowed ports the one that the bridge serves last in a tick."""
        self._woken = False

    def borrowed(self, port: "MediaPort") -> None:
        """A call begins to use this port."""
        self._set_ports((*self._ports, port))

    def returned(self, port: "MediaPort") -> None:
        """It does no longer."""
        self._set_ports(tuple(other for other in self._ports if other is not port))

    def wake(self) -> None:
        """Called by the clock's thread after the last port's frame."""
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _set_ports(self, ports: "tuple[MediaPort, ...]") -> None:
        self._ports = ports
        self.last_port = max(ports, key=lambda port: port.slot, default=None)

    def _deliver(self) -> None:
        self._woken = False
        for port in self._ports:
            port.deliver()


class MediaPort(pj.AudioMediaPort):  # type: ignore[misc]  # the binding has no types
    """A port of the conference bridge. `onFrame...` run in pjmedia's clock thread, everything else in the loop's."""

    def __init__(self, number: int, clock: MediaClock, access: tuple[ReadFrame, WriteFrame]) -> None:
        super().__init__()
        self._clock = clock
        self._read, self._write = access
        self._playout: Playout | None = None
        self._sink: TickSink | None = None
        self._sent = _NOTHING_SENT
        self._rested_ms: RestedMs | None = None
        self._ticks: deque[tuple[bytes, int, bytes, Lane | None, int]] = deque()
        picture = pj.MediaFormatAudio()
        picture.init(pj.PJMEDIA_FORMAT_PCM, 8000, 1, 20_000, 16)
        self.createPort(f"call{number}", picture)
        self.slot: int = self.getPortInfo().portId

    def borrow(self, playout: Playout, sink: TickSink) -> None:
        """Give this port to a call: what it plays, and who hears the ticks."""
        self._ticks.clear()
        self._sent = _NOTHING_SENT
        self._sink = sink
        self._playout = playout
        self._clock.borrowed(self)

    def gauge(self, rested_ms: RestedMs | None) -> None:
        """Ask this in each tick how long the caller's sound rests; None once the stream is about to go."""
        self._rested_ms = rested_ms

    def give_back(self) -> None:
        """Take the port away from its call, after the ticks that were still on their way."""
        self._clock.returned(self)
        self._rested_ms = None
        self._playout = None
        self.deliver()
        self._sink = None

    def deliver(self) -> None:
        """Hand all waiting ticks to the call."""
        ticks, sink = self._ticks, self._sink
        while ticks:
            tick = ticks.popleft()
            if sink is not None:
                sink(*tick)

    # --- the clock's thread -------------------------------------------------------------------------------------------

    def onFrameRequested(self, frame: Any) -> None:  # noqa: N802  # pjsua2's name
        """The bridge wants our frame of this tick; not asked while the caller holds us without listening."""
        playout = self._playout
        if playout is None:
            self._write(frame, SILENCE)
        else:
            sent = self._sent = playout.take()
            self._write(frame, sent[0])

    def onFrameReceived(self, frame: Any) -> None:  # noqa: N802  # pjsua2's name
        """The bridge has the caller's frame of this tick; empty while the caller holds us without sending."""
        if self._playout is None:
            return
        heard = self._read(frame)
        sent = self._sent
        self._sent = _NOTHING_SENT
        rested_ms = self._rested_ms
        rested = 0 if rested_ms is None else rested_ms()
        self._ticks.append((heard if len(heard) == FRAME_BYTES else SILENCE, rested, *sent))
        clock = self._clock
        if self is clock.last_port:
            clock.wake()


class PinningPort(MediaPort):
    """The port that is served first in its life; it keeps the clock thread's interpreter state alive between ticks.

    Without that, every callback makes a new one and throws it away: a third of the cost of a tick. The clock has one
    thread for its whole life, so once is enough, and the port goes on as an ordinary one.
    """

    def onFrameReceived(self, frame: Any) -> None:  # noqa: N802  # pjsua2's name
        """Pin the thread, then do as every port."""
        ctypes.pythonapi.PyGILState_Ensure()
        self.__class__ = MediaPort
        self.onFrameReceived(frame)


def make_ports(count: int, clock: MediaClock) -> tuple[list[MediaPort], bool]:
    """The pool, and whether frames are reached in place. Needs a started library with a sound device set."""
    read, write, in_place = frame_access()
    ports: list[MediaPort] = [
        (PinningPort if number == 0 else MediaPort)(number, clock, (read, write)) for number in range(count)
    ]
    return ports, in_place

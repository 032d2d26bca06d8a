"""A telephone line without a telephone network: a real 20 ms clock, the product's own playout, a caller by script.

It satisfies `voice.call.line.Line` and keeps what really happened, with times: what the caller heard, tick by tick, and
what was asked of the line.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from policies.line_events import CallerHungUp, KeyPressed, LineEvent, LineStatistics
from sip.playout import Playout
from sip.transport import LineTransport

FRAME_BYTES = 320
SILENCE = bytes(FRAME_BYTES)
TICK_SECONDS = 0.02


class LocalLine:
    """One line. The test is its caller: `speak`, `press`, `hang_up_by_caller`; its clock starts with the answer."""

    def __init__(self, called: str = "+4930123456", caller: str | None = "+4917012345", call_id: str = "local") -> None:
        self.sip_call_id = call_id
        self.called = called
        self.caller = caller
        self.trunk = "loopback"
        self.playout = Playout()
        self.transport = LineTransport(self.playout, self.press)
        self.media_lost_seconds = 20.0
        self.on_tick: Callable[[bytes, bytes, int], None] | None = None
        self._on_event: Callable[[LineEvent], None] | None = None
        self._waiting: list[LineEvent] = []
        self._to_speak: deque[bytes] = deque()
        self._clock: asyncio.Task[None] | None = None
        self.acknowledges = True
        """Whether the caller's side sends the ACK."""
        self.transfer_status = 202
        self.transfer_seconds = 0.05
        self.rang = False
        self.answered_at: float | None = None
        self.refused: tuple[int, str] | None = None
        self.transfers: list[str] = []
        self.pressed: list[str] = []
        self.over = asyncio.Event()
        self.heard = bytearray()
        """All that the caller heard since the answer, signed 16 bits."""
        self.said = bytearray()
        """All that the caller's side sent."""
        self.tick_times: list[float] = []

    # --- the call's side ----------------------------------------------------------------------------------------------

    @property
    def on_event(self) -> Callable[[LineEvent], None]:
        """Who is told."""
        return self._on_event or self._waiting.append

    @on_event.setter
    def on_event(self, told: Callable[[LineEvent], None]) -> None:
        self._on_event = told
        while self._waiting:
            told(self._waiting.pop(0))

    def ring(self) -> None:
        self.rang = True

    async def answer(self) -> bool:
        await asyncio.sleep(0)
        if self.over.is_set() or not self.acknowledges:
            return False
        self.answered_at = time.monotonic()
        self._clock = asyncio.get_running_loop().create_task(self._run_clock())
        return True

    def refuse(self, sip_status: int, reason: str) -> None:
        self.refused = (sip_status, reason)
        self.over.set()

    def hang_up(self) -> None:
        self.over.set()
        self.playout.close()
        self.transport.close()
        if self._clock is not None:
            self._clock.cancel()

    async def transfer(self, uri: str, deadline_seconds: float) -> int:
        self.transfers.append(uri)
        await asyncio.sleep(min(self.transfer_seconds, deadline_seconds))
        return self.transfer_status

    def press(self, digits: str) -> None:
        self.pressed.append(digits)

    def statistics(self) -> LineStatistics | None:
        ticks = len(self.tick_times)
        return LineStatistics("PCMU", ticks, 0, 0.5, None, 4.3) if ticks else None

    # --- the caller's side --------------------------------------------------------------------------------------------

    def speak(self, pcm: bytes) -> None:
        """Say something from the next tick on."""
        padded = pcm.ljust(-(-len(pcm) // FRAME_BYTES) * FRAME_BYTES, b"\0")
        self._to_speak.extend(padded[at : at + FRAME_BYTES] for at in range(0, len(padded), FRAME_BYTES))

    @property
    def speaking(self) -> bool:
        """Whether the caller has more to say."""
        return bool(self._to_speak)

    def press_key(self, digit: str) -> None:
        """Press a key."""
        self.on_event(KeyPressed(digit))

    def hang_up_by_caller(self) -> None:
        """Send BYE, or CANCEL."""
        self.over.set()
        self.on_event(CallerHungUp())

    async def _run_clock(self) -> None:
        start = time.monotonic()
        count = 0
        while not self.over.is_set():
            count += 1
            await asyncio.sleep(max(0.0, start + count * TICK_SECONDS - time.monotonic()))
            agent, lane, taken = self.playout.take()
            caller = self._to_speak.popleft() if self._to_speak else SILENCE
            self.heard += agent
            self.said += caller
            self.tick_times.append(time.monotonic())
            if self.on_tick is not None:
                self.on_tick(caller, agent, 0)
            self.playout.tick_passed(lane, taken)
            self.transport.tick(caller, spoke=lane is not None)

    async def close(self) -> None:
        """Stop the clock."""
        if self._clock is not None:
            self._clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._clock

"""Puts what the caller said beside what the caller heard at that moment.

The caller's frame of a tick was said earlier: it has rested in the line's jitter buffer, which holds more after a loss
and less after a calm stretch. Each frame is moved back by as much as its own rest was. A single late packet makes the
rest look shorter for a moment without moving anything, so a new rest counts only once it has lasted.
"""

from collections import deque
from collections.abc import Callable

from voice.call.line import FRAME_BYTES, FRAME_MS

LASTING_TICKS = 5
"""A rest that is longer, or shorter, for so many ticks in a row is a new one."""
LONGEST_REST_TICKS = 6
"""More than the jitter buffer aims at; a frame is handed out once nothing can come before it any more."""
_NOTHING = bytes(FRAME_BYTES)


class SideBySide:
    """One call's. `out` gets pairs of frames, caller's and ours, one for each tick and in order."""

    def __init__(self, out: Callable[[bytes, bytes], None]) -> None:
        self._out = out
        self._waiting: deque[tuple[bytes, int]] = deque()
        """The caller's frames of the last ticks, and the rest of each in ticks, until it is known what lasts."""
        self._ours: deque[bytes] = deque()
        self._placed: dict[int, bytes] = {}
        self._rest = 0
        self._next = 0
        """Tick of the next frame to be placed ..."""
        self._handed_out = 0
        """... and of the next pair to be handed out."""
        self._last = _NOTHING

    def tick(self, caller: bytes, ours: bytes, rested_ms: int) -> None:
        """The two frames of one tick of the media clock, and how long the caller's had rested."""
        self._ours.append(ours)
        self._waiting.append((caller, (rested_ms + FRAME_MS // 2) // FRAME_MS))
        if len(self._waiting) >= LASTING_TICKS:
            self._place()
        while self._handed_out < self._next - LONGEST_REST_TICKS:
            self._hand_out()

    def finish(self) -> None:
        """No tick follows: hand out everything that is left."""
        while self._waiting:
            self._place()
        while self._ours:
            self._hand_out()

    def forget(self) -> None:
        """Nothing of what is left is wanted."""
        self._waiting.clear()
        self._ours.clear()
        self._placed.clear()

    def _place(self) -> None:
        if len(self._waiting) >= LASTING_TICKS:
            rests = [rest for _, rest in self._waiting]
            if min(rests) > self._rest:
                self._rest = min(LONGEST_REST_TICKS, *rests)
            elif max(rests) < self._rest:
                self._rest = max(rests)
        frame, _ = self._waiting.popleft()
        if (at := self._next - self._rest) >= self._handed_out:  # else it was said before the recording began
            # Where the rest grew there is a frame already: what concealed the loss, and was never said.
            self._placed[at] = frame
        self._next += 1

    def _hand_out(self) -> None:
        if self._handed_out >= self._next - self._rest:  # what is on the wire when the call ends is never handed to us
            self._last = _NOTHING
        # Where the rest shrank a frame is missing: the buffer left it out, and nobody heard it.
        self._last = self._placed.pop(self._handed_out, self._last)
        self._handed_out += 1
        self._out(self._last, self._ours.popleft())

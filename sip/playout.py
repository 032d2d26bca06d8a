"""What the caller is going to hear: a queue of sound that the media clock empties, one frame a tick.

Two threads meet here without a lock. The loop's thread appends on the right and, when it flushes, takes back from the
right; the clock's thread takes from the left. Each step is one operation of a `deque`, which the interpreter does not
divide, so every frame is taken by exactly one of them, and what was heard is what was appended and is no longer there.

Sound lies in lanes: a lane holds consecutive pieces of one item that are alike interruptible. Only the last lane grows,
and only the loop's thread changes the tuple of lanes.
"""

from collections import deque
from collections.abc import Callable

from sip.frames import FRAME_BYTES, FRAME_SAMPLES, SILENCE

FRAME_MS = 20


class Lane:
    """A stretch of sound under one item's name. Not for use outside the media's own files."""

    __slots__ = (
        "appended",
        "frames",
        "growing",
        "interruptible",
        "item",
        "marks",
        "padding",
        "passed",
        "starved",
        "tail",
        "taken",
    )

    def __init__(self, item: str, *, interruptible: bool) -> None:
        self.item = item
        self.interruptible = interruptible
        self.frames: deque[bytes] = deque()
        self.appended = 0
        """Frames ever queued here, less those that were flushed."""
        self.tail = b""
        """Sound of less than a frame, waiting for more."""
        self.padding = 0
        """Samples of silence that fill up the last frame."""
        self.marks: deque[tuple[int, Callable[[], None], bool]] = deque()
        """Whom to tell once so many frames have passed, and whether a flush makes that pointless."""
        self.growing = True
        self.taken = 0
        """Frames taken; written by the clock's thread alone."""
        self.passed = 0
        """The same as the loop's thread has come to know it, tick by tick."""
        self.starved = False
        """Written by the clock's thread alone: the lane ran empty while it was growing."""

    def heard_samples(self) -> int:
        """Samples of the item that went to the wire, exact at the moment of asking."""
        left = len(self.frames)
        return (self.appended - left) * FRAME_SAMPLES - (0 if left else self.padding)

    def close(self) -> None:
        """Fill up the last frame; nothing is appended after this."""
        if self.tail:
            self.padding = FRAME_SAMPLES - len(self.tail) // 2
            self.appended += 1
            self.frames.append(self.tail.ljust(FRAME_BYTES, b"\0"))
            self.tail = b""
        self.growing = False

    def cut(self) -> bool:
        """Drop what was not taken; True if there was anything."""
        had_tail = bool(self.tail)
        self.tail = b""
        self.growing = False
        dropped = 0
        frames = self.frames
        try:
            while True:
                frames.pop()
                dropped += 1
        except IndexError:
            pass
        if dropped:
            self.appended -= dropped
            self.padding = 0
        return had_tail or dropped > 0

    def cut_marks(self, *, all_pending: bool) -> None:
        """Forget the interruptible marks behind sound that was not taken; `all_pending`: behind any sound at all."""
        taken = -1 if all_pending else self.appended - len(self.frames)
        last = self.appended + bool(self.tail)
        self.marks = deque(
            (min(number, last), played, interruptible)
            for number, played, interruptible in self.marks
            if number <= taken or not interruptible
        )


class Playout:
    """One call's queue. All of it is for the loop's thread, but `take`, which is the clock's."""

    def __init__(self) -> None:
        self._lanes: tuple[Lane, ...] = ()
        self._heard: dict[str, int] = {}
        self._samples = 0
        self._underruns = 0
        self._resting: deque[None] = deque()
        """An element for each tick in which nothing is taken."""
        self._closed = False

    # --- the call's side ----------------------------------------------------------------------------------------------

    def say(
        self, pcm: bytes, *, item: str, interruptible: bool = True, played: Callable[[], None] | None = None
    ) -> None:
        """Append sound: 8,000 samples a second, signed 16 bits, mono. Nothing happens once the line is down.

        `played` is called after the last frame that holds a sample of this piece has gone to the wire, or, for an empty
        piece, after all that was queued before it; it is not called when the piece is flushed. A piece shorter than
        whole frames is joined with the next piece of the same item, and filled up with silence when another item begins
        or `finish` is called.
        """
        if self._closed:
            return
        lane = self._lanes[-1] if self._lanes else None
        if lane is None or not lane.growing or lane.item != item or lane.interruptible is not interruptible:
            if lane is not None and lane.growing:
                lane.close()
            lane = Lane(item, interruptible=interruptible)
            self._lanes = (*self._lanes, lane)
        if lane.tail:
            pcm = lane.tail + pcm
        whole = len(pcm) // FRAME_BYTES
        lane.tail = pcm[whole * FRAME_BYTES :]
        if whole:
            lane.appended += whole
            lane.frames.extend([pcm[at : at + FRAME_BYTES] for at in range(0, whole * FRAME_BYTES, FRAME_BYTES)])
        if played is not None:
            lane.marks.append((lane.appended + bool(lane.tail), played, interruptible))

    def mark(self, played: Callable[[], None], *, interruptible: bool = True) -> None:
        """Call `played` after all sound queued so far; an interruptible mark is forgotten when that is flushed."""
        if self._closed:
            return
        if not self._lanes:
            lane = Lane("", interruptible=interruptible)
            lane.growing = False
            self._lanes = (lane,)
        lane = self._lanes[-1]
        lane.marks.append((lane.appended + bool(lane.tail), played, interruptible))

    def finish(self, item: str) -> None:
        """No more sound follows for this item: fill up its last frame."""
        if self._lanes and self._lanes[-1].item == item and self._lanes[-1].growing:
            self._lanes[-1].close()

    def flush(self) -> None:
        """Drop all interruptible sound that has not gone to the wire, at once."""
        pending = False
        for lane in self._lanes:
            if lane.interruptible:
                dropped = lane.cut()
                lane.cut_marks(all_pending=pending)
                pending = pending or dropped
            else:
                lane.cut_marks(all_pending=pending)
                pending = pending or bool(lane.frames) or bool(lane.tail)

    def rest(self, ms: int) -> None:
        """Let nothing be taken for so long, on top of any rest before: the wire carries something else meanwhile."""
        self._resting.extend([None] * (ms // FRAME_MS))

    def heard_ms(self, item: str) -> int:
        """How much of this item has gone to the wire so far; silence that only fills a frame does not count."""
        samples = self._heard.get(item, 0) + sum(lane.heard_samples() for lane in self._lanes if lane.item == item)
        return samples // (FRAME_SAMPLES // FRAME_MS)

    @property
    def samples(self) -> int:
        """Ticks of the media clock since the answer, in samples: the time base of journal and recording.

        Steps between the ticks' `on_tick`s: inside one it names the first sample of that tick's frames, and everywhere
        else the first sample of the next tick's.
        """
        return self._samples

    @property
    def queued_ms(self) -> int:
        """Sound waiting to be played."""
        return sum(len(lane.frames) * FRAME_MS + len(lane.tail) // 16 for lane in self._lanes)

    @property
    def underruns(self) -> int:
        """Times the queue ran empty in the middle of an item that was not finished."""
        return self._underruns

    @property
    def idle(self) -> bool:
        """Whether all sound has gone to the wire and everyone who waited for it has been told."""
        return not self._lanes

    @property
    def expects_more(self) -> bool:
        """Whether sound is queued, or the last item has begun and is not finished."""
        return any(lane.growing or lane.frames or lane.passed < lane.appended for lane in self._lanes)

    # --- the media's side ---------------------------------------------------------------------------------------------

    def take(self) -> tuple[bytes, Lane | None, int]:
        """The next frame for the wire, its lane and how many that lane has now given; silence where there is none.

        Called by the clock's thread, once a tick.
        """
        if self._resting:
            self._resting.popleft()
            return SILENCE, None, 0
        lane = None
        for lane in self._lanes:
            try:
                frame = lane.frames.popleft()
            except IndexError:
                continue
            lane.taken += 1
            lane.starved = False
            return frame, lane, lane.taken
        if lane is not None and lane.growing and lane.taken and not lane.starved:
            lane.starved = True
            self._underruns += 1
        return SILENCE, None, 0

    def tick_passed(self, lane: Lane | None, taken: int) -> None:
        """Note one tick, in order and on the loop's thread, and tell whoever waited for it."""
        self._samples += FRAME_SAMPLES
        if lane is not None:
            lane.passed = taken
        while self._lanes:
            head = self._lanes[0]
            if head.marks and head.marks[0][0] <= head.passed:
                head.marks.popleft()[1]()  # may say, finish or flush
            elif not head.growing and head.passed >= head.appended:
                self._retire()
            else:
                return

    def close(self) -> None:
        """The line is down: whatever is queued will not be heard."""
        self._closed = True
        for lane in self._lanes:
            lane.cut()
        while self._lanes:
            self._retire()

    def _retire(self) -> None:
        head, *rest = self._lanes
        self._heard[head.item] = self._heard.get(head.item, 0) + head.heard_samples()
        self._lanes = tuple(rest)

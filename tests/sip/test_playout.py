import sys
import threading
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sip.frames import FRAME_BYTES, SILENCE
from sip.playout import Lane, Playout


def tick(playout: Playout) -> bytes:
    """One tick of the media clock, as port and line do it."""
    frame, lane, taken = playout.take()
    playout.tick_passed(lane, taken)
    return frame


def sound(length: int, value: int = 1) -> bytes:
    return bytes([value]) * length


def test_silence_when_empty() -> None:
    """The wire never pauses: an empty queue gives silence, and time goes on."""
    playout = Playout()
    assert [tick(playout), tick(playout)] == [SILENCE, SILENCE]
    assert playout.samples == 320
    assert playout.underruns == 0


def test_heard_counts_content_and_not_padding() -> None:
    """The last frame's filling is not part of what was heard, or a truncation would name more than there is."""
    playout = Playout()
    playout.say(sound(FRAME_BYTES + 160), item="a")
    playout.finish("a")
    assert playout.queued_ms == 40
    tick(playout)
    assert playout.heard_ms("a") == 20
    assert tick(playout) == sound(160) + bytes(160)
    assert playout.heard_ms("a") == 30
    assert playout.idle


def test_pieces_of_an_item_are_joined() -> None:
    """Deltas that end in the middle of a frame leave no gap."""
    playout = Playout()
    for _ in range(4):
        playout.say(sound(240), item="a")
    assert [tick(playout) for _ in range(3)] == [sound(FRAME_BYTES)] * 3
    assert playout.heard_ms("a") == 60


def test_another_item_fills_up_the_one_before() -> None:
    """Two items never share a frame."""
    playout = Playout()
    playout.say(sound(100, 1), item="a")
    playout.say(sound(FRAME_BYTES, 2), item="b")
    assert tick(playout) == sound(100, 1) + bytes(220)
    assert tick(playout) == sound(FRAME_BYTES, 2)


def test_played_is_told_after_the_frame_that_holds_the_end() -> None:
    """A piece that ends in mid-frame has played once that frame went out."""
    playout = Playout()
    told: list[str] = []
    playout.say(sound(FRAME_BYTES + 10), item="a", played=lambda: told.append("one"))
    playout.say(sound(FRAME_BYTES), item="a", played=lambda: told.append("two"))
    tick(playout)
    assert told == []
    tick(playout)
    assert told == ["one"]
    playout.finish("a")
    tick(playout)
    assert told == ["one", "two"]


def test_an_interruption_leaves_the_disclosure_alone() -> None:
    """Flushing takes the interruptible sound and its callbacks, nothing else."""
    playout = Playout()
    told: list[str] = []
    playout.say(sound(2 * FRAME_BYTES, 1), item="clip", interruptible=False, played=lambda: told.append("clip"))
    playout.say(sound(2 * FRAME_BYTES, 2), item="speech", played=lambda: told.append("speech"))
    tick(playout)
    playout.flush()
    assert playout.queued_ms == 20
    assert [tick(playout), tick(playout)] == [sound(FRAME_BYTES, 1), SILENCE]
    assert told == ["clip"]
    assert playout.heard_ms("speech") == 0
    assert playout.underruns == 0


def test_flush_between_taking_and_telling() -> None:
    """What the clock took before the flush was heard and is told, whenever the loop comes to it."""
    playout = Playout()
    told: list[str] = []
    playout.say(sound(FRAME_BYTES), item="a", played=lambda: told.append("first"))
    playout.say(sound(FRAME_BYTES), item="a", played=lambda: told.append("second"))
    _, lane, taken = playout.take()
    playout.flush()
    assert playout.heard_ms("a") == 20
    assert told == []
    playout.tick_passed(lane, taken)
    assert told == ["first"]
    tick(playout)
    assert told == ["first"]
    assert playout.idle


def test_marks_come_in_playout_order_and_go_with_their_sound() -> None:
    """A mark fires after the sound before it; an interruptible one falls with a flush, another one survives."""
    playout = Playout()
    told: list[str] = []
    playout.mark(lambda: told.append("at once"))
    tick(playout)
    assert told == ["at once"]
    playout.say(sound(2 * FRAME_BYTES), item="a")
    playout.mark(lambda: told.append("text"))
    playout.mark(lambda: told.append("end"), interruptible=False)
    tick(playout)
    playout.flush()
    tick(playout)
    assert told == ["at once", "end"]


def test_flush_keeps_interruptible_marks_of_heard_sound() -> None:
    """Text behind words that were heard is not lost by an interruption right after them."""
    playout = Playout()
    told: list[str] = []
    playout.say(sound(FRAME_BYTES), item="a")
    playout.mark(lambda: told.append("text"))
    _, lane, taken = playout.take()
    playout.flush()
    playout.tick_passed(lane, taken)
    assert told == ["text"]


def test_an_underrun_is_counted_once_each_time() -> None:
    """Running dry in the middle of an item is one underrun, however long it lasts; after its end it is none."""
    playout = Playout()
    playout.say(sound(FRAME_BYTES), item="a")
    for _ in range(3):
        tick(playout)
    playout.say(sound(FRAME_BYTES), item="a")
    tick(playout)
    assert playout.underruns == 1
    tick(playout)
    assert playout.underruns == 2
    playout.finish("a")
    tick(playout)
    assert playout.underruns == 2


def test_sound_waits_while_the_queue_rests() -> None:
    """While something else is on the wire nothing is taken, nothing counts as heard, and nothing is lost."""
    playout = Playout()
    playout.say(sound(2 * FRAME_BYTES), item="a")
    playout.finish("a")
    first = tick(playout)
    playout.rest(40)
    assert [tick(playout), tick(playout)] == [bytes(FRAME_BYTES)] * 2
    assert playout.heard_ms("a") == 20
    assert playout.underruns == 0
    assert first + tick(playout) == sound(2 * FRAME_BYTES)
    assert playout.idle


def test_callbacks_may_use_the_queue() -> None:
    """`played` may say the next sentence or flush."""
    playout = Playout()
    playout.say(sound(FRAME_BYTES), item="a", played=lambda: playout.say(sound(FRAME_BYTES, 3), item="b"))
    playout.finish("a")
    assert tick(playout) == sound(FRAME_BYTES)
    assert tick(playout) == sound(FRAME_BYTES, 3)


def test_a_closed_queue_keeps_its_figures() -> None:
    """After the call one can still ask what was heard; nothing more is."""
    playout = Playout()
    playout.say(sound(3 * FRAME_BYTES), item="a")
    tick(playout)
    playout.close()
    playout.say(sound(FRAME_BYTES), item="a")
    assert playout.heard_ms("a") == 20
    assert playout.queued_ms == 0
    assert tick(playout) == SILENCE


@dataclass
class _Model:
    """The same queue, thought of byte by byte: each entry is a frame's worth with its item and what ends in it."""

    frames: list[tuple[bytes, str, bool, list[int], int]] = field(default_factory=list)
    open_item: tuple[str, bool] | None = None
    tail: bytes = b""
    tail_ends: list[int] = field(default_factory=list)

    def close(self) -> None:
        if self.open_item and self.tail:
            item, interruptible = self.open_item
            self.frames.append(
                (self.tail.ljust(FRAME_BYTES, b"\0"), item, interruptible, self.tail_ends, len(self.tail) // 2)
            )
        self.tail, self.tail_ends, self.open_item = b"", [], None


class PlayoutMachine(RuleBasedStateMachine):
    """Any order of say, finish, flush, take and tell agrees with the byte-by-byte model."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = Playout()
        self.model = _Model()
        self.heard: dict[str, int] = {}
        self.number = 0
        self.told: list[int] = []
        self.due: list[int] = []
        self.ticks: list[tuple[tuple[Lane | None, int], list[int]]] = []

    @rule(
        item=st.sampled_from("ab"),
        samples=st.integers(1, 400),
        interruptible=st.booleans(),
    )
    def say(self, item: str, samples: int, *, interruptible: bool) -> None:
        self.number += 1
        number = self.number
        content = bytes([number % 250 + 1]) * (2 * samples)
        self.playout.say(content, item=item, interruptible=interruptible, played=lambda: self.told.append(number))
        model = self.model
        if model.open_item != (item, interruptible):
            model.close()
            model.open_item = (item, interruptible)
        data = model.tail + content
        ends, model.tail_ends = model.tail_ends, []
        while len(data) >= FRAME_BYTES:
            last = len(data) == FRAME_BYTES
            model.frames.append(
                (data[:FRAME_BYTES], item, interruptible, ends + ([number] if last else []), FRAME_BYTES // 2)
            )
            ends, data = [], data[FRAME_BYTES:]
        model.tail = data
        if data:
            model.tail_ends = [*ends, number]

    @rule(item=st.sampled_from("ab"))
    def finish(self, item: str) -> None:
        self.playout.finish(item)
        if self.model.open_item and self.model.open_item[0] == item:
            self.model.close()

    @rule()
    def flush(self) -> None:
        self.playout.flush()
        model = self.model
        model.frames = [frame for frame in model.frames if not frame[2]]
        if model.open_item and model.open_item[1]:
            model.tail, model.tail_ends, model.open_item = b"", [], None

    @rule()
    def take(self) -> None:
        frame, lane, taken = self.playout.take()
        if self.model.frames:
            expected, item, _, ends, samples = self.model.frames.pop(0)
            self.heard[item] = self.heard.get(item, 0) + samples
        else:
            expected, ends = SILENCE, []
        assert frame == expected
        self.ticks.append(((lane, taken), ends))

    @rule()
    def tell(self) -> None:
        if self.ticks:
            (lane, taken), ends = self.ticks.pop(0)
            self.playout.tick_passed(lane, taken)
            self.due += ends

    @invariant()
    def agrees(self) -> None:
        for item in "ab":
            assert self.playout.heard_ms(item) == self.heard.get(item, 0) // 8
        assert self.playout.queued_ms == len(self.model.frames) * 20 + len(self.model.tail) // 16
        assert self.told == self.due


TestPlayoutMachine = PlayoutMachine.TestCase
TestPlayoutMachine.settings = settings(max_examples=60, deadline=None)


@settings(deadline=None)
@given(st.lists(st.integers(1, 900), max_size=20))
def test_nothing_is_lost_or_added(lengths: list[int]) -> None:
    """Whatever the deltas' sizes, the wire carries their bytes in order, with silence only at the end."""
    playout = Playout()
    whole = bytearray()
    for number, samples in enumerate(lengths):
        piece = bytes([number + 1, number + 1]) * samples
        whole += piece
        playout.say(piece, item="a")
    playout.finish("a")
    wire = b"".join(tick(playout) for _ in range(-(-len(whole) // FRAME_BYTES)))
    assert wire[: len(whole)] == bytes(whole)
    assert not any(wire[len(whole) :])
    assert playout.heard_ms("a") == len(whole) // 16
    assert playout.idle


def test_two_threads_share_the_queue_exactly() -> None:
    """With a clock that takes as fast as it can, each frame is heard once or flushed, and counts at a flush hold."""
    playout = Playout()
    taken: list[int] = []
    stop = threading.Event()

    def clock() -> None:
        while not stop.is_set():
            frame, lane, _ = playout.take()
            if lane is not None:
                taken.append(int.from_bytes(frame[:4], "big"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=clock)
    thread.start()
    try:
        heard_at_flush = []
        number = 0
        for turn in range(300):
            first = number
            for _ in range(5):
                playout.say(number.to_bytes(4, "big") * 80, item=str(turn))
                number += 1
            if turn % 3:
                playout.flush()
                heard_at_flush.append((first, number, playout.heard_ms(str(turn)) // 20))
        while playout.queued_ms:
            pass
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert taken == sorted(set(taken))
    for first, end, heard in heard_at_flush:
        assert [n for n in taken if first <= n < end] == list(range(first, first + heard))

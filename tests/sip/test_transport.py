"""The transport inside a real pipecat pipeline; the media clock is played by a task."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.workers.runner import WorkerRunner

from sip.frames import FRAME_BYTES, SILENCE
from sip.playout import Playout
from sip.transport import STALL_TICKS, LineTransport

TICK_S = 0.002
"""Ten times as fast as the real clock."""


class Probe(FrameProcessor):
    """Passes everything on and remembers it."""

    def __init__(self, seen: list[tuple[str, Frame]], place: str) -> None:
        super().__init__(enable_direct_mode=True)
        self._seen = seen
        self._place = place

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        arrow = "down" if direction is FrameDirection.DOWNSTREAM else "up"
        self._seen.append((f"{self._place} {arrow}", frame))
        await self.push_frame(frame, direction)


class Call:
    """A pipeline of input, probe, output, probe, and its clock."""

    def __init__(self) -> None:
        self.playout = Playout()
        self.pressed: list[str] = []
        self.transport = LineTransport(self.playout, self.pressed.append)
        self.seen: list[tuple[str, Frame]] = []
        self.wire: list[bytes] = []
        self.caller: list[bytes] = []
        self.before = Probe(self.seen, "before")
        after = Probe(self.seen, "after")
        self.worker = PipelineWorker(
            Pipeline([self.transport.input(), self.before, self.transport.output(), after]),
            params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        self.ticked = asyncio.Event()

    def tick(self) -> None:
        frame, lane, taken = self.playout.take()
        self.wire.append(frame)
        self.playout.tick_passed(lane, taken)
        self.transport.tick(self.caller.pop(0) if self.caller else SILENCE, spoke=lane is not None)

    async def clock(self) -> None:
        while True:
            self.tick()
            self.ticked.set()
            await asyncio.sleep(TICK_S)

    async def say(self, samples: int, item: str | None = None, *, interruptible: bool = True) -> TTSAudioRawFrame:
        frame = TTSAudioRawFrame(b"\1" * 2 * samples, 8000, 1, context_id=item)
        frame.interruptible = interruptible
        await self.before.push_frame(frame)
        return frame

    def names(self, place: str) -> list[str]:
        quiet = (InputAudioRawFrame, StartFrame)
        return [type(frame).__name__ for where, frame in self.seen if where == place and not isinstance(frame, quiet)]

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(3):
            while not true():
                self.ticked.clear()
                await self.ticked.wait()

    async def until_seen(self, place: str, kind: type[Frame]) -> None:
        await self.until(lambda: kind.__name__ in self.names(place))


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    made = Call()
    started = asyncio.Event()

    @made.worker.event_handler("on_pipeline_started")
    async def _started(*_: object) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(made.worker)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(runner.run())
        clock = group.create_task(made.clock())
        await asyncio.wait_for(started.wait(), 5)
        yield made
        await made.worker.cancel(reason="test over")
        await asyncio.wait_for(running, 5)
        clock.cancel()
    assert made.transport.input()._reader is None
    assert made.transport.output()._pusher is None


async def test_the_caller_is_heard_in_order(call: Call) -> None:
    """Each tick becomes one input frame of 8 kHz mono, in order."""
    said = [bytes([n, 0]) * 160 for n in range(1, 30)]
    call.caller += said
    await call.until(lambda: not call.caller)
    await asyncio.sleep(0.02)
    heard = [frame for where, frame in call.seen if where == "before down" and isinstance(frame, InputAudioRawFrame)]
    assert [frame.audio for frame in heard if frame.audio != SILENCE] == said
    assert {(frame.sample_rate, frame.num_channels) for frame in heard} == {(8000, 1)}


async def test_speech_is_played_whole_and_told_when_heard(call: Call) -> None:
    """The bot speaks from its first frame on the wire to its last, and what follows speech waits for it."""
    await call.before.push_frame(TTSStartedFrame(context_id="item1"))
    for _ in range(3):
        await call.say(400, "item1")
    text = TTSTextFrame("hello", text_type=TextType.WORD)
    await call.before.push_frame(text)
    await call.before.push_frame(TTSStoppedFrame(context_id="item1"))
    assert call.playout.queued_ms >= 140
    assert "TTSTextFrame" not in call.names("after down")
    await call.until_seen("before up", BotStoppedSpeakingFrame)
    assert call.playout.heard_ms("item1") == 150
    assert call.playout.underruns == 0
    assert sum(frame != SILENCE for frame in call.wire) == 8
    assert call.names("after down") == [
        "TTSStartedFrame",
        "BotStartedSpeakingFrame",
        "TTSAudioRawFrame",
        "TTSAudioRawFrame",
        "TTSAudioRawFrame",
        "TTSTextFrame",
        "TTSStoppedFrame",
        "BotStoppedSpeakingFrame",
    ]
    assert [name for name in call.names("before up") if name.startswith("Bot")] == [
        "BotStartedSpeakingFrame",
        "BotStoppedSpeakingFrame",
    ]


async def test_an_interruption_cuts_speech_and_what_hangs_on_it(call: Call) -> None:
    """After an interruption nothing more is played, texts of the unheard part are gone, and the bot has stopped."""
    await call.say(80_000, "item1")
    await call.before.push_frame(TTSTextFrame("unheard", text_type=TextType.WORD))
    await call.until_seen("before up", BotStartedSpeakingFrame)
    await call.before.push_frame(InterruptionFrame())
    heard = sum(frame != SILENCE for frame in call.wire)
    assert call.playout.queued_ms == 0
    assert call.playout.heard_ms("item1") == heard * 20
    await call.until_seen("before up", BotStoppedSpeakingFrame)
    assert sum(frame != SILENCE for frame in call.wire) == heard
    assert "TTSTextFrame" not in call.names("after down")
    assert "TTSAudioRawFrame" not in call.names("after down")


async def test_uninterruptible_speech_plays_on(call: Call) -> None:
    """A frame that says so is not cut, and the bot goes on speaking until it is over."""
    await call.say(3_200, "clip", interruptible=False)
    await call.say(3_200, "speech")
    await call.until_seen("before up", BotStartedSpeakingFrame)
    await call.before.push_frame(InterruptionFrame())
    await call.before.push_frame(TTSStoppedFrame(context_id="speech"))
    await call.until_seen("before up", BotStoppedSpeakingFrame)
    assert (call.playout.heard_ms("clip"), call.playout.heard_ms("speech")) == (400, 0)


async def test_the_end_waits_for_the_goodbye(call: Call) -> None:
    """EndFrame goes on once all that is queued has been heard."""
    await call.say(1_600, "bye")
    await call.worker.queue_frame(EndFrame())
    await call.until_seen("after down", EndFrame)
    assert call.playout.heard_ms("bye") == 200


async def test_the_end_does_not_wait_for_a_dead_line(call: Call) -> None:
    """When the caller has gone, nobody waits for sound that will not play."""
    await call.say(800_000, "bye")
    await call.worker.queue_frame(EndFrame())
    await asyncio.sleep(0.02)
    assert "EndFrame" not in call.names("after down")
    call.playout.close()
    call.transport.close()
    await call.until_seen("after down", EndFrame)
    await call.say(1_600, "late")
    assert call.playout.heard_ms("late") == 0


async def test_a_stall_in_mid_speech_counts_as_silence(call: Call) -> None:
    """A model that stops in mid-sentence is not speaking after a second; when it goes on, it is again."""
    await call.say(320, "item1")
    await call.until_seen("before up", BotStoppedSpeakingFrame)
    assert call.wire.count(SILENCE) > STALL_TICKS
    await call.say(320, "item1")
    await call.until(lambda: call.names("before up").count("BotStartedSpeakingFrame") == 2)


async def test_speech_without_a_name(call: Call) -> None:
    """Sound that names no item gets one for each speech, so that two speeches do not run into each other."""
    for _ in range(2):
        await call.before.push_frame(TTSStartedFrame())
        await call.say(240)
        await call.before.push_frame(TTSStoppedFrame())
    await call.before.push_frame(OutputAudioRawFrame(b"\1" * 320, 8000, 1))
    await call.until(lambda: call.playout.idle or call.playout.queued_ms == 0)
    assert [call.playout.heard_ms(f"speech {n}") for n in (1, 2, 3)] == [30, 30, 20]


async def test_sound_at_another_rate(call: Call) -> None:
    """Speech at 24 kHz takes as long on the line as it should, its tail included."""
    await call.before.push_frame(TTSAudioRawFrame(b"\1\2" * 24_000, 24_000, 1, context_id="wide"))
    await call.before.push_frame(TTSStoppedFrame(context_id="wide"))
    await call.until_seen("before up", BotStoppedSpeakingFrame)
    assert 990 <= call.playout.heard_ms("wide") <= 1_010


async def test_keys_wait_for_speech_or_do_not(call: Call) -> None:
    """An urgent key is pressed at once, an ordinary one after the words before it."""
    await call.say(3_200, "item1")
    await call.before.push_frame(OutputDTMFFrame(buttons=[KeypadEntry.ONE, KeypadEntry.TWO]))
    await call.before.push_frame(OutputDTMFUrgentFrame(button=KeypadEntry.STAR))
    assert call.pressed == ["*"]
    await call.until(lambda: len(call.pressed) == 2)
    assert call.pressed == ["*", "12"]
    assert call.playout.heard_ms("item1") == 400
    assert len(call.wire[0]) == FRAME_BYTES


async def test_cancelling_is_quick(call: Call) -> None:
    """A caller's BYE tears the pipeline down at once, whatever is queued."""
    await call.say(800_000, "story")
    async with asyncio.timeout(1):
        await call.worker.cancel(reason="BYE")
        await call.until(lambda: call.transport.output()._pusher is None)

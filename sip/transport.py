"""pipecat's way to a line's sound, paced by the media clock.

Stock pipecat cuts sound into small frames, queues them and sleeps between them. Here the media clock paces: the output
gives each piece of speech whole to the playout ring, an interruption empties the ring at once, and whatever else comes
down the pipeline behind speech (texts, marks, the end) goes on when that speech has been heard. The input pushes one
frame a tick, without the queue and the task that the base class would put in between.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from pipecat.audio.resamplers.soxr_stream_resampler import SOXRStreamAudioResampler
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    OutputTransportReadyFrame,
    StartFrame,
    StopFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from sip.eager import begin
from sip.playout import Playout

SAMPLES_PER_SECOND = 8000
STALL_TICKS = 50
"""Silence in the middle of an item, in ticks, after which the bot counts as having stopped speaking."""


class LineInput(BaseInputTransport):
    """Pushes the caller's sound down the pipeline, one frame a tick.

    A frame goes through the stages at once, within the tick. When a stage has to wait, a task goes on with it and with
    the frames that come meanwhile, in order.
    """

    def __init__(self, parameters: TransportParams) -> None:
        super().__init__(parameters, enable_direct_mode=True)
        self._reader: asyncio.Task[None] | None = None
        self._waiting: Awaitable[None] | None = None
        """The way of a frame through the stages, from where one had to wait."""
        self._heard: deque[InputAudioRawFrame] = deque()
        """Frames behind that one."""
        self._wake = asyncio.Event()
        """Set as long as the reader has something to do."""

    def hear(self, pcm: bytes) -> None:
        """One tick's frame from the line; dropped while the pipeline does not run."""
        if self._reader is None:
            return
        frame = InputAudioRawFrame(audio=pcm, sample_rate=SAMPLES_PER_SECOND, num_channels=1)
        if self._wake.is_set():
            self._heard.append(frame)
        else:
            self._waiting = begin(self._pass_on(frame), self._reader)
            if self._waiting is not None:
                self._wake.set()

    async def set_transport_ready(self, frame: StartFrame) -> None:
        """Begin; the base class would start a second queue here."""
        del frame
        if self._reader is None:
            self._reader = self.create_task(self._read(), "line_input")

    async def start(self, frame: StartFrame) -> None:
        """The pipeline runs."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """The pipeline ends."""
        await super().stop(frame)
        await self._stop_reading()

    async def pause(self, frame: StopFrame) -> None:
        """The pipeline stops for now."""
        del frame
        await self._stop_reading()

    async def cancel(self, frame: CancelFrame) -> None:
        """The pipeline is torn down."""
        await super().cancel(frame)
        await self._stop_reading()

    async def cleanup(self) -> None:
        """The pipeline is gone."""
        await super().cleanup()  # type: ignore[no-untyped-call]  # pipecat leaves it unannotated
        await self._stop_reading()

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Sound that another processor pretends to have heard goes the same way."""
        await self.push_frame(frame)

    async def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            await self.cancel_task(reader)
        self._waiting = None
        self._heard.clear()
        self._wake.clear()

    async def _pass_on(self, frame: InputAudioRawFrame) -> None:
        # Straight to the next stage: `push_frame` would first offer each frame to observers, of which there are none.
        if self._next is not None:
            await self._next.queue_frame(frame, FrameDirection.DOWNSTREAM)

    async def _read(self) -> None:
        while True:
            await self._wake.wait()
            if self._waiting is not None:
                waiting, self._waiting = self._waiting, None
                await waiting
            while self._heard:
                await self._pass_on(self._heard.popleft())
            self._wake.clear()


class LineOutput(BaseOutputTransport):
    """Plays what comes down the pipeline, and tells both directions when the bot is to be heard."""

    def __init__(self, parameters: TransportParams, playout: Playout, press: Callable[[str], None]) -> None:
        super().__init__(parameters, enable_direct_mode=True)
        self._playout = playout
        self._press: Callable[[str], None] | None = press
        self._item = ""
        self._speeches = 0
        self._speaking = False
        self._silent_ticks = 0
        self._resampler: SOXRStreamAudioResampler | None = None
        self._due: asyncio.Queue[Frame | type[Frame]] = asyncio.Queue()
        self._pusher: asyncio.Task[None] | None = None
        self._drained: asyncio.Event = asyncio.Event()
        self._line_down = False

    def tick(self, *, spoke: bool) -> None:
        """One tick passed; `spoke`: with sound of ours in it."""
        if spoke:
            self._silent_ticks = 0
            if not self._speaking and self._pusher is not None:
                self._speaking = True
                self._due.put_nowait(BotStartedSpeakingFrame)
        elif self._speaking:
            self._silent_ticks += 1
            if self._silent_ticks > STALL_TICKS or not self._playout.expects_more:
                self._stopped_speaking()

    def line_down(self) -> None:
        """The call is over: nobody waits for sound any more."""
        self._line_down = True
        self._press = None
        self._drained.set()
        if self._speaking:
            self._stopped_speaking()

    # --- pipecat's side -----------------------------------------------------------------------------------------------

    async def set_transport_ready(self, frame: StartFrame) -> None:
        """Begin; the base class would start its own paced sender here."""
        del frame
        if self._pusher is None:
            self._pusher = self.create_task(self._push_due(), "line_output")
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def start(self, frame: StartFrame) -> None:
        """The pipeline runs."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """The pipeline ends: once all that is queued has been heard, or the line is down."""
        await super().stop(frame)
        self._playout.finish(self._item)
        self._playout.mark(self._drained.set, interruptible=False)
        if not self._line_down:
            await self._drained.wait()
        if self._pusher is not None:
            await self._due.join()
            await self._stop_pushing()

    async def cancel(self, frame: CancelFrame) -> None:
        """The pipeline is torn down: what is queued is not for it to decide, a goodbye clip may still play."""
        await super().cancel(frame)
        await self._stop_pushing()

    async def cleanup(self) -> None:
        """The pipeline is gone."""
        await super().cleanup()  # type: ignore[no-untyped-call]  # pipecat leaves it unannotated
        await self._stop_pushing()

    async def write_dtmf(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        """Press keys on the line."""
        self._press_keys(frame)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """As the base class does, but an interruption cuts the sound before anyone else hears of it."""
        if isinstance(frame, InterruptionFrame):
            self._playout.flush()
        await super().process_frame(frame, direction)

    async def _handle_frame(self, frame: Frame) -> None:
        """What is no system frame and goes downstream, and interruptions."""
        if isinstance(frame, InterruptionFrame):
            self._item = ""
            if self._speaking and not self._playout.expects_more:
                self._stopped_speaking()
        elif isinstance(frame, OutputAudioRawFrame):
            if not self._line_down:
                await self._say(frame)
                self._push_when_heard(frame)
        elif isinstance(frame, OutputDTMFFrame):
            self._playout.mark(lambda: self._press_keys(frame), interruptible=frame.interruptible)
        else:
            if isinstance(frame, TTSStartedFrame):
                self._item = ""
            elif isinstance(frame, TTSStoppedFrame):
                await self._finish(frame.context_id)
            self._push_when_heard(frame)

    async def _say(self, frame: OutputAudioRawFrame) -> None:
        if frame.num_channels != 1:
            raise ValueError(f"a telephone line has one channel, not {frame.num_channels}")
        item = frame.context_id if isinstance(frame, TTSAudioRawFrame) else None
        if item is None and not self._item:
            self._speeches += 1
            item = f"speech {self._speeches}"
        self._item = item or self._item
        pcm = frame.audio
        if frame.sample_rate != SAMPLES_PER_SECOND:
            if self._resampler is None:
                self._resampler = SOXRStreamAudioResampler(clear_after_secs=None)
            pcm = await self._resampler.resample(pcm, frame.sample_rate, SAMPLES_PER_SECOND)
        self._playout.say(pcm, item=self._item, interruptible=frame.interruptible)

    async def _finish(self, item: str | None) -> None:
        if self._resampler is not None:
            self._playout.say(await self._resampler.flush(), item=item or self._item)
        self._playout.finish(item or self._item)
        self._item = ""

    def _push_when_heard(self, frame: Frame) -> None:
        if self._playout.idle:
            self._due.put_nowait(frame)
        else:
            self._playout.mark(lambda: self._due.put_nowait(frame), interruptible=frame.interruptible)

    def _press_keys(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        if self._press is not None and frame.buttons:
            self._press("".join(button.value for button in frame.buttons))

    def _stopped_speaking(self) -> None:
        self._speaking = False
        self._silent_ticks = 0
        self._due.put_nowait(BotStoppedSpeakingFrame)

    async def _stop_pushing(self) -> None:
        pusher, self._pusher = self._pusher, None
        if pusher is not None:
            await self.cancel_task(pusher)

    async def _push_due(self) -> None:
        while True:
            due = await self._due.get()
            try:
                if isinstance(due, Frame):
                    await self.push_frame(due)
                else:
                    await self.broadcast_frame(due)
            finally:
                self._due.task_done()


class LineTransport(BaseTransport):
    """The pair of both, for one line."""

    def __init__(self, playout: Playout, press: Callable[[str], None]) -> None:
        super().__init__()
        parameters = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=SAMPLES_PER_SECOND,
            audio_out_enabled=True,
            audio_out_sample_rate=SAMPLES_PER_SECOND,
        )
        self._input = LineInput(parameters)
        self._output = LineOutput(parameters, playout, press)

    def input(self) -> LineInput:
        """The first stage of a pipeline."""
        return self._input

    def output(self) -> LineOutput:
        """The stage that is heard."""
        return self._output

    def tick(self, heard: bytes, *, spoke: bool) -> None:
        """One tick of the media clock, on the loop's thread."""
        self._input.hear(heard)
        self._output.tick(spoke=spoke)

    def close(self) -> None:
        """The line is down."""
        self._output.line_down()

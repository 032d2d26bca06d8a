"""Coroutines that are begun at once, and the line's input that stands on them."""

import asyncio
from collections.abc import Awaitable

import pytest
from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from sip.eager import begin
from sip.playout import Playout
from sip.transport import LineTransport


async def _finish(rest: Awaitable[None]) -> None:
    await rest


async def test_what_need_not_wait_is_done_at_once() -> None:
    """Without a wait the coroutine is over when `begin` returns, in the name of the task it was begun for."""
    seen: list[asyncio.Task[object] | None] = []
    other = asyncio.ensure_future(asyncio.sleep(10))

    async def work() -> None:
        seen.append(asyncio.current_task())

    me = asyncio.current_task()
    assert begin(work(), other) is None
    assert seen == [other]
    assert asyncio.current_task() is me
    other.cancel()


async def test_what_waits_goes_on_in_the_task() -> None:
    """After a wait the rest runs in the awaiting task, where time limits and results work as ever."""
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[str] = []

    async def work() -> None:
        seen.append("begun")
        seen.append(await gate)
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            seen.append("timed out")
        await asyncio.sleep(0)

    reader: asyncio.Task[None] | None = None
    box: list[Awaitable[None]] = []
    ready = asyncio.Event()

    async def read() -> None:
        await ready.wait()
        await box[0]

    reader = asyncio.ensure_future(read())
    rest = begin(work(), reader)
    assert rest is not None
    assert seen == ["begun"]
    box.append(rest)
    ready.set()
    gate.set_result("opened")
    await reader
    assert seen == ["begun", "opened", "timed out"]


@pytest.mark.parametrize("late", [False, True])
async def test_what_fails_says_so(*, late: bool) -> None:
    """An error comes out of `begin`, or out of the rest."""
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gate.set_exception(ValueError("broken"))
    me = asyncio.current_task()
    assert me is not None

    async def work() -> None:
        if late:
            await asyncio.sleep(0)
        await gate

    async def all_of_it() -> None:
        rest = begin(work(), me)
        assert rest is not None
        await rest

    with pytest.raises(ValueError, match="broken"):
        await all_of_it()


async def test_a_cancelled_rest_cancels_what_it_waits_in() -> None:
    """The coroutine itself sees the cancellation, and may tidy up."""
    tidied: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            tidied.append(True)

    me = asyncio.current_task()
    assert me is not None
    rest = begin(work(), me)
    assert rest is not None
    task = asyncio.ensure_future(_finish(rest))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tidied == [True]


FRAMES = 60


class Slow(FrameProcessor):
    """A stage that takes its time with every second frame of sound."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.heard: list[int] = []
        self.started = asyncio.Event()
        self.all_heard = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self.started.set()
        if isinstance(frame, InputAudioRawFrame):
            if frame.audio[0] % 2:
                async with asyncio.timeout(1):
                    await asyncio.sleep(0.003)
            self.heard.append(frame.audio[0])
            if len(self.heard) == FRAMES:
                self.all_heard.set()
        else:
            await self.push_frame(frame, direction)


async def test_frames_stay_in_order_behind_a_slow_stage() -> None:
    """A stage that waits holds up its own call's frames, loses none and is overtaken by none."""
    transport = LineTransport(Playout(), lambda _: None)
    stage = Slow()
    worker = PipelineWorker(
        Pipeline([transport.input(), stage, transport.output()]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.ensure_future(runner.run())
    async with asyncio.timeout(10):
        await stage.started.wait()
        for number in range(FRAMES):
            transport.tick(bytes([number]) * 320, spoke=False)
            if number % 5 == 0:
                await asyncio.sleep(0.001)
        await stage.all_heard.wait()
    assert stage.heard == list(range(FRAMES))
    transport.close()
    await runner.cancel("the test is over")
    await running

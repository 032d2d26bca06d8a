"""The stages of a call, in order. Reading `stages` explains what happens to sound.

The recording is not among them: it is fed with what the line really carried, by the media clock itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipecat.frames.frames import Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from voice.call.apart import take_apart
from voice.call.consent_gate import ConsentGate
from voice.call.line import SAMPLES_PER_SECOND
from voice.call.model import RealtimeModel
from voice.waist.plan import CallPlan


@dataclass(frozen=True, slots=True)
class OwnStages:
    """A developer's own processors for one call."""

    before_model: tuple[FrameProcessor, ...] = ()
    """They get the caller's voice, once it may go further."""
    after_model: tuple[FrameProcessor, ...] = ()
    """They get the model's voice, before it is queued for the caller."""


OwnStagesFor = Callable[[CallPlan], OwnStages]


def stages(transport: BaseTransport, gate: ConsentGate, model: RealtimeModel, own: OwnStages) -> list[FrameProcessor]:
    """What sound passes through, from the caller's mouth to the caller's ear."""
    return [
        transport.input(),  # one frame a tick of the media clock
        gate,  # drops the caller's voice until disclosure and consent are settled
        *own.before_model,
        model,  # sends the caller's voice to the model, and pushes what the model says
        *own.after_model,
        transport.output(),  # queues it for the media clock, and empties the queue when the caller interrupts
    ]


class CallPipeline:
    """One call's running pipeline, in a runner of its own: a shared one never lets go of what has finished."""

    def __init__(self, processors: list[FrameProcessor]) -> None:
        self._processors = processors
        self._pipeline = Pipeline(processors)
        self._worker = PipelineWorker(
            self._pipeline,
            params=PipelineParams(audio_in_sample_rate=SAMPLES_PER_SECOND, audio_out_sample_rate=SAMPLES_PER_SECOND),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            cancel_timeout_secs=2,
        )
        self._runner = WorkerRunner(handle_sigint=False)
        self._stopped = False

    async def run(self) -> None:
        """Run until `stop`."""
        await self._runner.add_workers(self._worker)
        if not self._stopped:  # a runner forgets what it was told before it ran
            await self._runner.run()

    def take_apart(self) -> None:
        """Free it, once `run` has returned. Others' stages are only let go of: the line's media may still tick."""
        for stage in self._processors:
            stage._prev = stage._next = stage._setup = None  # noqa: SLF001 - pipecat has no way to unlink
        own = [stage for stage in self._pipeline.processors if stage not in self._processors]
        own += [stage for stage in self._processors if isinstance(stage, ConsentGate | RealtimeModel)]
        take_apart(*own, self._pipeline, self._worker, self._runner)

    async def queue(self, frame: Frame) -> None:
        """Push a frame in at the beginning."""
        await self._worker.queue_frame(frame)

    async def stop(self) -> None:
        """Take it down at once."""
        self._stopped = True
        await self._runner.cancel("the call is over")

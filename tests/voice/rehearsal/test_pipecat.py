"""pipecat's own realtime service accepts this server, unmodified."""

import asyncio
from typing import Any

from pipecat.frames.frames import Frame, InputAudioRawFrame, LLMRunFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.openai.realtime.events import (
    AudioConfiguration,
    AudioInput,
    InputAudioTranscription,
    SessionProperties,
)
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner

from voice.rehearsal.mind import CallTool
from voice.rehearsal.script import Script, Turn
from voice.rehearsal.server import RehearsalServer


class Listener(FrameProcessor):
    """Counts the sound that comes out and knows when enough has come."""

    def __init__(self) -> None:
        super().__init__()
        self.sound = bytearray()
        self.heard = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.sound += frame.audio
            self.heard.set()
        await self.push_frame(frame, direction)


async def test_a_conversation_through_pipecat() -> None:
    """It speaks, hears a turn by server VAD, calls a tool and takes its result."""
    booked: list[str] = []

    async def book(params: FunctionCallParams, day: str) -> None:
        """Book a day.

        Args:
            params: The call.
            day: The day.
        """
        booked.append(day)
        await params.result_callback({"ok": True})

    turns = [Turn.saying("Good morning."), Turn((CallTool("book", {"day": "Friday"}),))]
    async with RehearsalServer(script=Script(turns=turns, heard="Friday, please.")) as server:
        properties = SessionProperties(
            audio=AudioConfiguration(input=AudioInput(transcription=InputAudioTranscription(model="whisper-1")))
        )
        service = OpenAIRealtimeLLMService(
            api_key="rehearsal",
            base_url=server.realtime_url,
            settings=OpenAIRealtimeLLMService.Settings(
                model="gpt-realtime", system_instruction="Be brief.", session_properties=properties
            ),
        )
        context = LLMContext(messages=[{"role": "user", "content": "Greet."}], tools=[book])
        user, assistant = LLMContextAggregatorPair(
            context,
            user_params=LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies()),
            realtime_service_mode=True,
        )
        errors: list[Any] = []
        listener = Listener()
        worker = PipelineWorker(
            Pipeline([user, service, listener, assistant]),
            params=PipelineParams(audio_in_sample_rate=24000, audio_out_sample_rate=24000),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        worker.add_event_handler("on_pipeline_error", lambda _, frame: errors.append(frame))
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(worker)
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            group.create_task(runner.run())
            await server.wait_for("session.update")
            await worker.queue_frame(LLMRunFrame())
            await listener.heard.wait()
            for loudness in [b"\x00\x20\x00\xe0"] * 40 + [bytes(4)] * 60:
                frame = InputAudioRawFrame(audio=loudness * 240, sample_rate=24000, num_channels=1)
                await worker.queue_frame(frame)
            created = await server.wait_for("conversation.item.create", count=2)
            await worker.cancel()
        assert booked == ["Friday"]
        assert created[1].event["item"]["type"] == "function_call_output"
        assert len(listener.sound) >= 9600
        assert not errors
        assert not [seen for seen in server.sent if seen.kind == "error"]
        texts = [message.get("content") for message in context.get_messages() if isinstance(message, dict)]
        assert "Friday, please." in texts

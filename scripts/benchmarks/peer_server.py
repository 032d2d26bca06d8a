"""The benchmarks' peer: the same conversation through pipecat as it comes, over its WebSocket telephony transport.

One process, one pipeline a call, in the arrangement of pipecat's own examples: Twilio's serializer, the stock OpenAI
realtime service at 24 kHz, an AudioBufferProcessor that records in stereo. Only the turn analyzer is left out, which a
realtime model does not need and which would load a neural network for each call.
"""

import asyncio
import sys

from loguru import logger
from pipecat.frames.frames import LLMRunFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.audio.audio_buffer_processor import AudioBufferProcessor
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.openai.realtime import events
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.transports.websocket.server import (
    SingleClientWebsocketServerParams,
    SingleClientWebsocketServerTransport,
)
from pipecat.turns.user_turn_strategies import ExternalUserTurnStrategies
from pipecat.workers.runner import WorkerRunner


async def serve_one(port: int, model_url: str) -> None:
    """One call's pipeline, waiting for its caller on `port`."""
    serializer = TwilioFrameSerializer("stream", params=TwilioFrameSerializer.InputParams(auto_hang_up=False))
    transport = SingleClientWebsocketServerTransport(
        params=SingleClientWebsocketServerParams(
            audio_in_enabled=True, audio_out_enabled=True, serializer=serializer, add_wav_header=False
        ),
        host="127.0.0.1",
        port=port,
    )
    model = OpenAIRealtimeLLMService(
        api_key="sk-benchmark",
        base_url=model_url,
        settings=OpenAIRealtimeLLMService.Settings(
            model="gpt-realtime",
            system_instruction="You answer the telephone.",
            session_properties=events.SessionProperties(),
        ),
    )
    user, agent = LLMContextAggregatorPair(
        LLMContext([{"role": "developer", "content": "Greet the caller."}]),
        realtime_service_mode=True,
        user_params=LLMUserAggregatorParams(user_turn_strategies=ExternalUserTurnStrategies()),
    )
    recorder = AudioBufferProcessor(num_channels=2, buffer_size=16000)
    worker = PipelineWorker(
        Pipeline([transport.input(), user, model, transport.output(), recorder, agent]),
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
        idle_timeout_secs=None,
    )

    async def on_client_connected(_transport: object, _client: object) -> None:
        await recorder.start_recording()  # type: ignore[no-untyped-call]  # pipecat leaves it untyped
        await worker.queue_frames([LLMRunFrame()])

    transport.add_event_handler("on_client_connected", on_client_connected)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def _serve_all(model_url: str, ports: list[int]) -> None:
    async with asyncio.TaskGroup() as group:
        for port in ports:
            group.create_task(serve_one(port, model_url), name=f"call on {port}")


if __name__ == "__main__":
    logger.remove()
    asyncio.run(_serve_all(sys.argv[1], [int(port) for port in sys.argv[2:]]))

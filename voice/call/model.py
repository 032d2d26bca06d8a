"""The model's stage in the pipeline: pipecat's OpenAI realtime service, made right for a telephone.

G.711 both ways without resampling; the caller's voice goes straight to the socket and no further; an interruption cuts
the playout first and truncates at what was heard; errors, refusals, drops and silence are survived by one fast
reconnect with the conversation so far, and reported when that fails.

It also stands in for pipecat's context aggregators: the server keeps the conversation, so turns, interruptions and
tool results are settled here.
"""

import audioop
import base64
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import orjson
import structlog
from pipecat.frames.frames import (
    Frame,
    FunctionCallFromLLM,
    FunctionCallResultFrame,
    InputAudioRawFrame,
    LLMMessagesAppendFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameCallback, FrameDirection
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

from voice.call.answers import Answers
from voice.call.line import SAMPLES_PER_SECOND, Playout
from voice.call.model_connection import Event, error_code
from voice.call.model_link import ModelLink
from voice.call.reports import Reports
from voice.call.speech import Speech
from voice.call.transcript import Transcript
from voice.waist.plan import ModelTerms

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger()

HARMLESS_ERRORS = frozenset({"response_cancel_not_active", "conversation_already_has_active_response"})
"""Two sides acted at once; the conversation is as it should be."""
MOST_FAILED_RESPONSES = 2
"""One after another: the first is asked for again, after the last the session counts as failed."""
_ROLES = {"caller": "user", "agent": "assistant", "system": "system"}
_ASK = "ask"
"""Event id of our requests for a response, by which an error that answers one is known."""
UNKNOWN_TOOL = "unknown_tool"
"""Called in the place of a tool that does not exist."""
SECOND_CHANCE_SECONDS = 4.0
"""A session that follows a failed one must answer within this time."""


class RealtimeModel(OpenAIRealtimeLLMService):
    """One call's model."""

    def __init__(
        self,
        *,
        terms: ModelTerms,
        session: Event,
        ask_token: Callable[[float], Awaitable[str]],
        tls: ssl.SSLContext | None,
        playout: Playout,
        transcript: Transcript,
        reports: Reports,
        silence_seconds: float,
    ) -> None:
        """`ask_token` gets the seconds there are, and raises `ModelRefusedError` where there is no token."""
        settings = self.Settings(model=terms.name)
        super().__init__(api_key="", base_url=terms.url, settings=settings, enable_direct_mode=True)
        self._link = ModelLink(
            terms=terms,
            session=session,
            ask_token=ask_token,
            tls=tls,
            heard=self._heard,
            came_up=self._came_up,
            went_down=self._went_down,
            changed=reports.model_changed,
            traffic=reports.traffic,
        )
        self._link_task: asyncio.Task[None] | None = None
        self._playout = playout
        self._speech = Speech(playout)
        self._transcript = transcript
        self._reports = reports
        self._silence_seconds = silence_seconds
        turns = terms.turn_detection
        by_server = turns.kind == "server_vad"
        self._padding_ms = turns.prefix_padding_ms if by_server else 0
        """The server counts so much before the caller's first sound as part of a turn ..."""
        self._quiet_ms = turns.silence_ms if by_server else 0
        """... and so much quiet behind the last."""
        self._opening = ""
        self._opened = False
        """The model has spoken, so it needs no opening."""
        self._answers = Answers(self._ask)
        self._failed_responses = 0
        self._calls: dict[str, str] = {}
        """Names of the tools being called, by call id."""
        self._caller_stopped_at: float | None = None
        self.caller_speaking = False
        """As the server hears it."""
        self._handlers: dict[str, Callable[[Event], Awaitable[None]]] = {
            "response.output_audio.delta": self._on_sound,
            "response.output_audio.done": self._on_sound_done,
            "response.output_audio_transcript.delta": self._on_words,
            "response.output_item.added": self._on_item,
            "response.output_item.done": self._on_item_done,
            "response.function_call_arguments.done": self._on_tool_call,
            "response.created": self._on_response,
            "response.done": self._on_response_done,
            "input_audio_buffer.speech_started": self._on_caller_started,
            "input_audio_buffer.speech_stopped": self._on_caller_stopped,
            "conversation.item.input_audio_transcription.completed": self._on_caller_words,
            "conversation.item.input_audio_transcription.failed": self._on_caller_words,
            "error": self._on_error,
        }

    # --- what the call wants ------------------------------------------------------------------------------------------

    @property
    def given_up(self) -> bool:
        """There will be no model any more in this call."""
        return self._link.given_up

    @property
    def speaking(self) -> bool:
        """Whether an answer is owed, being made, or not heard to its end."""
        return (self._answers.owed and self._link.up) or self._speech.going

    def begin(self, opening: str) -> None:
        """Let the model speak first if the plan says how; what it says queues up behind what is being heard."""
        if opening and not self._opening:
            self._opening = opening
            self._put("system", opening)
            self._answers.want()

    def tell(self, text: str) -> None:
        """Tell the model something as the caller's side, cut what it is saying, and let it answer."""
        self.interrupt()
        self._transcript.remember("caller", text)
        self._put("user", text)
        self._answers.want()

    def note_said(self, text: str) -> None:
        """Let the model know that its side has said something without it."""
        self._put("assistant", text)

    def hold(self) -> None:
        """Stand still: cut what is being said, and answer nothing until `release`."""
        self._answers.held = True
        self.interrupt()

    def release(self) -> None:
        """Go on."""
        self._answers.held = False
        self._answers.ask_if_wanted()

    def interrupt(self) -> None:
        """Cut what the caller is hearing, and have the server stop too."""
        self._cut()
        if self._answers.response is not None:
            self._link.send({"type": "response.cancel"})

    def check(self) -> None:
        """See whether the model has owed an answer for too long. To be called a few times a second."""
        patience = self._silence_seconds if self._link.proven else min(self._silence_seconds, SECOND_CHANCE_SECONDS)
        if self._answers.waited_seconds > patience and not self._playout.queued_ms:
            self._link.fail("silent", None)

    # --- pipecat's side -----------------------------------------------------------------------------------------------

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Write the caller's voice to the model at once; nobody behind this stage needs it. The rest is pipecat's."""
        if isinstance(frame, InputAudioRawFrame):
            self._link.append(frame.audio)
        else:
            await super().queue_frame(frame, direction, callback)

    async def _connect(self) -> None:
        """Connect in the background: neither the pipeline nor the disclosure waits for it."""
        if self._link_task is None:
            self._link_task = self.create_task(self._link.run(), "model link")

    async def _disconnect(self) -> None:
        task, self._link_task = self._link_task, None
        if task is not None:
            await self.cancel_task(task)

    async def _handle_interruption(self) -> None:
        """Another stage of the pipeline interrupted."""
        self.interrupt()

    async def _handle_messages_append(self, frame: LLMMessagesAppendFrame) -> None:
        """Another stage tells the model something; pipecat's own way would lose it for want of a context."""
        for message in frame.messages:
            if isinstance(message, dict) and isinstance(text := message.get("content"), str):
                self._put("system", text)
        if frame.run_llm:
            self._answers.want()

    async def _handle_function_call_result(self, frame: FunctionCallResultFrame) -> None:
        """Give the model a tool's result, and have it speak once it has them all."""
        output = orjson.dumps(frame.result, default=str).decode()
        text = f"Result of the tool {frame.function_name}: {output}"
        if self._answers.tool_answered(frame.tool_call_id):
            self._answer_tool(frame.tool_call_id, output)
            self._transcript.remember("system", text)
        else:  # asked in a session that is gone
            self._put("system", text)
        if frame.properties is None or frame.properties.run_llm is not False:
            self._answers.want()

    # --- speaking to the server ---------------------------------------------------------------------------------------

    def _put(self, role: str, text: str) -> None:
        kind = "output_text" if role == "assistant" else "input_text"
        item: Event = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        self._link.send({"type": "conversation.item.create", "item": item})

    def _answer_tool(self, call_id: str, output: str) -> None:
        item: Event = {"type": "function_call_output", "call_id": call_id, "output": output}
        self._link.send({"type": "conversation.item.create", "item": item})

    def _ask(self) -> bool:
        self._link.send({"type": "response.create", "event_id": _ASK})
        return self._link.up

    def _cut(self) -> None:
        """Empty the playout at once, then tell everyone what was heard."""
        cuts = self._speech.cut()
        self._answers.cut()
        for cut in cuts:
            self._link.send(
                {
                    "type": "conversation.item.truncate",
                    "item_id": cut.item,
                    "content_index": cut.content_index,
                    "audio_end_ms": cut.heard_ms,
                }
            )
        self._transcript.cut()

    def _came_up(self) -> None:
        """Bring a new session up to where the conversation is."""
        for role, text in self._transcript.history():
            self._put(_ROLES[role], text)
        if self._opening and not self._opened:
            self._put("system", self._opening)
        self._answers.ask_if_wanted()

    def _went_down(self) -> None:
        """Forget what only that session knew."""
        self._answers.session_lost()
        self._calls.clear()
        self.caller_speaking = False
        self._finish_items()
        self._transcript.caller_lost()

    def _finish_items(self) -> None:
        """No more will come of what the model was saying; what is there is played out."""
        for item in self._speech.unfinished():
            self._speech.finished(item)
            self._playout.finish(item)
        self._transcript.answers_finished()

    # --- hearing from the server --------------------------------------------------------------------------------------

    async def _heard(self, event: Event) -> None:
        if handler := self._handlers.get(event["type"]):
            await handler(event)

    async def _on_sound(self, event: Event) -> None:
        if self._answers.unwanted(event["response_id"]):
            return
        item = event["item_id"]
        sound = base64.b64decode(event["delta"])
        self._answers.sign_of_life()
        if self._speech.sounded(item, event["content_index"], len(sound)):
            self._opened = True
            self._link.prove()
            self._reports.answer_begun(item, self._caller_stopped_at)
            self._caller_stopped_at = None
        self._transcript.agent_sounded(item, len(sound) * 1000 // SAMPLES_PER_SECOND)
        await self.push_frame(TTSAudioRawFrame(audioop.ulaw2lin(sound, 2), SAMPLES_PER_SECOND, 1, context_id=item))

    async def _on_sound_done(self, event: Event) -> None:
        if not self._answers.unwanted(event["response_id"]):
            self._speech.finished(event["item_id"])
            await self.push_frame(TTSStoppedFrame(context_id=event["item_id"]))

    async def _on_words(self, event: Event) -> None:
        if not self._answers.unwanted(event["response_id"]):
            self._answers.sign_of_life()
            self._transcript.agent_said(event["item_id"], event["delta"])

    async def _on_item(self, event: Event) -> None:
        item = event["item"]
        if item["type"] == "function_call":
            self._calls[item["call_id"]] = item["name"]

    async def _on_item_done(self, event: Event) -> None:
        self._transcript.agent_finished(event["item"]["id"])

    async def _on_tool_call(self, event: Event) -> None:
        call_id = event["call_id"]
        name = self._calls.pop(call_id, "")
        try:
            arguments = orjson.loads(event["arguments"] or "{}")
        except orjson.JSONDecodeError:
            arguments = None
        if not isinstance(arguments, dict):
            self._answer_tool(call_id, '{"ok":false,"error":"the arguments are no JSON object"}')
            self._answers.want()
            return
        self._answers.tool_called(call_id)
        function = name if self.has_function(name) else UNKNOWN_TOOL
        call = FunctionCallFromLLM(function, call_id, arguments, context=LLMContext())
        await self.run_function_calls([call])

    async def _on_response(self, event: Event) -> None:
        self._answers.begun(event["response"]["id"])
        if self._answers.held:
            self._answers.want()
            self.interrupt()

    async def _on_response_done(self, event: Event) -> None:
        response = event["response"]
        self._finish_items()
        self._answers.ended(response["id"])
        if usage := response.get("usage"):
            self._reports.usage_counted(usage)
        if response["status"] == "failed":
            self._response_failed(error_code(response.get("status_details") or {}))
        else:
            self._failed_responses = 0
        self._answers.ask_if_wanted()

    def _response_failed(self, code: str) -> None:
        self._failed_responses += 1
        if self._failed_responses < MOST_FAILED_RESPONSES:
            self._reports.model_changed("error", code)
        else:
            self._failed_responses = 0
            self._link.fail("error", code)
        self._answers.want()

    async def _on_caller_started(self, event: Event) -> None:
        self._cut()
        self.caller_speaking = True
        self._answers.caller_started()
        self._transcript.caller_started(event["item_id"], self._line_ms(event["audio_start_ms"] + self._padding_ms))
        self._reports.caller_spoke()
        await self.broadcast_interruption()  # type: ignore[no-untyped-call]  # pipecat leaves it unannotated
        await self.broadcast_frame(UserStartedSpeakingFrame)

    async def _on_caller_stopped(self, event: Event) -> None:
        end_ms = event["audio_end_ms"] - self._quiet_ms
        ago_ms = self._link.appended_ms - end_ms
        self._caller_stopped_at = time.monotonic() - ago_ms / 1000
        self.caller_speaking = False
        self._answers.caller_stopped()
        self._transcript.caller_stopped(event["item_id"], self._line_ms(end_ms))
        self._reports.caller_spoke()
        await self.broadcast_frame(UserStoppedSpeakingFrame)

    async def _on_caller_words(self, event: Event) -> None:
        """Transcribed, or not: then there are no words."""
        self._transcript.caller_transcribed(event["item_id"], event.get("transcript") or "")

    async def _on_error(self, event: Event) -> None:
        """Every error is journalled; what the server says about our own input leaves the session as it is."""
        code = error_code(event)
        error = event["error"]
        if code == "conversation_already_has_active_response":
            self._answers.want()
        unanswerable = error.get("event_id") == _ASK and code not in HARMLESS_ERRORS
        if unanswerable or (error.get("type") != "invalid_request_error" and code not in HARMLESS_ERRORS):
            self._link.fail("error", code)
        else:
            self._reports.model_changed("error", code)

    def _line_ms(self, session_ms: int) -> int:
        """A time of the session's sound as one of the media clock."""
        return self._playout.samples * 1000 // SAMPLES_PER_SECOND - (self._link.appended_ms - session_ms)

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
from typing import TYPE_CHECKING, Protocol

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

from voice.call.line import SAMPLES_PER_SECOND, Playout
from voice.call.model_connection import Event, error_code
from voice.call.model_link import Change, ModelLink
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
SECOND_CHANCE_SECONDS = 4.0
"""A session that follows a failed one must answer within this time."""


class Watcher(Protocol):
    """Whoever wants to know how the model fares. Called on the loop's thread; must not wait."""

    def model_changed(self, what: Change, code: str | None) -> None:
        """The connection came up, failed, came back, or will not come back."""

    def usage_counted(self, usage: Event) -> None:
        """Tokens of one response, as the server counted them (`response.usage`)."""

    def answer_begun(self, item: str, caller_stopped_at: float | None) -> None:
        """An answer's first sound is queued; when (`time.monotonic()`) the caller had stopped, if that caused it."""

    def caller_spoke(self) -> None:
        """The caller began or stopped speaking."""


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
        watcher: Watcher,
        silence_seconds: float,
    ) -> None:
        """`ask_token` gets the seconds there are, and raises `ModelRefusedError` where there is no token."""
        super().__init__(
            api_key="",
            base_url=terms.url,
            settings=self.Settings(model=terms.name),
            enable_direct_mode=True,
        )
        self._link = ModelLink(
            terms=terms,
            session=session,
            ask_token=ask_token,
            tls=tls,
            heard=self._heard,
            came_up=self._came_up,
            went_down=self._went_down,
            changed=watcher.model_changed,
        )
        self._link_task: asyncio.Task[None] | None = None
        self._playout = playout
        self._speech = Speech(playout)
        self._transcript = transcript
        self._watcher = watcher
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
        self._held = False
        self._response: str | None = None
        """Id of the response being made."""
        self._asked_at: float | None = None
        """When an answer was asked for that has not ended; moves on with every sign of it."""
        self._wanted = False
        """An answer is to be asked for as soon as that is possible."""
        self._unwanted: set[str] = set()
        """Responses whose sound nobody is to hear any more."""
        self._failed_responses = 0
        self._calls: dict[str, str] = {}
        """Names of the tools being called, by call id."""
        self._unanswered: set[str] = set()
        """Calls of this session whose result has not been sent."""
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
        owed = self._asked_at is not None or self._wanted
        return (owed and self._link.up) or self._speech.going

    def begin(self, opening: str) -> None:
        """Let the model speak first if the plan says how; what it says queues up behind what is being heard."""
        if opening and not self._opening:
            self._opening = opening
            self._put("system", opening)
            self._ask()

    def tell(self, text: str) -> None:
        """Tell the model something as the caller's side, cut what it is saying, and let it answer."""
        self.interrupt()
        self._transcript.remember("caller", text)
        self._put("user", text)
        self._ask()

    def note_said(self, text: str) -> None:
        """Let the model know that its side has said something without it."""
        self._put("assistant", text)

    def hold(self) -> None:
        """Stand still: cut what is being said, and answer nothing until `release`."""
        self._held = True
        self.interrupt()

    def release(self) -> None:
        """Go on."""
        self._held = False
        self._ask_if_wanted()

    def interrupt(self) -> None:
        """Cut what the caller is hearing, and have the server stop too."""
        self._cut()
        if self._response is not None:
            self._link.send({"type": "response.cancel"})

    def check(self) -> None:
        """See whether the model has owed an answer for too long. To be called a few times a second."""
        if self._asked_at is None or not self._link.up or self._held or self._playout.queued_ms:
            return
        patience = self._silence_seconds if self._link.proven else min(self._silence_seconds, SECOND_CHANCE_SECONDS)
        if time.monotonic() - self._asked_at > patience:
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
            self._ask()

    async def _handle_function_call_result(self, frame: FunctionCallResultFrame) -> None:
        """Give the model a tool's result, and have it speak once it has them all."""
        output = orjson.dumps(frame.result, default=str).decode()
        if frame.tool_call_id in self._unanswered:
            self._unanswered.discard(frame.tool_call_id)
            item: Event = {"type": "function_call_output", "call_id": frame.tool_call_id, "output": output}
            self._link.send({"type": "conversation.item.create", "item": item})
            self._transcript.remember("system", f"Result of the tool {frame.function_name}: {output}")
        else:  # asked in a session that is gone
            self._put("system", f"Result of the tool {frame.function_name}: {output}")
        if frame.properties is None or frame.properties.run_llm is not False:
            self._ask()

    # --- speaking to the server ---------------------------------------------------------------------------------------

    def _put(self, role: str, text: str) -> None:
        kind = "output_text" if role == "assistant" else "input_text"
        item: Event = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        self._link.send({"type": "conversation.item.create", "item": item})

    def _ask(self) -> None:
        """Ask for an answer, as soon as there is a session, nothing is held, and no response or tool is under way."""
        self._wanted = True
        self._ask_if_wanted()

    def _ask_if_wanted(self) -> None:
        if not self._wanted or self._held or self._unanswered or not self._link.up or self._asked_at is not None:
            return
        self._wanted = False
        self._asked_at = time.monotonic()
        self._link.send({"type": "response.create", "event_id": "ask"})

    def _cut(self) -> None:
        """Empty the playout at once, then tell everyone what was heard."""
        cuts = self._speech.cut()
        if self._response is not None:
            self._unwanted.add(self._response)
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
        self._ask_if_wanted()

    def _went_down(self) -> None:
        """Forget what only that session knew; an answer that it owed is asked for again."""
        self._wanted = self._wanted or self._asked_at is not None
        self._asked_at = self._response = None
        self._unwanted.clear()
        self._unanswered.clear()
        self._calls.clear()
        self.caller_speaking = False
        self._finish_items()
        self._transcript.caller_lost()

    def _finish_items(self) -> None:
        """No more will come of what the model was saying; what is there is played out."""
        for item in self._speech.unfinished():
            self._speech.finished(item)
            self._playout.finish(item)
            self._transcript.agent_finished(item)

    # --- hearing from the server --------------------------------------------------------------------------------------

    async def _heard(self, event: Event) -> None:
        if handler := self._handlers.get(event["type"]):
            await handler(event)

    async def _on_sound(self, event: Event) -> None:
        if event["response_id"] in self._unwanted:
            return
        item = event["item_id"]
        sound = base64.b64decode(event["delta"])
        self._sign_of_life()
        if self._speech.sounded(item, event["content_index"], len(sound)):
            self._opened = True
            self._link.prove()
            self._watcher.answer_begun(item, self._caller_stopped_at)
            self._caller_stopped_at = None
        self._transcript.agent_sounded(item, len(sound) * 1000 // SAMPLES_PER_SECOND)
        await self.push_frame(TTSAudioRawFrame(audioop.ulaw2lin(sound, 2), SAMPLES_PER_SECOND, 1, context_id=item))

    async def _on_sound_done(self, event: Event) -> None:
        if event["response_id"] in self._unwanted:
            return
        self._speech.finished(event["item_id"])
        await self.push_frame(TTSStoppedFrame(context_id=event["item_id"]))

    async def _on_words(self, event: Event) -> None:
        if event["response_id"] not in self._unwanted:
            self._sign_of_life()
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
        self._unanswered.add(call_id)
        arguments = orjson.loads(event["arguments"] or "{}")
        await self.run_function_calls(
            [
                FunctionCallFromLLM(
                    function_name=name if self.has_function(name) else "unknown_tool",
                    tool_call_id=call_id,
                    arguments=arguments if isinstance(arguments, dict) else {},
                    context=LLMContext(),
                )
            ]
        )

    async def _on_response(self, event: Event) -> None:
        self._response = event["response"]["id"]
        self._asked_at = time.monotonic()
        if self._held:
            self._wanted = True
            self.interrupt()

    async def _on_response_done(self, event: Event) -> None:
        response = event["response"]
        self._finish_items()
        self._unwanted.discard(response["id"])
        self._response = self._asked_at = None
        if usage := response.get("usage"):
            self._watcher.usage_counted(usage)
        if response["status"] == "failed":
            self._response_failed(response)
        else:
            self._failed_responses = 0
        self._ask_if_wanted()

    def _response_failed(self, response: Event) -> None:
        code = error_code(response.get("status_details") or {})
        self._failed_responses += 1
        if self._failed_responses >= MOST_FAILED_RESPONSES:
            self._failed_responses = 0
            self._wanted = True
            self._link.fail("error", code)
        else:
            self._watcher.model_changed("error", code)
            self._wanted = True

    async def _on_caller_started(self, event: Event) -> None:
        self._cut()
        self.caller_speaking = True
        if self._response is None:
            self._asked_at = None  # what was owed is overtaken by what the caller says now
        self._transcript.caller_started(event["item_id"], self._line_ms(event["audio_start_ms"] + self._padding_ms))
        self._watcher.caller_spoke()
        await self.broadcast_interruption()  # type: ignore[no-untyped-call]  # pipecat leaves it unannotated
        await self.broadcast_frame(UserStartedSpeakingFrame)

    async def _on_caller_stopped(self, event: Event) -> None:
        end_ms = event["audio_end_ms"] - self._quiet_ms
        ago_ms = self._link.appended_ms - end_ms
        self._caller_stopped_at = time.monotonic() - ago_ms / 1000
        self.caller_speaking = False
        self._asked_at = time.monotonic()
        self._transcript.caller_stopped(event["item_id"], self._line_ms(end_ms))
        self._watcher.caller_spoke()
        await self.broadcast_frame(UserStoppedSpeakingFrame)

    async def _on_caller_words(self, event: Event) -> None:
        self._transcript.caller_transcribed(event["item_id"], event.get("transcript") or "")

    async def _on_error(self, event: Event) -> None:
        """Every error is journalled; what the server says about our own input leaves the session as it is."""
        code = error_code(event)
        error = event["error"]
        if code == "conversation_already_has_active_response":
            self._wanted = True
        unanswerable = error.get("event_id") == "ask" and code not in HARMLESS_ERRORS
        if unanswerable or (error.get("type") != "invalid_request_error" and code not in HARMLESS_ERRORS):
            self._link.fail("error", code)
        else:
            self._watcher.model_changed("error", code)

    def _sign_of_life(self) -> None:
        if self._asked_at is not None:
            self._asked_at = time.monotonic()

    def _line_ms(self, session_ms: int) -> int:
        """A time of the session's sound as one of the media clock."""
        return self._playout.samples * 1000 // SAMPLES_PER_SECOND - (self._link.appended_ms - session_ms)

"""One WebSocket session: what a client sends is checked and obeyed, what happens is told."""

import asyncio
import time
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from voice.rehearsal.audio import FORMATS
from voice.rehearsal.config import default_session, updated
from voice.rehearsal.conversation import Conversation, Item, decode_base64, new_id
from voice.rehearsal.errors import ProtocolError
from voice.rehearsal.events import check_client_event
from voice.rehearsal.mind import Drop, Mind, SendError, Step, Wait, WaitForSpeech
from voice.rehearsal.mouth import Mouth
from voice.rehearsal.response import Response
from voice.rehearsal.tasks import Tasks
from voice.rehearsal.usage import UsageCounter
from voice.rehearsal.vad import Edge, EnergyDetector, TurnRules
from voice.rehearsal.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger()

_LEAST_COMMIT_MS = 100
_LONGEST_APPEND_BYTES = 15 * 1024 * 1024
_KEPT_WITHOUT_SPEECH_MS = 30_000
"""With turn detection on, older silence is forgotten, so that a long call does not fill the memory."""


class Session:
    """One session, from session.created to the end of its socket."""

    def __init__(
        self, *, wire: Wire, mind: Mind, mouth: Mouth, model: str, preset: dict[str, Any], seconds: float, pace: float
    ) -> None:
        self.id = new_id("sess")
        self.wire, self.mind, self.mouth, self.pace = wire, mind, mouth, pace
        self.config = updated(default_session(self.id, model, int(time.time() + seconds)), preset)
        self.conversation = Conversation()
        self.usage = UsageCounter()
        self.tasks = Tasks()
        self.has_spoken = False
        """Whether the model has sent sound: from then on its voice is settled."""
        self._active: dict[str, Response] = {}
        self._hearings: dict[str, asyncio.Task[Any]] = {}
        self._buffer = bytearray()
        self._buffer_starts_ms = 0
        self._appended_bytes = 0
        self._detector: EnergyDetector | None = None
        self._turn_item_id = ""
        self._turn_starts_ms = 0
        self._speech_began = asyncio.Event()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._tokens_left = 40_000
        self._handlers: dict[str, Callable[[dict[str, Any]], Any]] = {
            "session.update": self._update,
            "input_audio_buffer.commit": self._client_commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._item_create,
            "conversation.item.truncate": self._item_truncate,
            "conversation.item.delete": self._item_delete,
            "conversation.item.retrieve": self._item_retrieve,
            "response.create": self._response_create,
            "response.cancel": self._response_cancel,
        }

    async def run(self, seconds: float) -> None:
        """Serve until the client leaves or the session expires after so many seconds."""
        try:
            await self.send("session.created", session=self.config)
            self.tasks.start(self._meanwhile(), f"meanwhile {self.id}")
            try:
                async with asyncio.timeout(seconds):
                    async for text in self.wire:
                        await self._take(text)
            except TimeoutError:
                message = f"Your session hit the maximum duration of {seconds / 60:.0f} minutes."
                await self.send("error", error=ProtocolError("session_expired", message).as_event(None))
                await self.wire.close(1001, "session_expired")
        finally:
            self._stop_idle_timer()
            await self.tasks.close()

    async def send(self, kind: str, **fields: Any) -> None:
        """Tell the client something."""
        await self.wire.send({"type": kind, "event_id": new_id("event"), **fields})

    async def send_rate_limits(self) -> None:
        """Tell how much of an invented allowance is left."""
        self._tokens_left = max(1_000, self._tokens_left - 250)
        limit = {"name": "tokens", "limit": 40_000, "remaining": self._tokens_left, "reset_seconds": 0.5}
        await self.send("rate_limits.updated", rate_limits=[limit])

    async def send_error(self, error: ProtocolError, event_id: str | None = None) -> None:
        """Tell the client what it did wrong; the session goes on."""
        await self.send("error", error=error.as_event(event_id))

    async def carry_out(self, step: Step) -> None:
        """A mind's step that concerns the session rather than a response."""
        match step:
            case Wait():
                await asyncio.sleep(step.seconds)
            case WaitForSpeech():
                self._speech_began.clear()
                await self._speech_began.wait()
            case SendError():
                fields = {"type": step.kind, "code": step.code, "message": step.message}
                await self.send("error", error={**fields, "param": None, "event_id": None})
            case Drop(close_code=None):
                self.wire.abort()
            case Drop(close_code=int(code)):
                await self.wire.close(code, step.reason)
            case _:
                raise TypeError(f"{type(step).__name__} belongs into a response")

    async def _meanwhile(self) -> None:
        async for step in self.mind.meanwhile():
            await self.carry_out(step)

    async def _take(self, text: str) -> None:
        event_id = None
        try:
            try:
                raw = orjson.loads(text)
            except orjson.JSONDecodeError:
                raise ProtocolError("invalid_json", "The event could not be parsed as JSON.") from None
            self.wire.note_received(raw)
            if isinstance(raw, dict):
                given = raw.get("event_id")
                event_id = given if isinstance(given, str) else None
                # The one frequent event is checked by hand: fifty a second for each call.
                if raw.get("type") == "input_audio_buffer.append" and isinstance(raw.get("audio"), str):
                    await self._append(raw)
                    return
            event = check_client_event(raw)
            await self._handlers[event["type"]](event)
        except ProtocolError as error:
            log.info("client_event_refused", code=error.code, param=error.param)
            await self.send_error(error, event_id)

    async def _update(self, event: dict[str, Any]) -> None:
        update = event["session"]
        if update.get("model", self.config["model"]) != self.config["model"]:
            raise ProtocolError("cannot_update_model", "A session's model cannot be changed.", "session.model")
        new = updated(self.config, update)
        if self.has_spoken and new["audio"]["output"]["voice"] != self.config["audio"]["output"]["voice"]:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise ProtocolError("cannot_update_voice", message)
        if new["audio"]["input"]["format"] != self.config["audio"]["input"]["format"]:
            self._buffer.clear()
            self._detector = None
        self.config = new
        await self.send("session.updated", session=new)

    # --- the caller's sound ------------------------------------------------------------------------------------------

    async def _append(self, event: dict[str, Any]) -> None:
        if len(event) > 2 and set(event) - {"type", "audio", "event_id"}:
            check_client_event(event)
        encoded = decode_base64(event["audio"], "audio")
        audio_format = FORMATS[self.config["audio"]["input"]["format"]["type"]]
        if len(encoded) > _LONGEST_APPEND_BYTES or len(encoded) % audio_format.bytes_per_sample:
            message = "Invalid 'audio'. Expected base64-encoded audio bytes, but got an invalid value."
            raise ProtocolError("invalid_value", message, "audio")
        self._buffer += encoded
        self._appended_bytes += len(encoded)
        rules = TurnRules.from_session(self.config["audio"]["input"]["turn_detection"])
        if rules is None:
            return
        if self._detector is None:
            self._detector = EnergyDetector(audio_format.samples_per_second)
            self._detector.heard_ms = self._buffer_starts_ms
        for edge in self._detector.hear(audio_format.to_s16(encoded), rules):
            await self._turn(edge, rules)
        if not self._detector.speaking:
            self._forget(len(self._buffer) - _KEPT_WITHOUT_SPEECH_MS * audio_format.bytes_per_ms)

    def _forget(self, count: int) -> None:
        """Drop so many bytes from the front of the buffer."""
        if count > 0:
            self._buffer_starts_ms += count // self._bytes_per_ms
            del self._buffer[: count // self._bytes_per_ms * self._bytes_per_ms]

    @property
    def _bytes_per_ms(self) -> int:
        return FORMATS[self.config["audio"]["input"]["format"]["type"]].bytes_per_ms

    async def _turn(self, edge: Edge, rules: TurnRules) -> None:
        if edge.what == "started":
            self._stop_idle_timer()
            self._turn_item_id, self._turn_starts_ms = new_id("item"), edge.at_ms
            await self.send("input_audio_buffer.speech_started", audio_start_ms=edge.at_ms, item_id=self._turn_item_id)
            self._speech_began.set()
            if rules.interrupt_response:
                for response in [active for active in self._active.values() if active.in_conversation]:
                    await response.cancel("turn_detected")
            return
        await self.send("input_audio_buffer.speech_stopped", audio_end_ms=edge.at_ms, item_id=self._turn_item_id)
        self._forget((self._turn_starts_ms - self._buffer_starts_ms) * self._bytes_per_ms)
        count = (edge.at_ms - self._turn_starts_ms) * self._bytes_per_ms
        await self._commit(self._turn_item_id, count)
        if rules.create_response and self._active_in_conversation() is None:
            self._respond({})

    async def _commit(self, item_id: str, count: int) -> None:
        """Make the first `count` bytes of the buffer a turn of the caller."""
        sound = bytes(self._buffer[:count])
        self._forget(count)
        part: dict[str, Any] = {"type": "input_audio", "transcript": None}
        shown = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [part],
        }
        item = Item(shown, bytearray(sound), len(sound) // self._bytes_per_ms)
        await self.send("input_audio_buffer.committed", previous_item_id=self.conversation.last_id, item_id=item_id)
        await self._add(item, None)
        transcription = self.config["audio"]["input"]["transcription"]
        self._hearings[item_id] = self.tasks.start(
            self._hear(item, part, tell=transcription is not None), f"hearing {item_id}"
        )

    async def _hear(self, item: Item, part: dict[str, Any], *, tell: bool) -> None:
        audio_format = FORMATS[self.config["audio"]["input"]["format"]["type"]]
        names = {"item_id": item.id, "content_index": 0}
        try:
            s16 = audio_format.to_s16(bytes(item.audio))
            text = await self.mind.transcribe(s16, audio_format.samples_per_second, self.config)
        except OSError:
            error = {"type": "server_error", "code": "transcription_failed", "message": "The ear is away."}
            if tell:
                await self.send(
                    "conversation.item.input_audio_transcription.failed", **names, error={**error, "param": None}
                )
            return
        finally:
            self._hearings.pop(item.id, None)
        part["transcript"] = text
        if tell:
            if text:
                await self.send("conversation.item.input_audio_transcription.delta", **names, delta=text)
            await self.send(
                "conversation.item.input_audio_transcription.completed",
                **names,
                transcript=text,
                usage={"type": "duration", "seconds": item.audio_ms / 1000},
            )

    async def all_heard(self) -> None:
        """Wait until the caller's turns so far have been understood."""
        if waiting := list(self._hearings.values()):
            await asyncio.wait(waiting)

    async def _client_commit(self, _event: dict[str, Any]) -> None:
        buffered_ms = len(self._buffer) / self._bytes_per_ms
        if buffered_ms < _LEAST_COMMIT_MS:
            message = (
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, "
                f"but buffer only has {buffered_ms:.2f}ms of audio."
            )
            raise ProtocolError("input_audio_buffer_commit_empty", message)
        speaking = self._detector is not None and self._detector.speaking
        item_id = self._turn_item_id if speaking else new_id("item")
        if self._detector is not None:
            self._detector.reset()
        await self._commit(item_id, len(self._buffer))

    async def _clear(self, _event: dict[str, Any]) -> None:
        self._forget(len(self._buffer))
        if self._detector is not None:
            self._detector.reset()
        await self.send("input_audio_buffer.cleared")

    # --- the conversation --------------------------------------------------------------------------------------------

    async def _add(self, item: Item, after: str | None) -> None:
        previous = self.conversation.add(item, after)
        await self.send("conversation.item.added", previous_item_id=previous, item=item.shown)
        await self.send("conversation.item.done", previous_item_id=previous, item=item.shown)

    async def _item_create(self, event: dict[str, Any]) -> None:
        item, previous = self.conversation.create(event["item"], event.get("previous_item_id"))
        item.audio_ms = len(item.audio) // self._bytes_per_ms
        await self.send("conversation.item.added", previous_item_id=previous, item=item.shown)
        await self.send("conversation.item.done", previous_item_id=previous, item=item.shown)

    async def _item_truncate(self, event: dict[str, Any]) -> None:
        names = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        bytes_per_ms = FORMATS[self.config["audio"]["output"]["format"]["type"]].bytes_per_ms
        self.conversation.truncate(**names, bytes_per_ms=bytes_per_ms)
        await self.send("conversation.item.truncated", **names)

    async def _item_delete(self, event: dict[str, Any]) -> None:
        self.conversation.delete(event["item_id"])
        await self.send("conversation.item.deleted", item_id=event["item_id"])

    async def _item_retrieve(self, event: dict[str, Any]) -> None:
        await self.send("conversation.item.retrieved", item=self.conversation.retrieve(event["item_id"]))

    # --- responses ---------------------------------------------------------------------------------------------------

    def _active_in_conversation(self) -> Response | None:
        return next((active for active in self._active.values() if active.in_conversation), None)

    async def _response_create(self, event: dict[str, Any]) -> None:
        overrides = event.get("response") or {}
        active = self._active_in_conversation()
        if active is not None and overrides.get("conversation") != "none":
            message = (
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise ProtocolError("conversation_already_has_active_response", message)
        chosen = ((overrides.get("audio") or {}).get("output") or {}).get("voice")
        if self.has_spoken and chosen is not None and chosen != self.config["audio"]["output"]["voice"]:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise ProtocolError("cannot_update_voice", message, "response.audio.output.voice")
        self._respond(overrides)

    def _respond(self, overrides: dict[str, Any]) -> None:
        self._stop_idle_timer()
        response = Response(self, overrides, self._context(overrides))
        self._active[response.id] = response
        response.start()

    def _context(self, overrides: dict[str, Any]) -> tuple[Item, ...]:
        """The items a response is made from: its own `input`, or the conversation."""
        if overrides.get("input") is None:
            return tuple(self.conversation.items)
        scratch = Conversation()
        for raw in overrides["input"]:
            if raw["type"] != "item_reference":
                scratch.create(raw, None)
            elif (known := self.conversation.find(raw["id"])) is not None:
                scratch.add(known)
            else:
                message = f"Item with id '{raw['id']}' not found."
                raise ProtocolError("invalid_value", message, "response.input")
        return tuple(scratch.items)

    async def _response_cancel(self, event: dict[str, Any]) -> None:
        wanted = event.get("response_id")
        active = self._active_in_conversation() if wanted is None else self._active.get(wanted)
        if active is None:
            message = "Cancellation failed: no active response found"
            raise ProtocolError("response_cancel_not_active", message)
        await active.cancel("client_cancelled")

    def response_over(self, response: Response) -> None:
        """A response has ended; another may begin."""
        if self._active.pop(response.id, None) is None:
            return
        rules = TurnRules.from_session(self.config["audio"]["input"]["turn_detection"])
        if rules is not None and rules.idle_timeout_ms is not None and response.in_conversation:
            # The caller is still listening to what was sent faster than it plays.
            played_after = response.audio_ms / 1000 * (1 - 1 / self.pace if self.pace else 1)
            delay = played_after + rules.idle_timeout_ms / 1000
            self._stop_idle_timer()
            self._idle_timer = asyncio.get_running_loop().call_later(delay, self._idle)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _idle(self) -> None:
        self.tasks.start(self._prompt_idle_caller(), f"idle {self.id}")

    async def _prompt_idle_caller(self) -> None:
        item_id, end_ms = new_id("item"), self._buffer_starts_ms + len(self._buffer) // self._bytes_per_ms
        await self.send(
            "input_audio_buffer.timeout_triggered",
            audio_start_ms=self._buffer_starts_ms,
            audio_end_ms=end_ms,
            item_id=item_id,
        )
        await self._commit(item_id, len(self._buffer))
        if self._active_in_conversation() is None:
            self._respond({})

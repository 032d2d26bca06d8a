"""One response: carries out a mind's steps and tells the client about each, in the order OpenAI does."""

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson
import structlog

from voice.rehearsal.audio import FORMATS, AudioFormat, cut_into_deltas, share_out_words
from voice.rehearsal.conversation import Item, new_id
from voice.rehearsal.mind import CallTool, Drop, Fail, Request, Say, SendError, Sound, Step, Wait, WaitForSpeech
from voice.rehearsal.usage import MODEL_MS_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice.rehearsal.session import Session

log = structlog.get_logger()

DELTA_MS = 200


class _StoppedError(Exception):
    """The response ends here, unlike the mind intended."""

    def __init__(self, status: str, details: dict[str, Any]) -> None:
        super().__init__(status)
        self.status, self.details = status, details


class Response:
    """From response.created to response.done."""

    def __init__(self, session: "Session", overrides: dict[str, Any], before: tuple[Item, ...]) -> None:
        self._session, self._overrides, self._before = session, overrides, before
        self.id = new_id("resp")
        self.in_conversation = overrides.get("conversation") != "none"
        self.audio_ms = 0
        """Sound sent so far."""
        self._output: list[Item] = []
        self._open: Item | None = None
        self._pending_text = ""
        self._cancel_reason: str | None = None
        self._task: asyncio.Task[None] | None = None
        settings, chosen = session.config, (overrides.get("audio") or {}).get("output") or {}
        self._voice = {**settings["audio"]["output"], **chosen}
        self._format: AudioFormat = FORMATS[self._voice["format"]["type"]]
        self._modalities: list[str] = overrides.get("output_modalities") or settings["output_modalities"]
        self._max_tokens = overrides.get("max_output_tokens", settings["max_output_tokens"])

    def start(self) -> None:
        """Begin, in a task of the session."""
        self._task = self._session.tasks.start(self._run(), f"response {self.id}")

    async def cancel(self, reason: str) -> None:
        """Stop and tell the client why: "client_cancelled" or "turn_detected"."""
        self._cancel_reason = reason
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        self._session.response_over(self)  # a task cancelled before its first step never said so itself

    async def _run(self) -> None:
        status: str = "completed"
        details: dict[str, Any] | None = None
        try:
            await self._session.send("response.created", response=self._shown("in_progress", None, None))
            await self._session.send_rate_limits()
            await self._work()
        except asyncio.CancelledError:
            if self._cancel_reason is None:  # the session itself is ending
                raise
            status, details = "cancelled", {"type": "cancelled", "reason": self._cancel_reason}
            await self._close_item("incomplete")
        except _StoppedError as stopped:
            status, details = stopped.status, stopped.details
            await self._close_item("incomplete")
        except OSError as error:  # the voice's process cannot be had
            log.warning("response_failed", error=type(error).__name__)
            told = {"type": "server_error", "code": "server_error", "message": "The local voice is away."}
            status, details = "failed", {"type": "failed", "error": told}
            await self._close_item("incomplete")
        finally:
            self._session.response_over(self)
        instructions = self._overrides.get("instructions") or self._session.config["instructions"] or ""
        usage = self._session.usage.count(instructions, self._before, self._output)
        await self._session.send("response.done", response=self._shown(status, details, usage))

    async def _work(self) -> None:
        await self._session.all_heard()
        request = Request(self._session.config, self._overrides, self._before)
        steps: AsyncIterator[Step] = self._session.mind.respond(request)
        async with aclosing(steps) as running:  # type: ignore[type-var] # minds are async generators, which close
            async for step in running:
                await self._carry_out(step)

    async def _carry_out(self, step: Step) -> None:
        match step:
            case Say():
                await self._speak(step, await self._render(step))
            case Sound():
                await self._speak(step, step.encoded)
            case CallTool():
                await self._call_tool(step)
            case Fail():
                error = {"type": step.kind, "code": step.code, "message": step.message}
                raise _StoppedError("failed", {"type": "failed", "error": error})
            case Wait() | WaitForSpeech() | SendError() | Drop():
                await self._session.carry_out(step)

    async def _render(self, step: Say) -> bytes:
        if self._modalities == ["text"]:
            return b""
        voice = self._voice["voice"]
        name = voice["id"] if isinstance(voice, dict) else voice
        return await self._session.mouth.speak(
            step.text, self._format, language=step.language, voice=name, speed=self._voice["speed"]
        )

    async def _speak(self, step: Say | Sound, encoded: bytes) -> None:
        item = await self._open_item()
        names = {"response_id": self.id, "item_id": item.id, "output_index": len(self._output) - 1, "content_index": 0}
        if self._modalities == ["text"]:
            for piece in share_out_words(step.text, max(1, step.text.count(" ") // 3)):
                self._pending_text += piece
                await self._session.send("response.output_text.delta", **names, delta=piece)
        else:
            await self._send_sound(step, encoded, item, names)
        await self._close_item("completed")

    async def _send_sound(self, step: Say | Sound, encoded: bytes, item: Item, names: dict[str, Any]) -> None:
        bytes_per_delta = DELTA_MS * self._format.bytes_per_ms
        deltas = cut_into_deltas(encoded, bytes_per_delta)
        loop = asyncio.get_running_loop()
        due, pace = loop.time(), self._session.pace
        for at, (delta, words) in enumerate(zip(deltas, share_out_words(step.text, len(deltas)), strict=True)):
            if step.stall_after_ms is not None and at * DELTA_MS >= step.stall_after_ms and step.stall_seconds:
                await asyncio.sleep(step.stall_seconds)
                due, step = loop.time(), Sound(b"", step.text)
            sound = encoded[at * bytes_per_delta : (at + 1) * bytes_per_delta]
            item.audio += sound
            item.audio_ms = len(item.audio) // self._format.bytes_per_ms
            self.audio_ms += len(sound) // self._format.bytes_per_ms
            self._pending_text += words
            self._session.has_spoken = True
            await self._session.send("response.output_audio.delta", **names, delta=delta)
            if words:
                await self._session.send("response.output_audio_transcript.delta", **names, delta=words)
            if self._max_tokens != "inf" and self.audio_ms // MODEL_MS_PER_TOKEN > self._max_tokens:
                raise _StoppedError("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
            if pace:
                due += DELTA_MS / 1000 / pace
                await asyncio.sleep(max(0.0, due - loop.time()))

    async def _open_item(self) -> Item:
        shown: dict[str, Any] = {
            "id": new_id("item"),
            "object": "realtime.item",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        item = Item(shown)
        self._open, self._pending_text = item, ""
        await self._add(item)
        kind = "text" if self._modalities == ["text"] else "audio"
        part = {"type": "text", "text": ""} if kind == "text" else {"type": "audio", "transcript": ""}
        shown["content"] = [
            {"type": "output_text", "text": ""} if kind == "text" else {"type": "output_audio", "transcript": ""}
        ]
        await self._session.send(
            "response.content_part.added",
            response_id=self.id,
            item_id=item.id,
            output_index=len(self._output) - 1,
            content_index=0,
            part=part,
        )
        return item

    async def _add(self, item: Item) -> None:
        self._output.append(item)
        index = len(self._output) - 1
        await self._session.send("response.output_item.added", response_id=self.id, output_index=index, item=item.shown)
        if self.in_conversation:
            previous = self._session.conversation.add(item)
            await self._session.send("conversation.item.added", previous_item_id=previous, item=item.shown)

    async def _close_item(self, status: str) -> None:
        """End the message that is being spoken, if one is."""
        item, self._open = self._open, None
        if item is None:
            return
        index = self._output.index(item)
        names = {"response_id": self.id, "item_id": item.id, "output_index": index, "content_index": 0}
        text, send = self._pending_text, self._session.send
        part: dict[str, str]
        if self._modalities == ["text"]:
            item.shown["content"] = [{"type": "output_text", "text": text}]
            await send("response.output_text.done", **names, text=text)
            part = {"type": "text", "text": text}
        else:
            item.shown["content"] = [{"type": "output_audio", "transcript": text}]
            await send("response.output_audio.done", **names)
            await send("response.output_audio_transcript.done", **names, transcript=text)
            part = {"type": "audio", "transcript": text}
        await send("response.content_part.done", **names, part=part)
        await self._item_done(item, status)

    async def _item_done(self, item: Item, status: str) -> None:
        item.shown["status"] = status
        if self.in_conversation:
            previous = self._session.conversation.before(item)
            await self._session.send("conversation.item.done", previous_item_id=previous, item=item.shown)
        await self._session.send(
            "response.output_item.done", response_id=self.id, output_index=self._output.index(item), item=item.shown
        )

    async def _call_tool(self, step: CallTool) -> None:
        arguments = step.arguments if isinstance(step.arguments, str) else orjson.dumps(step.arguments).decode()
        call_id = step.call_id or new_id("call")
        shown = {
            "id": new_id("item"),
            "object": "realtime.item",
            "type": "function_call",
            "status": "in_progress",
            "name": step.name,
            "call_id": call_id,
            "arguments": "",
        }
        item = Item(shown)
        await self._add(item)
        names = {
            "response_id": self.id,
            "item_id": item.id,
            "output_index": len(self._output) - 1,
            "call_id": call_id,
        }
        await self._session.send("response.function_call_arguments.delta", **names, delta=arguments)
        await self._session.send("response.function_call_arguments.done", **names, name=step.name, arguments=arguments)
        shown["arguments"] = arguments
        await self._item_done(item, "completed")

    def _shown(self, status: str, details: dict[str, Any] | None, usage: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.shown for item in self._output],
            "conversation_id": self._session.conversation.id if self.in_conversation else None,
            "output_modalities": self._modalities,
            "max_output_tokens": self._max_tokens,
            "audio": {"output": {"format": self._voice["format"], "voice": self._voice["voice"]}},
            "usage": usage,
            "metadata": self._overrides.get("metadata"),
        }

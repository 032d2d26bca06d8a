"""POST /v1/audio/speech and /v1/audio/transcriptions: the local voice and the local ear over HTTP."""

import io
import wave
from typing import Annotated, Any, Literal

from aiohttp import BodyPartReader, web
from pydantic import Field

from voice.rehearsal.answers import yes_or_no
from voice.rehearsal.audio import AudioFormat
from voice.rehearsal.config import Strict
from voice.rehearsal.ears import Ears, Vocabulary
from voice.rehearsal.errors import ProtocolError
from voice.rehearsal.helper import HelperError
from voice.rehearsal.mouth import Mouth
from voice.rehearsal.phrases import ENGLISH

SPEECH_FORMAT = AudioFormat("audio/pcm", 24000, 2)
_ESPEAK = "espeak:"
_LONGEST_FILE_BYTES = 25 << 20


class SpeechRequest(Strict):
    """Body of POST /v1/audio/speech."""

    model: Literal["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "rehearsal"]
    input: Annotated[str, Field(min_length=1, max_length=4096)]
    voice: str
    """One of OpenAI's, or "espeak:" and a language such as "espeak:de"."""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    instructions: str | None = None
    stream_format: Literal["audio", "sse"] | None = None


_VOICES = frozenset(
    {"alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse", "marin", "cedar"}
)


async def speak(mouth: Mouth, raw: dict[str, Any]) -> web.Response:
    """The answer to a valid speech request: s16 at 24 kHz, bare or as a WAV file."""
    wanted, voice = raw.get("response_format", "mp3"), raw["voice"]
    if wanted not in {"pcm", "wav"}:
        message = f"Invalid value: '{wanted}'. This local voice makes 'pcm' and 'wav'."
        raise ProtocolError("invalid_value", message, "response_format")
    if voice.startswith(_ESPEAK):
        language, name = voice.removeprefix(_ESPEAK) or "en", None
    elif voice in _VOICES:
        language, name = "en", voice
    else:
        supported = ", ".join(f"'{one}'" for one in sorted(_VOICES))
        raise ProtocolError("invalid_value", f"Invalid value: '{voice}'. Supported values are: {supported}.", "voice")
    try:
        sound = await mouth.speak(
            raw["input"], SPEECH_FORMAT, language=language, voice=name, speed=raw.get("speed", 1.0)
        )
    except HelperError as error:
        raise ProtocolError("invalid_value", f"Invalid value: '{voice}': {error}.", "voice") from None
    if wanted == "pcm":
        return web.Response(body=sound, content_type="audio/pcm")
    return web.Response(body=as_wave(sound, SPEECH_FORMAT.samples_per_second), content_type="audio/wav")


def as_wave(s16: bytes, samples_per_second: int) -> bytes:
    """A WAV file of s16 mono."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(samples_per_second)
        writer.writeframes(s16)
    return file.getvalue()


async def transcribe(ears: Ears, request: web.Request) -> web.Response:
    """The answer to a transcription request: {"text": …}, empty where nothing known was said."""
    fields, file, file_name = await _read_form(request)
    vocabulary = _vocabulary(fields.get("model"), fields.get("language", "en"))
    if file is None:
        raise ProtocolError("missing_required_parameter", "Missing required parameter: 'file'.", "file")
    s16, samples_per_second = _sound(file, file_name)
    text = await ears.hear(s16, samples_per_second, vocabulary)
    answer_format = fields.get("response_format", "json")
    if answer_format == "text":
        return web.Response(text=text + "\n")
    if answer_format != "json":
        message = f"Invalid value: '{answer_format}'. Supported values are: 'json', 'text'."
        raise ProtocolError("invalid_value", message, "response_format")
    seconds = len(s16) / 2 / samples_per_second
    return web.json_response({"text": text, "usage": {"type": "duration", "seconds": seconds}})


async def _read_form(request: web.Request) -> tuple[dict[str, str], bytes | None, str]:
    if not request.content_type.startswith("multipart/"):
        raise ProtocolError("invalid_content_type", "The body must be multipart/form-data.")
    fields: dict[str, str] = {}
    file, file_name = None, ""
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name is None:
            raise ProtocolError("invalid_value", "The form could not be read.")
        if part.name == "file":
            file, file_name = await part.read(), part.filename or ""
            if len(file) > _LONGEST_FILE_BYTES:
                raise ProtocolError("file_too_large", "The file is longer than 25 MiB.", "file")
        else:
            fields[part.name] = await part.text()
    return fields, bytes(file) if file is not None else None, file_name


def _vocabulary(model: str | None, language: str) -> Vocabulary:
    if model is None:
        raise ProtocolError("missing_required_parameter", "Missing required parameter: 'model'.", "model")
    if model == "demo":
        return ENGLISH
    if model != "yes-no":
        message = f"Invalid value: '{model}'. This local ear has the models 'yes-no' and 'demo'."
        raise ProtocolError("model_not_found", message, "model")
    vocabulary = yes_or_no(language.partition("-")[0].lower())
    if vocabulary is None:
        raise ProtocolError("invalid_value", f"Invalid value: '{language}': the ear has no such words.", "language")
    return vocabulary


def _sound(file: bytes, name: str) -> tuple[bytes, int]:
    """The file's sound as s16: a WAV file, or bare s16 at 24 kHz if its name ends in .pcm."""
    if name.endswith(".pcm"):
        return file[: len(file) // 2 * 2], SPEECH_FORMAT.samples_per_second
    try:
        with wave.open(io.BytesIO(file)) as reader:
            if reader.getnchannels() != 1 or reader.getsampwidth() != 2 or not 8000 <= reader.getframerate() <= 48000:
                raise ProtocolError("invalid_value", "The file must be mono with 16 bits a sample.", "file")
            return reader.readframes(reader.getnframes()), reader.getframerate()
    except (wave.Error, EOFError):
        message = "Audio file might be corrupted or unsupported: this local ear reads WAV."
        raise ProtocolError("invalid_value", message, "file") from None

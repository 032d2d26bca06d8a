"""What a session may be set to, as strict models, and what it is when nobody sets it.

After the `openai` SDK's types (`openai.types.realtime`) and the API's published limits. Nothing unknown passes.
"""

import copy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voice.rehearsal.errors import from_validation

MODELS = (
    "gpt-realtime",
    "gpt-realtime-1.5",
    "gpt-realtime-2",
    "gpt-realtime-2.1",
    "gpt-realtime-2.1-mini",
    "gpt-realtime-2025-08-28",
    "gpt-realtime-mini",
    "gpt-realtime-mini-2025-10-06",
    "gpt-realtime-mini-2025-12-15",
    "rehearsal",
)
"""Accepted as `model`; the last one is our own name for this server."""

TranscriptionModel = Literal[
    "whisper-1",
    "gpt-transcribe",
    "gpt-live-transcribe",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-transcribe-2025-12-15",
    "gpt-4o-transcribe",
    "gpt-4o-transcribe-diarize",
    "gpt-realtime-whisper",
]
BuiltInVoice = Literal["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"]
Effort = Literal["minimal", "low", "medium", "high", "xhigh"]
ItemId = Annotated[str, Field(max_length=32)]


class Strict(BaseModel):
    """Base of all: unknown fields are refused, and no type is bent into another."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Pcm(Strict):
    """s16 at 24 kHz, the only rate there is."""

    type: Literal["audio/pcm"]
    rate: Literal[24000] = 24000


class Pcmu(Strict):
    """G.711 mu-law."""

    type: Literal["audio/pcmu"]


class Pcma(Strict):
    """G.711 A-law."""

    type: Literal["audio/pcma"]


Format = Annotated[Pcm | Pcmu | Pcma, Field(discriminator="type")]


class Transcription(Strict):
    """How the caller's words are written down."""

    model: TranscriptionModel
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: Effort | None = None


class NoiseReduction(Strict):
    """Accepted and not applied: the telephone line is what it is."""

    type: Literal["near_field", "far_field"]
    strength: float | None = None


class ServerVad(Strict):
    """Turns end by silence."""

    type: Literal["server_vad"]
    threshold: float = Field(0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(300, ge=0)
    silence_duration_ms: int = Field(500, ge=0)
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30000)] | None = None


class SemanticVad(Strict):
    """Turns end by sense; here by a length of silence that the eagerness stands for."""

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = Annotated[ServerVad | SemanticVad, Field(discriminator="type")]


class VoiceId(Strict):
    """A custom voice."""

    id: str


class AudioInput(Strict):
    """The caller's side."""

    format: Format | None = None
    transcription: Transcription | None = None
    noise_reduction: NoiseReduction | None = None
    turn_detection: TurnDetection | None = None


class AudioOutput(Strict):
    """The model's side."""

    format: Format | None = None
    voice: BuiltInVoice | VoiceId | None = None
    speed: float = Field(1.0, ge=0.25, le=1.5)


class Audio(Strict):
    """Both sides."""

    input: AudioInput | None = None
    output: AudioOutput | None = None


class FunctionTool(Strict):
    """A function the model may call."""

    type: Literal["function"]
    name: Annotated[str, Field(max_length=64, pattern=r"^[a-zA-Z0-9_-]+$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ChosenFunction(Strict):
    """Forces one function."""

    type: Literal["function"]
    name: str


ToolChoice = Literal["none", "auto", "required"] | ChosenFunction
MaxTokens = Annotated[int, Field(ge=1, le=4096)] | Literal["inf"]
Modalities = Annotated[list[Literal["text", "audio"]], Field(min_length=1, max_length=1)]


class Reasoning(Strict):
    """Accepted; there is nothing here that reasons."""

    effort: Effort | None = None


class TokenLimits(Strict):
    """Part of `RetentionRatio`."""

    post_instructions: int = Field(ge=0)


class RetentionRatio(Strict):
    """How much of a conversation too long is kept."""

    type: Literal["retention_ratio"]
    retention_ratio: float = Field(ge=0.0, le=1.0)
    token_limits: TokenLimits | None = None


class Session(Strict):
    """A session, as `session.update` and `client_secrets` take it."""

    type: Literal["realtime"]
    object: Literal["realtime.session"] | None = None
    id: str | None = None
    model: str | None = None
    output_modalities: Modalities | None = None
    instructions: str | None = None
    audio: Audio | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: MaxTokens | None = None
    tracing: Literal["auto"] | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None


def check(model: type[Strict], raw: dict[str, Any]) -> None:
    """Raise ProtocolError unless `raw` is exactly such a thing. The raw form stays what is worked with."""
    try:
        model.model_validate(raw)
    except ValidationError as error:
        raise from_validation(error, raw) from None


def default_session(session_id: str, model: str, expires_at_unix: int) -> dict[str, Any]:
    """A session as it is before anybody has updated it."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "You are a helpful voice agent.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": expires_at_unix,
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": ServerVad.model_validate({"type": "server_vad"}).model_dump(),
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0},
        },
        "include": None,
    }


def updated(session: dict[str, Any], update: dict[str, Any]) -> dict[str, Any]:
    """The session after a valid update: what the update does not name stays, what it names as null is switched off."""
    new = copy.deepcopy(session)
    for name, value in update.items():
        if name != "audio":
            new[name] = value
    for side in ("input", "output"):
        for name, value in ((update.get("audio") or {}).get(side) or {}).items():
            new["audio"][side][name] = _completed(name, value)
    return new


def _completed(name: str, value: Any) -> Any:
    """Fill in what the API fills in."""
    if name == "turn_detection" and value is not None:
        kind = SemanticVad if value["type"] == "semantic_vad" else ServerVad
        return kind.model_validate(value).model_dump()
    if name == "format" and value is not None and value["type"] == "audio/pcm":
        return {"type": "audio/pcm", "rate": 24000}
    return value

"""The plan of one call: all that a worker, and so the model, may ever know about it.

Content minimisation is the shape of `CallPlan`: what has no field here cannot reach a model vendor.
"""

from typing import Literal

import msgspec

PLAN_VERSION = 1


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence rendered beforehand, so that it can be heard the moment it is needed."""

    text: str
    language: str
    """BCP 47, such as "de" or "pt-BR"."""
    wording_sha256: str
    """Hex digest of the text in UTF-8: what a consent record refers to."""
    audio: bytes
    """G.711 mu-law, 8,000 samples a second, one byte a sample."""


class ConsentTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the caller is asked, with which words, and what a no means."""

    asked: bool
    question: Clip | None = None
    """Asked after the disclosure; present exactly when `asked`."""
    retry: Clip | None = None
    """Asked once more after an unclear answer."""
    on_refusal: Literal["go_on_unrecorded", "transfer", "end"] = "go_on_unrecorded"
    answer_seconds: float = 8.0
    """How long one answer is waited for; no answer counts as a no."""


class RecordingTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Whether this call may be recorded at all and from which moment."""

    allowed: bool
    starts: Literal["answer", "disclosure_played", "consent"] = "consent"
    transcript: bool = True
    """Whether turns are written down; independent of the audio."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Hard ends of a call, all in seconds."""

    max_seconds: float = 1800.0
    idle_prompt_seconds: float = 20.0
    """Silence of both sides after which the caller is asked once whether they are still there."""
    idle_end_seconds: float = 15.0
    """Further silence after that question, which ends the call."""
    media_lost_seconds: float = 20.0
    """No RTP from the caller for so long ends the call."""
    model_silence_seconds: float = 8.0
    """A model that owes an answer and sends nothing for so long counts as failed."""


class TransferTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere a caller may be sent; the model names the id and never sees the address."""

    id: str
    label: str
    """What the model and the caller call it, such as "the front desk"."""
    uri: str
    """SIP or tel URI; stays out of the model's sight."""


class ToolOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the desk runs for the model, with the tenant's secrets on the desk's side."""

    name: str
    description: str
    parameters: dict[str, object]
    """JSON Schema of the arguments."""
    deadline_seconds: float = 10.0


class TurnDetection(msgspec.Struct, frozen=True, kw_only=True):
    """When the model takes the caller's turn as finished (OpenAI Realtime, `turn_detection`)."""

    kind: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_ms: int = 500
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    """Semantic detection only."""


class ModelTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Which realtime model speaks, and how. Its token is asked for apart (`messages.TokenRequested`)."""

    url: str
    """WebSocket address without query, such as wss://api.openai.com/v1/realtime."""
    name: str
    voice: str = "marin"
    speed: float = 1.0
    turn_detection: TurnDetection = TurnDetection()
    transcription_model: str = "gpt-4o-transcribe"


class FallbackTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when there is no model: the caller never hears dead air."""

    action: Literal["take_message", "transfer", "end"] = "take_message"
    target_id: str | None = None
    """Transfer target; present exactly when the action is "transfer"."""
    message_seconds: float = 60.0
    """The longest message taken."""


class Clips(msgspec.Struct, frozen=True, kw_only=True):
    """Every sentence the product itself may have to say, in the call's language."""

    disclosure: Clip
    are_you_there: Clip
    goodbye: Clip
    model_lost: Clip
    """Says that the agent cannot be reached and what the plan's fallback does now."""
    model_lost_end: Clip
    """The same where that cannot be done, or nothing is to be: the call ends."""
    leave_message: Clip
    message_taken: Clip
    transferring: Clip
    transfer_failed: Clip
    time_is_up: Clip
    drain_goodbye: Clip
    """Says that the call has to end because this server does."""


class CallPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One call, decided before it is answered."""

    version: int = PLAN_VERSION
    session_id: str
    """UUIDv7; a call is a session in the store and the API."""
    tenant_id: str
    project_id: str
    scenario_id: str
    scenario_version: int
    called: str
    """The number that was dialled, E.164 or the user part of a SIP address."""
    language: str
    business_name: str
    instructions: str
    """The scenario's text for the model."""
    opening: str
    """What the agent is asked to say first, once the disclosure is over; empty lets the caller begin."""
    own_tools: tuple[str, ...] = ("hang_up", "transfer", "take_message", "send_dtmf")
    """Which of the tools that the call itself has the model may use."""
    tools: tuple[ToolOffer, ...] = ()
    """Those that the desk runs."""
    transfer_targets: tuple[TransferTarget, ...] = ()
    clips: Clips
    consent: ConsentTerms
    recording: RecordingTerms
    limits: Limits = Limits()
    model: ModelTerms
    fallback: FallbackTerms = FallbackTerms()
    data_key: bytes
    """32 bytes: seals this call's journal and recording and nothing else."""
    wrapped_data_key: bytes
    """The same key, wrapped for the store; copied into the journal's header so that ingestion needs nothing else."""

    def __repr__(self) -> str:
        """No key, text or number: a plan turns up in tracebacks."""
        return f"CallPlan(session_id={self.session_id!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """The same for terminals, whose tracebacks show local variables by this."""
        return [("session_id", self.session_id)]


encode_plan = msgspec.msgpack.Encoder().encode
decode_plan = msgspec.msgpack.Decoder(CallPlan).decode

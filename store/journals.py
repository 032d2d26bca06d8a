"""What a journal becomes once it is taken in: turns, consent events, other events, messages, usage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from store.transfers import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one side said, as it was heard."""

    role: Literal["caller", "agent"]
    text: str
    from_ms: int
    to_ms: int
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    """One step of telling and asking the caller, or of what followed: never holds what the caller said.

    Samples are of the media clock, 8,000 a second, from the answer.
    """

    at_ms: int
    kind: str
    """Such as "disclosure_played", "consent_decided", "gate_opened", "recording_started", "recording_paused"."""
    from_sample: int
    to_sample: int | None = None
    verdict: str | None = None
    method: str | None = None
    wording_sha256: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent:
    """Anything else that happened."""

    at_ms: int
    kind: str
    facts: Mapping[str, object] = field(default_factory=dict)
    """JSON that tells nothing about a person; searchable, and kept when the call is erased."""
    personal: Mapping[str, object] = field(default_factory=dict)
    """JSON that may, such as a tool's arguments; sealed under the call's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenMessage:
    """A message that the caller left."""

    text: str
    from_sample: int | None = None
    to_sample: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRecording:
    """A recording that lies in the blobs."""

    blob: str
    sealed_bytes: int
    samples: int
    """Ticks of 1/8000 s."""
    starts_at_sample: int
    """On the call's media clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallReport:
    """A whole call, as its journal tells it. The same journal must always make the same report."""

    session_id: UUID
    started_at: datetime
    ended_at: datetime
    ended_by: str
    end_reason: str
    caller: str | None
    language: str
    trunk: str
    heard_samples: int
    turns: Sequence[Turn] = ()
    consent: Sequence[ConsentEvent] = ()
    events: Sequence[SessionEvent] = ()
    messages: Sequence[TakenMessage] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    """Quantity by kind, such as "call_ms" or "input_audio_tokens"."""
    recording: NewRecording | None = None
    transfers: Sequence[Transfer] = ()
    """What went to places beyond this machine."""

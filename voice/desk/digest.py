"""Reads a journal into what is worth storing about a call. Pure: the same journal always gives the same digest."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from policies.call_flow import State
from voice.waist import journal
from voice.waist.journal import AnyRecord, Header


@dataclass(slots=True)
class Usage:
    """Tokens of all responses of a call."""

    input_text: int = 0
    input_audio: int = 0
    output_text: int = 0
    output_audio: int = 0
    cached: int = 0


@dataclass(slots=True)
class RecordingSpan:
    """Where the recording lies on the call's media clock, 8,000 samples a second from the answer."""

    from_sample: int
    pauses: list[tuple[int, int | None]] = field(default_factory=list)
    """From, to; None where it was never resumed."""


@dataclass(slots=True)
class Digest:
    """A call, as its journal tells it."""

    header: Header
    arrived: journal.CallArrived | None = None
    answered_ms: int | None = None
    """From the call's start."""
    last_ms: int = 0
    ended: journal.CallEnded | None = None
    """None: the worker was lost before it could close the journal."""
    disclosure: journal.DisclosurePlayed | None = None
    consents: list[journal.ConsentDecided] = field(default_factory=list)
    recording: RecordingSpan | None = None
    turns: list[journal.TurnSpoken] = field(default_factory=list)
    messages: list[journal.MessageTaken] = field(default_factory=list)
    line: journal.LineMeasured | None = None
    usage: Usage = field(default_factory=Usage)
    events: list[AnyRecord] = field(default_factory=list)
    """All records in order, turns and messages left out: their words have a place of their own."""

    @property
    def duration_ms(self) -> int:
        """From the answer to the end; 0 for a call that was never answered."""
        return 0 if self.answered_ms is None else self.last_ms - self.answered_ms

    @property
    def end_reason(self) -> str:
        """Why it ended; "worker_lost" where nobody was left to say."""
        return "worker_lost" if self.ended is None else self.ended.reason


def digest(header: Header, records: Iterable[AnyRecord]) -> Digest:
    """Fold the records, in order."""
    call = Digest(header)
    for record in records:
        call.last_ms = max(call.last_ms, record.at_ms)
        _take(call, record)
        if not isinstance(record, journal.TurnSpoken | journal.MessageTaken):
            call.events.append(record)
    return call


def _take(call: Digest, record: AnyRecord) -> None:
    match record:
        case journal.CallArrived():
            call.arrived = record
        case journal.StateEntered(state=State.DISCLOSING) if call.answered_ms is None:
            call.answered_ms = record.at_ms
        case journal.DisclosurePlayed():
            call.disclosure = record
        case journal.ConsentDecided():
            call.consents.append(record)
        case journal.TurnSpoken():
            call.turns.append(record)
        case journal.MessageTaken():
            call.messages.append(record)
        case journal.LineMeasured():
            call.line = record
        case journal.CallEnded():
            call.ended = record
        case journal.UsageCounted():
            call.usage.input_text += record.input_text_tokens
            call.usage.input_audio += record.input_audio_tokens
            call.usage.output_text += record.output_text_tokens
            call.usage.output_audio += record.output_audio_tokens
            call.usage.cached += record.cached_tokens
        case _:
            _take_recording(call, record)


def _take_recording(call: Digest, record: AnyRecord) -> None:
    match record:
        case journal.RecordingStarted(at_sample=at) if call.recording is None:
            call.recording = RecordingSpan(at)
        case journal.RecordingPaused(at_sample=at) if call.recording is not None:
            call.recording.pauses.append((at, None))
        case journal.RecordingResumed(at_sample=at) if call.recording is not None and call.recording.pauses:
            call.recording.pauses[-1] = (call.recording.pauses[-1][0], at)

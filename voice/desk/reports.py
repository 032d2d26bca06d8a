"""Turns the journal of a call into what the store keeps of it. Pure: the same journal always makes the same report."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from policies.call_flow import State
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from store.transfers import Transfer
from voice.waist import journal
from voice.waist.journal import AnyRecord, Header

WORKER_LOST = "worker_lost"
"""End reason of a call whose worker died before it could close the journal."""
_PERSONAL = {
    "CallArrived": ("sip_call_id", "called", "caller"),
    "KeyPressed": ("digit",),
    "ToolCalled": ("arguments", "outcome"),
    "RecordingPaused": ("by",),
    "RecordingResumed": ("by",),
}
"""Fields that may tell something about a person, by record; all others never do."""
_SAMPLES_PER_MS = 8
_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


@dataclass(slots=True)
class JournalDigest:
    """A call as its journal tells it, record by record."""

    header: Header
    arrived: journal.CallArrived | None = None
    """None: the journal was cut before its first record, and there is nothing to report."""
    answered_ms: int | None = None
    last_ms: int = 0
    ended: journal.CallEnded | None = None
    recorded_from: int | None = None
    """Sample of the media clock at which the recording begins; None: the call was never recorded."""
    recording_refused: bool = False
    """The caller said no, or nothing: whatever was recorded must not be kept."""
    turns: list[Turn] = field(default_factory=list)
    sounding: Turn | None = None
    """What the agent was saying when the journal ends, as far as it was heard."""
    consent: list[ConsentEvent] = field(default_factory=list)
    events: list[SessionEvent] = field(default_factory=list)
    messages: list[TakenMessage] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    exchanged: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Bytes sent to the model and received from it, by host."""

    def report(self, recording: NewRecording | None, transfers: Sequence[Transfer] = ()) -> CallReport:
        """For `store.ingest.take_in`.

        Raises:
            ValueError: There is nothing to report.
        """
        if self.arrived is None:
            raise ValueError("the journal has no record")
        started = datetime.fromtimestamp(self.header.started_at_unix_ms / 1000, UTC)
        up_ms = 0 if self.answered_ms is None else self.last_ms - self.answered_ms
        usage = {"call_ms": up_ms, **self.usage}
        return CallReport(
            session_id=UUID(self.header.session_id),
            started_at=started,
            ended_at=started + timedelta(milliseconds=self.last_ms),
            ended_by=self.ended.by if self.ended else "system",
            end_reason=self.ended.reason if self.ended else WORKER_LOST,
            caller=self.arrived.caller,
            language=self.arrived.language,
            trunk=self.arrived.trunk,
            heard_samples=self.ended.heard_samples if self.ended else up_ms * _SAMPLES_PER_MS,
            turns=self.turns if self.sounding is None else [*self.turns, self.sounding],
            consent=self.consent,
            events=self.events,
            messages=self.messages,
            usage={kind: quantity for kind, quantity in usage.items() if quantity},
            recording=recording,
            transfers=transfers,
        )


def digest(header: Header, records: Iterable[AnyRecord]) -> JournalDigest:
    """Take in the records, in order."""
    call = JournalDigest(header)
    for record in records:
        call.last_ms = max(call.last_ms, record.at_ms)
        _take(call, record)
    return call


def _take(call: JournalDigest, record: AnyRecord) -> None:
    match record:
        case journal.TurnSounding():
            call.sounding = Turn(
                role="agent", text=record.text, from_ms=record.from_ms, to_ms=record.to_ms, interrupted=True
            )
        case journal.TurnSpoken():
            if record.role == "agent":
                call.sounding = None
            call.turns.append(
                Turn(
                    role=record.role,
                    text=record.text,
                    from_ms=record.from_ms,
                    to_ms=record.to_ms,
                    interrupted=record.interrupted,
                )
            )
        case journal.MessageTaken():
            call.messages.append(
                TakenMessage(text=record.text, from_sample=record.from_sample, to_sample=record.to_sample)
            )
        case journal.DataExchanged():
            sent, received = call.exchanged.get(record.host, (0, 0))
            call.exchanged[record.host] = sent + record.sent_bytes, received + record.received_bytes
        case journal.UsageCounted():
            for kind, quantity in _fields(record).items():
                call.usage[kind] = call.usage.get(kind, 0) + int(str(quantity))
        case (
            journal.DisclosurePlayed()
            | journal.ConsentDecided()
            | journal.GateOpened()
            | journal.RecordingStarted()
            | journal.RecordingPaused()
            | journal.RecordingResumed()
        ):
            _take_consent(call, record)
        case _:
            _take_event(call, record)


ConsentRecord = (
    journal.DisclosurePlayed
    | journal.ConsentDecided
    | journal.GateOpened
    | journal.RecordingStarted
    | journal.RecordingPaused
    | journal.RecordingResumed
)


def _take_consent(call: JournalDigest, record: ConsentRecord) -> None:
    kind = _kind(record)
    match record:
        case journal.DisclosurePlayed():
            event = ConsentEvent(
                at_ms=record.at_ms,
                kind=kind,
                from_sample=record.from_sample,
                to_sample=record.to_sample,
                wording_sha256=record.wording_sha256,
                language=record.language,
            )
        case journal.ConsentDecided():
            call.recording_refused |= record.verdict in {"refused", "no_answer"}
            event = ConsentEvent(
                at_ms=record.at_ms,
                kind=kind,
                from_sample=record.at_sample,
                verdict=record.verdict,
                method=record.method,
                wording_sha256=record.wording_sha256,
                language=record.language,
            )
        case journal.RecordingPaused() | journal.RecordingResumed():
            event = ConsentEvent(at_ms=record.at_ms, kind=kind, from_sample=record.at_sample)
            _take_event(call, record)  # by whom is personal, and so has a place that goes with the call's key
        case journal.GateOpened() | journal.RecordingStarted():
            if isinstance(record, journal.RecordingStarted) and call.recorded_from is None:
                call.recorded_from = record.at_sample
            event = ConsentEvent(at_ms=record.at_ms, kind=kind, from_sample=record.at_sample)
    call.consent.append(event)


def _take_event(call: JournalDigest, record: AnyRecord) -> None:
    match record:
        case journal.CallArrived():
            call.arrived = record
        case journal.StateEntered(state=State.DISCLOSING) if call.answered_ms is None:
            call.answered_ms = record.at_ms
        case journal.CallEnded():
            call.ended = record
    personal = _PERSONAL.get(type(record).__name__, ())
    fields = _fields(record)
    call.events.append(
        SessionEvent(
            at_ms=record.at_ms,
            kind=_kind(record),
            facts={name: value for name, value in fields.items() if name not in personal},
            personal={name: fields[name] for name in personal if fields[name] is not None},
        )
    )


def _kind(record: AnyRecord) -> str:
    """The class' name as the database spells it, such as "disclosure_played"."""
    return _CAPITAL.sub("_", type(record).__name__).lower()


def _fields(record: AnyRecord) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(record)
    del fields["type"], fields["at_ms"]
    return fields

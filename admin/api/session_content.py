"""What is inside a call: what was said, told and asked, happened and measured, and who looked at it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec

from admin.api.readings import note_reading
from admin.api.sessions import check_call, erased_error
from admin.api.shown import ShownActor, shown_actors
from admin.ask import Ask
from policies.access import Scope, Visibility
from policies.audit_tags import Tag
from store import conversation, usage
from store.audit.log import entries
from store.journals import SessionEvent
from store.keys import KeyShreddedError
from store.recordings import SAMPLES_PER_SECOND
from store.scope import TenantStore
from store.transfers import transfers_of
from store.visibility import visibility_of

_READINGS: Final = frozenset(
    {Tag.RECORDING_PLAYED, Tag.RECORDING_EXPORTED, Tag.TRANSCRIPT_EXPORTED, Tag.PHI_READ, Tag.DSAR_EXPORTED}
)
_MOST_READINGS: Final = 100


class SpokenTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What one side said, as it was heard. Milliseconds since the answer."""

    role: Literal["caller", "agent"]
    text: str
    from_ms: int
    to_ms: int
    interrupted: bool


class LeftMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the caller left. Milliseconds since the answer."""

    text: str
    from_ms: int | None
    to_ms: int | None


class Transcript(msgspec.Struct, frozen=True, kw_only=True):
    """What was said in a call."""

    visibility: Visibility
    """How much of it you see: what your project lets viewers see, or all."""
    turns: tuple[SpokenTurn, ...]
    messages: tuple[LeftMessage, ...]


class ConsentStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of telling and asking the caller, or of what followed. Samples are 8,000 a second since the answer."""

    at_ms: int
    """Since the call came in."""
    kind: str
    verdict: str | None
    method: str | None
    wording_sha256: str | None
    """Of the sentences that were played."""
    language: str | None
    from_sample: int
    to_sample: int | None


class ConsentLedger(msgspec.Struct, frozen=True, kw_only=True):
    """How the caller was told and asked, in order; there are never so many steps that they come in pages."""

    items: tuple[ConsentStep, ...]
    next_cursor: None = None


class CallEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened in a call."""

    at_ms: int
    """Since the call came in."""
    kind: str
    facts: dict[str, Any]
    """What tells nothing about a person."""
    personal: dict[str, Any]
    """What may; empty where the project does not let you see it, and once the call is erased."""


class CallTimeline(msgspec.Struct, frozen=True, kw_only=True):
    """All of a call's events in order, in one page."""

    items: tuple[CallEvent, ...]
    next_cursor: None = None


class MeasuredWait(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took, named for what it spans."""

    what: str
    took_ms: float
    at_ms: int
    """When it ended, since the call came in."""


class LineQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The line over the whole call (RFC 3550; MOS by ITU-T G.107)."""

    codec: str
    received_packets: int
    lost_packets: int
    lost_percent: float
    jitter_ms: float
    round_trip_ms: float | None
    mos: float


class SentAway(msgspec.Struct, frozen=True, kw_only=True):
    """A place beyond this server that data of the call went to."""

    host: str
    whose: str
    purpose: str
    data: tuple[str, ...]
    countries: tuple[str, ...]
    in_eu: bool
    transfer: str
    """What a transfer out of the European Union rests on."""
    sent_bytes: int
    received_bytes: int


class SessionMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured and counted in a call."""

    waits: tuple[MeasuredWait, ...]
    line: LineQuality | None
    usage: Mapping[str, int]
    """Quantities by kind, such as call_ms or input_audio_tokens."""
    cost: None = None
    """Unknown: this server is not told what your providers charge."""
    sent_away: tuple[SentAway, ...]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody heard, read or took away something of a call."""

    at: datetime
    by: ShownActor
    tag: str
    index: int
    """In the audit log."""


class ReadingPage(msgspec.Struct, frozen=True, kw_only=True):
    """Who looked into a call, newest first; at most the last hundred."""

    items: tuple[Reading, ...]
    next_cursor: None = None


async def get_transcript(ask: Ask, session_id: UUID) -> Transcript:
    """Read what was said in a call, as far as its project lets you."""
    async with ask.store() as store:
        await check_call(ask, store, session_id, Scope.TRANSCRIPTS_READ)
        found = await transcript_of(ask, store, session_id)
        if found.visibility != "none":
            await note_reading(ask, store, session_id, Tag.TRANSCRIPT_EXPORTED)
    return found


async def get_consent(ask: Ask, session_id: UUID) -> ConsentLedger:
    """Show how the caller was told and asked, and what followed from it."""
    async with ask.store() as store:
        await check_call(ask, store, session_id, Scope.SESSIONS_READ)
        return await consent_of(store, session_id)


async def get_timeline(ask: Ask, session_id: UUID) -> CallTimeline:
    """Show everything that happened in a call: states, tools, keys, the model, SIP messages."""
    async with ask.store() as store:
        await check_call(ask, store, session_id, Scope.SESSIONS_READ)
        return await timeline_of(ask, store, session_id)


async def get_metrics(ask: Ask, session_id: UUID) -> SessionMetrics:
    """Show what was measured and counted in a call: waits, the line, usage, and what went to other places."""
    async with ask.store() as store:
        await check_call(ask, store, session_id, Scope.SESSIONS_READ)
        return await metrics_of(store, session_id)


async def list_readings(ask: Ask, session_id: UUID) -> ReadingPage:
    """Show who heard, read or took away something of a call, as the audit log knows it."""
    async with ask.store() as store:
        await check_call(ask, store, session_id, Scope.AUDIT_READ)
        found = await entries(store, about=str(session_id), limit=_MOST_READINGS)
    readings = [entry for entry in found if entry.tag in _READINGS]
    actors = await shown_actors(ask, (entry.actor for entry in readings))
    return ReadingPage(
        items=tuple(
            Reading(at=entry.at, by=actors[entry.actor], tag=entry.tag, index=entry.index) for entry in readings
        )
    )


# The same for a page that shows several of them in one transaction, once it has checked that it may.


async def transcript_of(ask: Ask, store: TenantStore, session_id: UUID) -> Transcript:
    """What was said, as far as whoever asks sees it. Raises `ProblemError` 410 where nobody can read it any more."""
    try:
        turns = await conversation.turns_of(store, session_id, reader=ask.reader)
        messages = await conversation.messages_of(store, session_id, reader=ask.reader)
    except KeyShreddedError:
        raise erased_error() from None
    return Transcript(
        visibility=await visibility_of(store, session_id, ask.reader),
        turns=tuple(msgspec.convert(turn, SpokenTurn, from_attributes=True) for turn in turns),
        messages=tuple(
            LeftMessage(text=one.text, from_ms=_as_ms(one.from_sample), to_ms=_as_ms(one.to_sample)) for one in messages
        ),
    )


async def consent_of(store: TenantStore, session_id: UUID) -> ConsentLedger:
    """How the caller was told and asked."""
    steps = await conversation.consent_of(store, session_id)
    return ConsentLedger(items=tuple(msgspec.convert(step, ConsentStep, from_attributes=True) for step in steps))


async def timeline_of(ask: Ask, store: TenantStore, session_id: UUID) -> CallTimeline:
    """Everything that happened; what may be personal as far as whoever asks sees it."""
    events = await conversation.events_of(store, session_id, reader=ask.reader)
    return CallTimeline(items=tuple(msgspec.convert(event, CallEvent, from_attributes=True) for event in events))


async def metrics_of(store: TenantStore, session_id: UUID) -> SessionMetrics:
    """What was measured and counted."""
    events = await conversation.facts_of(store, session_id, ("latency_measured", "line_measured"))
    return SessionMetrics(
        waits=tuple(
            MeasuredWait(what=str(event.facts["what"]), took_ms=_number(event.facts["took_ms"]), at_ms=event.at_ms)
            for event in events
            if event.kind == "latency_measured"
        ),
        line=_line(events),
        usage=await usage.of_session(store, session_id),
        sent_away=tuple(
            msgspec.convert(one, SentAway, from_attributes=True) for one in await transfers_of(store, session_id)
        ),
    )


def _line(events: Sequence[SessionEvent]) -> LineQuality | None:
    facts = next((event.facts for event in reversed(events) if event.kind == "line_measured"), None)
    if facts is None:
        return None
    received, lost = int(_number(facts["received_packets"])), int(_number(facts["lost_packets"]))
    trip = facts.get("round_trip_ms")
    return LineQuality(
        codec=str(facts["codec"]),
        received_packets=received,
        lost_packets=lost,
        lost_percent=round(100 * lost / (received + lost), 2) if received + lost else 0.0,
        jitter_ms=_number(facts["jitter_ms"]),
        round_trip_ms=None if trip is None else _number(trip),
        mos=_number(facts["mos"]),
    )


def _number(value: object) -> float:
    return msgspec.convert(value, float, strict=False)


def _as_ms(sample: int | None) -> int | None:
    return None if sample is None else sample * 1000 // SAMPLES_PER_SECOND

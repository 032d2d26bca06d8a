"""What a caller is told and asked before a call may be heard and recorded.

Every place that might have a say is a candidate: the project's own, the called number's, the caller's. For each duty
the strictest candidate decides, and what cannot be placed counts as the strictest of all. A scenario may be stricter
than the law, never laxer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from policies.jurisdictions import (
    UNKNOWN,
    AiDisclosure,
    Confidence,
    LegalRow,
    RecordingConsent,
    Rule,
    binding_rows,
    country_of,
)
from policies.legal_table import LEGAL_TABLE
from policies.numbers import jurisdictions_of, parse_number
from policies.verdict import Allow, Deny, Verdict

OnRefusal = Literal["go_on_unrecorded", "transfer", "end"]
Starts = Literal["answer", "disclosure_played", "consent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioWishes:
    """What a scenario would like. The defaults are what the product does on its own."""

    disclose_ai: bool = True
    """False asks to leave out that a machine speaks; heeded only where no candidate requires it."""
    record: bool = True
    """False: never record."""
    always_ask_consent: bool = False
    """Ask for consent even where notice or nothing would do."""
    on_refusal: OnRefusal = "go_on_unrecorded"
    """What a no means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureDecision:
    """What has to happen on this call, and why."""

    disclose_ai: bool
    disclosure_off: Verdict
    """Whether the law would let a scenario leave the AI disclosure out."""
    announce_recording: bool
    """The disclosure says that the call is recorded, or may be."""
    ask_consent: bool
    """The caller is asked; only a clear yes lets recording begin."""
    recording_allowed: bool
    recording_starts: Starts
    """From when; "consent" also where recording is not allowed."""
    on_refusal: OnRefusal
    candidates: tuple[str, ...]
    """The jurisdictions considered: the project's first, then the called number's and the caller's."""
    rows: tuple[LegalRow, ...]
    """The rows that decided: for each duty those with the strictest value."""
    reasons: tuple[str, ...]
    """The same in plain words, for an owner who asks."""


def decide(
    *,
    project_jurisdiction: str,
    called: str,
    caller: str | None,
    wishes: ScenarioWishes,
    on_date: date,
    table: Sequence[LegalRow] = LEGAL_TABLE,
) -> DisclosureDecision:
    """Decide disclosure, consent and recording of one call.

    `called` and `caller` are as the line gives them, `caller` None when withheld; numbers without a country code are
    read in the project's country. `on_date` is the day of the call, UTC.
    """
    candidates = candidates_for(project_jurisdiction, called, caller)
    ai_rows = _strictest(candidates, Rule.AI_DISCLOSURE, on_date, table)
    off = _may_leave_out(ai_rows)
    recording_rows = _strictest(candidates, Rule.RECORDING_CONSENT, on_date, table)
    duty = RecordingConsent(recording_rows[0].value)
    ask = wishes.record and (wishes.always_ask_consent or duty >= RecordingConsent.INFORM_AND_OBJECT)
    starts: Starts
    if ask or not wishes.record:
        starts = "consent"
    else:
        starts = "answer" if duty is RecordingConsent.ONE_PARTY else "disclosure_played"
    return DisclosureDecision(
        disclose_ai=wishes.disclose_ai or not off,
        disclosure_off=off,
        announce_recording=wishes.record,
        ask_consent=ask,
        recording_allowed=wishes.record,
        recording_starts=starts,
        on_refusal=wishes.on_refusal,
        candidates=candidates,
        rows=ai_rows + (recording_rows if wishes.record else ()),
        reasons=(_why_disclosure(wishes, off, ai_rows), _why_recording(wishes, duty, recording_rows)),
    )


def candidates_for(project_jurisdiction: str, called: str, caller: str | None) -> tuple[str, ...]:
    """The jurisdictions that may have a say, each once, the project's first."""
    home = country_of(project_jurisdiction)
    called_in = jurisdictions_of(parse_number(called, home))
    caller_in = jurisdictions_of(parse_number(caller, home) if caller else None)
    return tuple(dict.fromkeys((project_jurisdiction or UNKNOWN, *called_in, *caller_in)))


def may_leave_out_ai_disclosure(
    candidates: Sequence[str], on_date: date, table: Sequence[LegalRow] = LEGAL_TABLE
) -> Verdict:
    """Whether a scenario may leave out that a machine speaks: only where no candidate requires it, for sure."""
    return _may_leave_out(_strictest(candidates, Rule.AI_DISCLOSURE, on_date, table))


_DUTY_IN_WORDS = {
    RecordingConsent.ONE_PARTY: "a participant may record",
    RecordingConsent.INFORM: "the caller must have been told",
    RecordingConsent.ALL_BY_NOTICE: "staying on the line after notice is consent",
    RecordingConsent.INFORM_AND_OBJECT: "the caller must have been told and be able to object, so the caller is asked",
    RecordingConsent.ALL_BY_RECORDED_NOTICE: (
        "notice is enough only if it is on the recording, which begins after it, so the caller is asked"
    ),
    RecordingConsent.ALL_EXPLICIT: "the caller must have said yes",
}


def _strictest(candidates: Sequence[str], rule: Rule, on_date: date, table: Sequence[LegalRow]) -> tuple[LegalRow, ...]:
    """The rows of the highest value among all that bind; what is not placed binds as "unknown"."""
    rows = dict.fromkeys(row for place in candidates for row in binding_rows(table, place, rule, on_date))
    highest = max(row.value for row in rows)
    return tuple(row for row in rows if row.value == highest)


def _may_leave_out(rows: tuple[LegalRow, ...]) -> Verdict:
    if rows[0].value == AiDisclosure.NONE_FOUND:
        return Allow()
    return Deny(f"The caller must be told that an AI is speaking: {_cite(rows)}.")


def _why_disclosure(wishes: ScenarioWishes, off: Verdict, rows: tuple[LegalRow, ...]) -> str:
    if isinstance(off, Deny):
        return off.reason if wishes.disclose_ai else f"{off.reason} The scenario's wish to leave it out is refused."
    if wishes.disclose_ai:
        return "The caller is told that an AI is speaking, as the product does by default."
    return f"The scenario leaves out that an AI is speaking; no law found requires it: {_cite(rows)}."


def _why_recording(wishes: ScenarioWishes, duty: RecordingConsent, rows: tuple[LegalRow, ...]) -> str:
    if not wishes.record:
        return "The scenario never records, so nobody is asked."
    law = f"Recording: {_DUTY_IN_WORDS[duty]}: {_cite(rows)}."
    if wishes.always_ask_consent and duty < RecordingConsent.INFORM_AND_OBJECT:
        return f"{law} The scenario asks for consent all the same."
    return law


def _cite(rows: tuple[LegalRow, ...]) -> str:
    return "; ".join(_cite_row(row) for row in rows)


def _cite_row(row: LegalRow) -> str:
    if row.jurisdiction == UNKNOWN:
        return "a place that is not known, or whose law we have not checked, counts as the strictest"
    doubt = ", to be verified" if row.confidence is Confidence.LOW else ""
    return f"{row.jurisdiction}, {row.statute}{doubt}"

"""What a row of law is, and which rows bind a call. The rows themselves are in `policies.legal_table`.

A jurisdiction is an ISO 3166 code: "DE", or "US-CA" where states differ. "EU" stands for the European Union with the
EEA, "ANYWHERE" for rules that hold wherever one is, and "unknown" for all we cannot place or have not looked at: its
rows are the safest there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

UNKNOWN = "unknown"
ANYWHERE = "ANYWHERE"
_EU_AND_EEA = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT"}
    | {"LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"}
)
_COUNTRIES_WHERE_STATES_DIFFER = frozenset({"US"})


class Rule(StrEnum):
    """What a row is about."""

    AI_DISCLOSURE = "ai_disclosure"
    AUDIO_MARKING = "audio_marking"
    EMOTION_NOTICE = "emotion_notice"
    HUMAN_ON_REQUEST = "human_on_request"
    OUTBOUND_CONSENT = "outbound_consent"
    OUTBOUND_NATURAL_VOICE = "outbound_natural_voice"
    RECORDING_CONSENT = "recording_consent"
    RECORDING_MAX_DAYS = "recording_max_days"
    ANALYSIS_MAX_DAYS = "analysis_max_days"
    CONSENT_PROOF_MIN_YEARS = "consent_proof_min_years"
    VOUCHER_MIN_YEARS = "voucher_min_years"
    CARD_CODE_NEVER_STORED = "card_code_never_stored"


class AiDisclosure(IntEnum):
    """Must a machine say that it is one? In order of strictness."""

    NONE_FOUND = 0
    IN_SOME_CASES = 1
    """For some trades or purposes. We do not know the caller's purpose, so it counts as required."""
    REQUIRED = 2


class RecordingConsent(IntEnum):
    """What a participant who records must do first. In order of strictness."""

    ONE_PARTY = 0
    """A participant may record without telling anyone."""
    INFORM = 1
    """The others must have been told."""
    ALL_BY_NOTICE = 2
    """All must agree; staying on the line after notice is agreement."""
    INFORM_AND_OBJECT = 3
    """The others must have been told and been able to object."""
    ALL_BY_RECORDED_NOTICE = 4
    """All must agree; staying on the line is agreement only where the notice itself is on the recording."""
    ALL_EXPLICIT = 5
    """All must have said yes."""


class Confidence(StrEnum):
    """How sure we are of a row. A row of low confidence may forbid, but it never permits."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalRow:
    """One rule of one place, with what it rests on. A fact for engineers, no legal advice."""

    jurisdiction: str
    rule: Rule
    value: AiDisclosure | RecordingConsent | int
    """For rules in days or years the number, for duties that simply bind True."""
    statute: str
    source: str
    confidence: Confidence
    checked_on: date
    effective_from: date | None = None
    """First day; None: long in force, or the day is not known."""
    effective_to: date | None = None
    """Last day; None: no end known."""
    note: str = ""

    def in_force(self, on: date) -> bool:
        """Whether the row binds on this day."""
        return (self.effective_from is None or self.effective_from <= on) and (
            self.effective_to is None or on <= self.effective_to
        )


def country_of(jurisdiction: str) -> str | None:
    """The ISO 3166-1 code within a jurisdiction; None for "EU", "ANYWHERE" and "unknown"."""
    country = jurisdiction.split("-", maxsplit=1)[0]
    return country if len(country) == 2 and country != "EU" else None


def laws_over(jurisdiction: str) -> tuple[str, ...]:
    """The jurisdictions whose rows bind there: itself, its federation, its union, and what holds anywhere."""
    country = country_of(jurisdiction)
    if country is None:
        return (jurisdiction, ANYWHERE)
    if jurisdiction in _COUNTRIES_WHERE_STATES_DIFFER:  # the state is not known, and any might apply
        return (country, UNKNOWN, ANYWHERE)
    union = ("EU",) if country in _EU_AND_EEA else ()
    return tuple(dict.fromkeys((jurisdiction, country, *union, ANYWHERE)))


def binding_rows(table: Iterable[LegalRow], jurisdiction: str, rule: Rule, on: date) -> tuple[LegalRow, ...]:
    """The rows of one rule that bind in a jurisdiction on a day.

    Never empty where the table has a row for "unknown": that row binds where no other does, and beside a row that would
    permit something but of which we are not sure.
    """
    in_force = [row for row in table if row.rule is rule and row.in_force(on)]
    places = laws_over(jurisdiction)
    found = tuple(row for row in in_force if row.jurisdiction in places)
    # Where states differ, the federation's row alone says little: a state must have its own.
    enough = {jurisdiction} if country_of(jurisdiction) in _COUNTRIES_WHERE_STATES_DIFFER else set(places)
    sure = any(row.jurisdiction in enough and row.confidence is not Confidence.LOW for row in found)
    if sure or UNKNOWN in places:
        return found
    return found + tuple(row for row in in_force if row.jurisdiction == UNKNOWN)

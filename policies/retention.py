"""How long what is kept: what law and the promise to customers allow, and what has to go when.

Recordings and session data are the business's to set, up to what the law of its place allows. Usage, consent proofs
and the audit log are kept for as long as law or the promise asks, whatever anybody sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from policies.jurisdictions import UNKNOWN, LegalRow, Rule, binding_rows
from policies.legal_table import LEGAL_TABLE
from policies.verdict import Allow, Deny, Verdict

RECORDING_DAYS: Final = 90
TRANSCRIPT_DAYS: Final = 365
"""Twelve months, for transcripts and all other session data."""
AUDIT_YEARS: Final = 7
BACKUP_DAYS: Final = 30
"""So long a backup lives: by then it has forgotten too what was erased today."""
DAMAGED_DAYS: Final = 30
"""So long a journal or recording that could not be read waits for somebody to look at it."""
LEDGER_YEARS: Final = 7
"""So long an erasure is remembered by its random ids, to be made again should an old backup come back."""

GRACE_DAYS: Final = 3
"""A deleted project can be taken back for so long; then its keys go."""
SHRED_DAYS: Final = 7
"""By then the keys of a deleted project are gone."""
WIPE_DAYS: Final = 30
"""By then everything of it is."""
WIPE_ALARM_DAYS: Final = 25
"""An operator is alarmed when it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The longest that recordings may be kept in a place."""

    days: int
    firm: bool
    """Whether it holds even for an owner who names a legal basis for more."""
    statute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a project has set."""

    jurisdiction: str
    recording_days: int = RECORDING_DAYS
    """0: nothing is ever recorded."""
    transcript_days: int = TRANSCRIPT_DAYS
    """0: nothing is ever written down."""
    legal_basis: str | None = None
    """The law that asks this business for more than a year, in the owner's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Everything of a project that happened before these moments has to go."""

    recordings: datetime
    sessions: datetime


def cap_on_recordings(jurisdiction: str, on: date, table: Sequence[LegalRow] = LEGAL_TABLE) -> Cap:
    """The strictest of the rows that bind there."""
    rows = binding_rows(table, jurisdiction, Rule.RECORDING_MAX_DAYS, on)
    row = min(rows, key=lambda row: row.value)
    return Cap(days=int(row.value), firm=row.jurisdiction != UNKNOWN, statute=row.statute)


def may_set(wishes: Wishes, on: date, table: Sequence[LegalRow] = LEGAL_TABLE) -> Verdict:
    """Whether a project may keep its data that long."""
    if wishes.recording_days < 0 or wishes.transcript_days < 0:
        return Deny("A number of days is not negative; 0 keeps nothing.")
    cap = cap_on_recordings(wishes.jurisdiction, on, table)
    if wishes.recording_days > cap.days and cap.firm:
        return Deny(f"In {wishes.jurisdiction} recordings may be kept for {cap.days} days at most ({cap.statute}).")
    longest = max(wishes.recording_days, wishes.transcript_days)
    if longest > _without_basis(cap) and not (wishes.legal_basis or "").strip():
        return Deny(
            f"More than {_without_basis(cap)} days need a legal basis: name the law that asks this business to keep"
            f" calls for {longest} days."
        )
    return Allow()


def limits(wishes: Wishes, now: datetime, table: Sequence[LegalRow] = LEGAL_TABLE) -> Limits:
    """Before when things have to go.

    Law counts also where it has changed since the project was set: the shorter of both holds.
    """
    cap = cap_on_recordings(wishes.jurisdiction, now.date(), table)
    recording_days, transcript_days = wishes.recording_days, wishes.transcript_days
    if cap.firm:
        recording_days = min(recording_days, cap.days)
    if not (wishes.legal_basis or "").strip():
        recording_days = min(recording_days, _without_basis(cap))
        transcript_days = min(transcript_days, _without_basis(cap))
    return Limits(recordings=now - timedelta(days=recording_days), sessions=now - timedelta(days=transcript_days))


def _without_basis(cap: Cap) -> int:
    return max(cap.days, TRANSCRIPT_DAYS)


def usage_limit(seller_country: str, now: datetime, table: Sequence[LegalRow] = LEGAL_TABLE) -> datetime:
    """Usage before this has to go: seven years, or more where the seller's country asks for it.

    Years count from the end of the one in which it happened, as AO 147(4) has it.
    """
    rows = binding_rows(table, seller_country, Rule.VOUCHER_MIN_YEARS, now.date())
    return datetime(now.year - max(int(row.value) for row in rows), 1, 1, tzinfo=UTC)


def proof_kept_until(happened_at: datetime, table: Sequence[LegalRow] = LEGAL_TABLE) -> datetime:
    """How long it stays provable that a caller was told and asked, also where the call itself is erased.

    The longest time that any law we know asks for: where it is not asked for, it still meets claims (GDPR 17(3)(e)).
    """
    years = max(int(row.value) for row in table if row.rule is Rule.CONSENT_PROOF_MIN_YEARS)
    return years_after(happened_at, years)


def years_after(moment: datetime, years: int) -> datetime:
    """The same day some years later; 29 February becomes 1 March, so that nothing goes a day early."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)

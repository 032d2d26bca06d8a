"""What callers ask about their data: by when they must have an answer, and how a caller proves whose number it is.

GDPR Art. 12(3) gives one month; the promise to customers says 30 days. What counts is the earlier of the two. Times are
instants, so that the deadline never lies behind the legal one, which ends with a day of some time zone.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from policies.numbers import PhoneNumber, is_ordinary_line
from policies.verdict import Allow, Deny, Verdict


class Wish(StrEnum):
    """What the caller asks for."""

    ACCESS = "access"
    """A copy of everything (GDPR Art. 15 and 20)."""
    ERASURE = "erasure"
    """That it is gone (Art. 17)."""


class Outcome(StrEnum):
    """How a case ends."""

    FULFILLED = "fulfilled"
    NOTHING_FOUND = "nothing_found"
    KEPT_BY_LAW = "kept_by_law"
    """Refused: a law asks for the data to be kept (Art. 17(3)(b))."""
    KEPT_FOR_CLAIMS = "kept_for_claims"
    """Refused: needed for legal claims, as under a legal hold (Art. 17(3)(e))."""
    IDENTITY_UNPROVEN = "identity_unproven"
    """Refused: nobody could show that the data are theirs (Art. 12(6))."""
    UNFOUNDED = "unfounded"
    """Refused: manifestly unfounded or excessive (Art. 12(5))."""


class Step(StrEnum):
    """What happens while a case waits."""

    REMIND = "remind"
    ESCALATE = "escalate"
    """The operator of the server is told as well."""
    OVERDUE = "overdue"


_REMINDERS_DAYS: Final = (7, 14)
_ESCALATION_DAYS: Final = 20
_DUE_DAYS: Final = 30

CODE_DIGITS: Final = 6
CODE_LIFE: Final = timedelta(minutes=10)
MOST_GUESSES: Final = 5
"""Wrong codes of one request, over all codes sent for it: a chance of 1 in 200,000 for somebody who only guesses."""
CODES_PER_NUMBER_AND_DAY: Final = 3
"""Nobody is rung more often, whoever asks for it."""
CODES_PER_DAY: Final = 100
"""Of the whole desk: what a flood of requests can cost."""
UNPROVEN_LIFE: Final = timedelta(days=7)
"""A request whose number was not proven is forgotten after this."""
_DAY: Final = timedelta(days=1)


def due_at(received_at: datetime) -> datetime:
    """When the answer must be there: 30 days or one month after it was asked for, whichever is earlier.

    A month ends on the same day of the next month, or on its last day where it has no such day (Reg. 1182/71 Art. 3).
    """
    return min(received_at + timedelta(days=_DUE_DAYS), _month_later(received_at))


def _month_later(moment: datetime) -> datetime:
    year, month = (moment.year + 1, 1) if moment.month == 12 else (moment.year, moment.month + 1)
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True)
class Timed:
    """A step and when it is due."""

    step: Step
    at: datetime


def steps(received_at: datetime) -> tuple[Timed, ...]:
    """Everything that happens to a case which nobody closes, in order. The last is its deadline."""
    return (
        *(Timed(Step.REMIND, received_at + timedelta(days=days)) for days in _REMINDERS_DAYS),
        Timed(Step.ESCALATE, received_at + timedelta(days=_ESCALATION_DAYS)),
        Timed(Step.OVERDUE, due_at(received_at)),
    )


def may_be_rung(number: PhoneNumber) -> Verdict:
    """Whether the desk calls this number with a code: only ordinary lines that cost what calls cost."""
    if is_ordinary_line(number):
        return Allow()
    return Deny("premium, shared-cost, toll-free and service numbers are not rung; hand the code over another way")


def may_send_code(now: datetime, *, to_number: Sequence[datetime], by_desk: int) -> Verdict:
    """Whether one more code may go to a number; given those sent to it and how many the desk sent in a day."""
    if sum(now - sent < _DAY for sent in to_number) >= CODES_PER_NUMBER_AND_DAY:
        return Deny(f"this number was sent {CODES_PER_NUMBER_AND_DAY} codes within a day; try again tomorrow")
    if by_desk >= CODES_PER_DAY:
        return Deny(f"the desk sent {CODES_PER_DAY} codes within a day, which looks like a flood; try again tomorrow")
    return Allow()

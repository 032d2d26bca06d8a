"""What is written to callers and to tenants about requests. Nothing in a letter tells a number or what was said."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from policies.dsar import Outcome, Step, Wish

KIND: Final = "dsar"
"""What the outbox calls these mails."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail without its address."""

    subject: str
    body: str


_WISHES: Final = {
    Wish.ACCESS: "for a copy of the data stored about their calls",
    Wish.ERASURE: "that the data stored about their calls be erased",
}
_YOUR_WISHES: Final = {Wish.ACCESS: "for a copy of your data", Wish.ERASURE: "that your data be erased"}
_ENDS: Final = {
    Outcome.FULFILLED: {
        Wish.ACCESS: "The copy of your data has been made and is handed over to you.",
        Wish.ERASURE: "Your data have been erased: recordings, transcripts and everything else that was said.",
    },
    Outcome.NOTHING_FOUND: dict.fromkeys(Wish, "No data about your number were found."),
    Outcome.KEPT_BY_LAW: dict.fromkeys(Wish, "The request was refused: a law requires that the data be kept."),
    Outcome.KEPT_FOR_CLAIMS: dict.fromkeys(Wish, "The request was refused: the data are needed for legal claims."),
    Outcome.IDENTITY_UNPROVEN: dict.fromkeys(
        Wish, "The request was refused: it could not be established that the data are yours."
    ),
    Outcome.UNFOUNDED: dict.fromkeys(Wish, "The request was refused as manifestly unfounded or excessive."),
}
_COMPLAINT: Final = (
    "\n\nYou may lodge a complaint with a data protection supervisory authority, or go to court (GDPR Art. 12(4))."
)


def case_opened(case_id: UUID, wish: Wish, due_at: datetime) -> Letter:
    """To a tenant: the operator has passed a request on."""
    return Letter(
        "A caller asks about their data",
        f"A caller, whose number has been verified, asks {_WISHES[wish]}.\n\n"
        f"It must be answered by {_day(due_at)}. See: aitelier dsar show {case_id}",
    )


def case_waits(case_id: UUID, step: Step, due_at: datetime) -> Letter:
    """To a tenant, and from the escalation on to the operator too."""
    said = {
        Step.REMIND: "A caller's request about their data is still open",
        Step.ESCALATE: "A caller's request about their data is nearly due",
        Step.OVERDUE: "A caller's request about their data is overdue",
    }[step]
    return Letter(
        said,
        f"{said}: case {case_id}.\n\nThe law's deadline is {_day(due_at)}. See: aitelier dsar show {case_id}",
    )


def case_closed_for_tenant(case_id: UUID, wish: Wish, outcome: Outcome) -> Letter:
    """To a tenant: what was done, for its files."""
    return Letter(
        "A caller's request about their data is closed",
        f"A caller asked {_WISHES[wish]}. Case {case_id}: {outcome.replace('_', ' ')}.\n\n"
        f"Its receipt, where data were erased: aitelier dsar receipt {case_id}",
    )


def case_closed_for_caller(business: str, wish: Wish, outcome: Outcome) -> Letter:
    """To the caller."""
    refused = outcome not in {Outcome.FULFILLED, Outcome.NOTHING_FOUND}
    return Letter(
        "Your request about your data",
        f"You asked {_YOUR_WISHES[wish]}. {business} has answered.\n\n"
        f"{_ENDS[outcome][wish]}{_COMPLAINT if refused else ''}",
    )


def request_routed(businesses: Sequence[str], wish: Wish, due_at: datetime) -> Letter:
    """To a caller whose number has been proven."""
    if not businesses:
        return Letter(
            "Your request about your data",
            f"You asked {_YOUR_WISHES[wish]}. No business that uses this server holds data about your number.",
        )
    listed = "\n".join(f"- {business}" for business in businesses)
    return Letter(
        "Your request about your data",
        f"You asked {_YOUR_WISHES[wish]}. It has been passed on to those who hold data about your number:\n\n"
        f"{listed}\n\nEach must answer by {_day(due_at)}. You will be told when it has.",
    )


def _day(moment: datetime) -> str:
    return f"{moment:%d %B %Y}"

"""What keeps a part of the server from its work, in words that an operator can act on."""

from dataclasses import dataclass
from typing import Final

MANY_WRONG_CODES: Final = 100
"""Within an hour; people who mistype give a few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One part that does not work now."""

    part: str
    problem: str
    """Follows the part's name: "database" "does not answer"."""
    remedy: str
    """A sentence without its full stop."""
    calls_go_on: bool = False
    """Whether calls are taken all the same, and nothing of them is lost."""


def codes_are_guessed(wrong_codes: int) -> Problem | None:
    """The alarm where so many codes of sign-ins and second factors were wrong within an hour; None where few were."""
    if wrong_codes < MANY_WRONG_CODES:
        return None
    return Problem(
        part="sign-in",
        problem=f"sees codes guessed: {MANY_WRONG_CODES} or more were wrong within an hour",
        remedy="Look for sign_in_refused in the log. After ten a day an account takes no codes, and its owner is told",
        calls_go_on=True,
    )

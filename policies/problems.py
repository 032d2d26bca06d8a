"""What keeps a part of the server from its work, in words that an operator can act on."""

from dataclasses import dataclass


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

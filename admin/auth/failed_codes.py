"""How many codes were given that signed nobody in, and whether somebody seems to be guessing at many accounts.

What keeps guesses off an account is counted in the store (`store.people`); this is what an operator watches. Each
process counts for itself and in memory.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Final, Literal

from policies.problems import MANY_WRONG_CODES, Problem, codes_are_guessed

Kind = Literal["mail", "second_factor"]
"""Of the code: mailed to sign in; or of an app, a passkey's answer, or a recovery code."""
_HOUR_S: Final = 3600.0


class FailedCodes:
    """Counts since the process started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds, from any start."""
        self._clock = clock
        self._counts: Counter[Kind] = Counter({"mail": 0, "second_factor": 0})
        self._lately: deque[float] = deque(maxlen=MANY_WRONG_CODES)

    @property
    def counts(self) -> Mapping[Kind, int]:
        """Since the process started."""
        return self._counts

    def note(self, kind: Kind) -> None:
        """One more."""
        self._counts[kind] += 1
        self._lately.append(self._clock())

    def problems(self) -> tuple[Problem, ...]:
        """The alarm, for as long as very many failed within the last hour."""
        since = self._clock() - _HOUR_S
        problem = codes_are_guessed(sum(at > since for at in self._lately))
        return () if problem is None else (problem,)

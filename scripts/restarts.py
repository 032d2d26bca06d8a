"""When a process that ended is started again. Pure: time comes in as an argument."""

from dataclasses import dataclass
from typing import Final

LIVED_LONG_S: Final = 10.0
"""A process that lived so long was healthy; its end counts as a first one."""
FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 5.0
LOOP_AFTER: Final = 5
"""So many quick deaths in a row are a crash loop."""


@dataclass(slots=True)
class Restarts:
    """The history of one process's ends, as far as it matters for the next start."""

    quick_deaths: int = 0
    total: int = 0

    def died(self, *, lived_s: float, was_ready: bool) -> float:
        """Count one end; returns the seconds to wait before the next start.

        The first end is answered at once: callers are waiting. Only a process that dies again and again waits, 50 ms
        at first, twice as long each time, 5 s at most.
        """
        self.total += 1
        self.quick_deaths = 1 if was_ready and lived_s >= LIVED_LONG_S else self.quick_deaths + 1
        if self.quick_deaths == 1:
            return 0.0
        return min(FIRST_DELAY_S * 2.0 ** (self.quick_deaths - 2), LONGEST_DELAY_S)

    @property
    def loops(self) -> bool:
        """Whether this is a crash loop."""
        return self.quick_deaths >= LOOP_AFTER

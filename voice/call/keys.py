"""Keys a caller presses one after another, gathered into one thing said."""

import asyncio
from collections.abc import Callable

TOGETHER_SECONDS = 0.8
"""A pause so long ends a number that is being keyed in; "#" ends it at once."""


class KeyCollector:
    """Gathers keys; `complete` gets them once no more follow."""

    def __init__(self, complete: Callable[[str], None]) -> None:
        self._complete = complete
        self._digits = ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, digit: str) -> None:
        """One more key."""
        self._digits += digit
        self._stop_timer()
        if digit == "#":
            self._flush()
        else:
            self._timer = asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self._flush)

    def forget(self) -> None:
        """Nobody is to hear of the keys gathered so far."""
        self._stop_timer()
        self._digits = ""

    def _flush(self) -> None:
        digits, self._digits = self._digits, ""
        if digits:
            self._complete(digits)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

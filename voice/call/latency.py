"""How long the caller waited to hear something: from a moment to the first frame of an item on the wire."""

import time

from voice.call.journal import CallLog
from voice.call.line import Playout
from voice.waist.journal import LatencyMeasured


class SoundLatency:
    """Measures one wait at a time. Fed by the ticks of the media clock."""

    def __init__(self, playout: Playout, log: CallLog) -> None:
        self._playout = playout
        self._log = log
        self._waiting: tuple[str, str, float] | None = None

    def expect(self, item: str, what: str, since: float) -> None:
        """The caller waits for `item` since `since` (`time.monotonic()`); `what` names the wait."""
        self._waiting = (item, what, since)

    def tick(self) -> None:
        """One tick has passed."""
        if self._waiting is not None and self._playout.heard_ms(self._waiting[0]):
            _, what, since = self._waiting
            self._waiting = None
            took_ms = round((time.monotonic() - since) * 1000, 2)
            self._log.note(LatencyMeasured(at_ms=self._log.at_ms, what=what, took_ms=took_ms))

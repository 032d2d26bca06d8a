"""What has to be looked at a few times a second while a call is up: the clock, silence, a model that owes an answer."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from policies.call_flow import CallerFellSilent, CallerStayedSilent, Event, TimeRanOut
from voice.call.line import Playout
from voice.call.model import RealtimeModel
from voice.call.transcript import Transcript
from voice.waist.plan import Limits

EVERY_SECONDS = 0.2


@dataclass(slots=True)
class Watch:
    """One call's. `happened` gets what it notices."""

    limits: Limits
    playout: Playout
    model: RealtimeModel
    transcript: Transcript
    happened: Callable[[Event], None]
    conversing: bool = False
    """Whether silence means anything now."""
    held: bool = False
    """The caller has put us on hold: silence is what there should be."""
    _quiet_since: float = 0.0
    _asked: bool = False

    async def run(self) -> None:
        """Watch until cancelled. Begin at the answer: the longest duration counts from here."""
        answered = self._quiet_since = time.monotonic()
        told = False
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            now = time.monotonic()
            self.transcript.settle()
            if not told and now - answered > self.limits.max_seconds:
                told = True
                self.happened(TimeRanOut())
            if self.conversing:
                self.model.check()
                self._look_for_silence(now)
            else:
                self._quiet_since = now

    def caller_active(self) -> None:
        """The caller has spoken or pressed a key."""
        self._asked = False
        self._quiet_since = time.monotonic()

    def _look_for_silence(self, now: float) -> None:
        if self.held or self.model.caller_speaking or self.model.speaking or self.playout.queued_ms:
            self._quiet_since = now
            return
        quiet = now - self._quiet_since
        if self._asked and quiet > self.limits.idle_end_seconds:
            self.happened(CallerStayedSilent())
        elif not self._asked and quiet > self.limits.idle_prompt_seconds:
            self._asked = True
            self._quiet_since = now
            self.happened(CallerFellSilent())

"""What a call does without a model, out of clips rendered beforehand: take a message, transfer, or end politely."""

import asyncio
import audioop
import time
from dataclasses import dataclass

from policies.call_flow import FallbackEnds, FallbackTakesMessage, FallbackTransfers
from voice.call.consent_ear import LOUD_RMS
from voice.waist.plan import CallPlan

NOTHING_SAID_SECONDS = 8.0
"""Who has not begun to speak by then leaves no message."""
FINISHED_SECONDS = 4.0
"""Quiet that ends a message."""
_LOOK_SECONDS = 0.1


def choose(plan: CallPlan, *, recording: bool) -> FallbackTakesMessage | FallbackTransfers | FallbackEnds:
    """What the plan says, as far as it can be done: a message is a stretch of the recording and needs one."""
    terms = plan.fallback
    if terms.action == "take_message" and recording:
        return FallbackTakesMessage()
    if terms.action == "transfer" and any(target.id == terms.target_id for target in plan.transfer_targets):
        return FallbackTransfers(terms.target_id or "")
    return FallbackEnds()


@dataclass(slots=True)
class Message:
    """A message being spoken into the recording. Fed with the caller's ticks."""

    longest_seconds: float
    from_sample: int
    """Of the media clock: where it begins."""
    noted: bool = False
    """It is in the journal."""
    spoken: bool = False
    """The caller has said something."""
    _began: float = 0.0
    _last_loud: float = 0.0
    _over: bool = False

    def tick(self, pcm: bytes) -> None:
        """One frame of the caller's."""
        if audioop.rms(pcm, 2) > LOUD_RMS:
            self.spoken = True
            self._last_loud = time.monotonic()

    def end(self) -> None:
        """The caller has said that this is all."""
        self._over = True

    async def wait(self) -> None:
        """Return once the message is over."""
        self._began = self._last_loud = time.monotonic()
        while not self._over:
            await asyncio.sleep(_LOOK_SECONDS)
            now = time.monotonic()
            quiet = FINISHED_SECONDS if self.spoken else NOTHING_SAID_SECONDS
            if now - self._began > self.longest_seconds or now - self._last_loud > quiet:
                return

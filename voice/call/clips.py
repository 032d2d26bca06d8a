"""Saying the product's own sentences, whole, and knowing when they have been heard."""

import asyncio
import audioop
from collections.abc import Callable
from dataclasses import dataclass

from voice.call.line import SAMPLES_PER_SECOND, Playout
from voice.call.transcript import Transcript
from voice.waist.plan import Clip

SLACK_SECONDS = 5.0
"""A clip that has not been heard so long after its time never will be: the media clock stands still."""


_SAMPLES_PER_MS = SAMPLES_PER_SECOND // 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """Where a clip lay on the media clock, in samples since the answer."""

    from_sample: int
    to_sample: int


class ClipPlayer:
    """Plays clips on one line; they are sentences of the agent's. `heard` gets the text of what was heard whole."""

    def __init__(self, playout: Playout, transcript: Transcript, heard: Callable[[str], None]) -> None:
        self._playout = playout
        self._transcript = transcript
        self._heard = heard
        self._count = 0
        self.last_item = ""
        """Name in the playout of the clip that was queued last."""

    def start(self, clip: Clip, *, interruptible: bool = False) -> "asyncio.Future[Heard]":
        """Queue a clip behind whatever is being said; the result is set once its last frame has gone to the wire."""
        done: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._count += 1
        item = self.last_item = f"clip-{self._count}"
        samples = len(clip.audio)

        def played() -> None:
            heard = Heard(max(0, self._playout.samples - samples), self._playout.samples)
            self._transcript.settle()
            self._heard(clip.text)
            if not done.done():
                done.set_result(heard)

        self._transcript.clip_queued(item, clip.text, samples // _SAMPLES_PER_MS, lasting=not interruptible)
        self._playout.say(audioop.ulaw2lin(clip.audio, 2), item=item, interruptible=interruptible, played=played)
        self._playout.finish(item)
        return done

    def cut(self) -> None:
        """Drop what may be interrupted."""
        self._playout.flush()
        self._transcript.cut()

    async def play(self, clip: Clip) -> None:
        """Say a clip and return once it has been heard, or the line no longer moves."""
        await self.drained(self.start(clip), len(clip.audio) / SAMPLES_PER_SECOND)

    async def drained(self, done: "asyncio.Future[Heard]", seconds: float) -> None:
        """Wait for a clip that `start` queued."""
        patience = self._playout.queued_ms / 1000 + seconds + SLACK_SECONDS
        await asyncio.wait({done}, timeout=patience)

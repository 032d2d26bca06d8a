"""A telephone line as one call sees it. `sip` provides the real one; neither room imports the other.

Sound is 8,000 samples a second, signed 16 bits, mono; a frame is the 20 ms (320 bytes) of one tick of the media clock.
"""

from collections.abc import Callable
from typing import Literal, Protocol

from pipecat.transports.base_transport import BaseTransport

from policies.line_events import LineEvent, LineStatistics

SAMPLES_PER_SECOND = 8000
FRAME_SAMPLES = 160
FRAME_BYTES = 320
FRAME_MS = 20


class Playout(Protocol):
    """What the caller is going to hear: a queue of sound that the media clock empties, one frame a tick.

    All methods are called on the event loop's thread. Counting is exact: a frame is "heard" once the media clock has
    taken it for the wire.
    """

    def say(
        self, pcm: bytes, *, item: str, interruptible: bool = True, played: Callable[[], None] | None = None
    ) -> None:
        """Append sound to the queue, under the name of the item it belongs to.

        `played` is called on the loop's thread after the last frame of this piece has gone to the wire; it is not
        called when the piece is flushed. A piece shorter than whole frames is joined with the next piece of the same
        item, and filled up with silence when another item begins or `finish` is called.
        """

    def finish(self, item: str) -> None:
        """No more sound follows for this item: fill up its last frame."""

    def flush(self) -> None:
        """Drop all interruptible sound that has not gone to the wire, at once."""

    def heard_ms(self, item: str) -> int:
        """How much of this item has gone to the wire so far, whole frames in milliseconds."""

    @property
    def samples(self) -> int:
        """Ticks of the media clock since the answer, in samples: the time base of journal and recording."""

    @property
    def queued_ms(self) -> int:
        """Sound waiting to be played."""

    @property
    def underruns(self) -> int:
        """Times the queue ran empty in the middle of an item that was not finished."""


class Line(Protocol):
    """One call's line, from the INVITE to the end."""

    sip_call_id: str
    called: str
    """User part of the request, as dialled."""
    caller: str | None
    """User part of From or P-Asserted-Identity; None when withheld. A claim, never a proof."""
    trunk: str
    """Id of the trunk the call came through, "loopback" for none."""
    media_lost_seconds: float
    """No RTP from the caller for so long is reported as `MediaLost`. Set by the call."""
    on_event: Callable[[LineEvent], None]
    """Set by the call; called on the loop's thread, in order. Until it is set, events wait."""
    on_tick: Callable[[bytes, bytes, int], None] | None
    """Set by the call; gets each tick on the loop's thread: the caller's frame, ours, as the line carried them, and how
    many milliseconds the caller's had rested in the jitter buffer.
    """

    @property
    def playout(self) -> Playout:
        """What the caller is going to hear."""

    @property
    def transport(self) -> BaseTransport:
        """Pipecat's way to the same sound.

        Its input pushes one `InputAudioRawFrame` a tick; its output gives each `TTSAudioRawFrame` whole to
        `playout.say` under the item in `context_id`, calls `finish` for the item of a `TTSStoppedFrame`, and `flush`
        on an `InterruptionFrame`. `frame.interruptible` is passed on.
        """

    def ring(self) -> None:
        """Send 180."""

    async def answer(self) -> bool:
        """Send 200; True once the caller's ACK is there, False when the caller has gone."""

    def refuse(self, sip_status: int, reason: str) -> None:
        """Send a final refusal."""

    def hang_up(self) -> None:
        """End the call. Idempotent; sound still queued is lost."""

    async def transfer(self, uri: str, deadline_seconds: float) -> int:
        """Send REFER and wait for its result: the final status the other side reported, 408 on no answer."""

    def press(self, digits: str) -> None:
        """Send keys (RFC 4733)."""

    def statistics(self) -> LineStatistics | None:
        """Quality so far; None before there was sound."""


EndedBy = Literal["caller", "agent", "operator", "system"]

"""The stage that keeps the caller's voice inside this process until it may go further.

It starts shut. Nothing but `open`, which the call's lifecycle calls once the disclosure has been heard and consent is
settled, lets the caller's voice pass.
"""

from dataclasses import dataclass

from pipecat.frames.frames import Frame, InputAudioRawFrame, SystemFrame
from pipecat.processors.frame_processor import FrameCallback, FrameDirection, FrameProcessor


@dataclass
class GateOpenedFrame(SystemFrame):
    """From here on the caller's voice follows. A system frame, because the voice would overtake any other."""


@dataclass
class GateShutFrame(SystemFrame):
    """From here on the caller's voice stays behind."""


class ConsentGate(FrameProcessor):
    """Passes everything but the caller's voice, and that only while it is open."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether the caller's voice passes."""
        return self._is_open

    async def open(self) -> None:
        """Let the caller's voice pass, behind a frame that says so."""
        if not self._is_open:
            await self.push_frame(GateOpenedFrame())
            self._is_open = True

    async def shut(self) -> None:
        """Hold the caller's voice back at once, and say so."""
        if self._is_open:
            self._is_open = False
            await self.push_frame(GateShutFrame())

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = FrameDirection.DOWNSTREAM,
        callback: FrameCallback | None = None,
    ) -> None:
        """Drop the caller's voice while shut, else hand it to the next stage; fifty times a second, so without ado."""
        if not isinstance(frame, InputAudioRawFrame):
            await super().queue_frame(frame, direction, callback)
        elif self._is_open and self.next is not None:
            await self.next.queue_frame(frame, direction)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass what is not the caller's voice."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)

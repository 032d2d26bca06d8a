"""A caller who acts on what is heard: nothing in a call is waited for by the clock alone."""

import asyncio
import audioop
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TypeVar

from scripts.phone.dialog import Dialog, wait_for_end
from scripts.phone.rtp import Sound
from tests.calls.model import Words

T = TypeVar("T")
FRAME = 160
"""Samples of 20 ms, and bytes of them in mu-law."""
PATIENCE_SECONDS = 25.0
"""Longer than anything a caller has to wait for, on a busy machine too."""
ME = "+12125550142"
"""A caller from New York, where one party's consent is enough."""


async def until(true: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that happens in this process."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        await asyncio.sleep(0.01)


async def answers(ask: Callable[[], Awaitable[T]], wanted: T, what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until something that has to be asked for gives the answer wanted."""
    deadline = time.monotonic() + seconds
    while (found := await ask()) != wanted:
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}; it is {found}"
        await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Heard:
    """Where in what the caller heard something lay, in frames; and when its frames came (monotonic seconds)."""

    first: int
    end: int
    first_at: float
    last_at: float


class Caller:
    """One call from a telephone of our own."""

    def __init__(self, uri: str, caller: str, codec: str, **options: object) -> None:
        self.sound = Sound("127.0.0.1", codec)
        self.dialog = Dialog(uri, sound=self.sound, caller=caller, host="127.0.0.1", codecs=(codec,), **options)  # type: ignore[arg-type]  # handed on as they are
        self._heard = bytearray()

    # --- what the caller does ----------------------------------------------------------------------------------------

    async def rings(self) -> int:
        """The final status of the INVITE."""
        return await self.dialog.invite()

    def speaks(self, words: Words) -> None:
        """Say it, with the silence behind it that ends a turn."""
        self.sound.say(audioop.ulaw2lin(words.mulaw, 2))

    def plays(self, pcm: bytes) -> None:
        """Say sound of one's own, signed 16 bits."""
        self.sound.say(pcm)

    def presses(self, keys: str) -> None:
        """Press keys (RFC 4733)."""
        for key in keys:
            self.sound.press(key)

    async def hangs_up(self) -> None:
        """Say BYE."""
        await self.dialog.hang_up()

    # --- what the caller hears ---------------------------------------------------------------------------------------

    @property
    def heard(self) -> bytes:
        """Everything, in mu-law, as it came."""
        frames = self.sound.frames
        for _, _, pcm in frames[len(self._heard) // FRAME :]:
            self._heard += audioop.lin2ulaw(pcm, 2)
        return bytes(self._heard)

    def find(self, sounds: Iterable[bytes]) -> Heard | None:
        """Where one of these sounds was heard whole, if one was."""
        for sound in sounds:
            wanted = sound.replace(b"\x7f", b"\xff")
            wanted += b"\xff" * (-len(wanted) % FRAME)  # the last frame is filled up with silence
            at = self.heard.find(wanted)
            if at >= 0:
                first, end = at // FRAME, (at + len(wanted)) // FRAME
                frames = self.sound.frames
                return Heard(first, end, frames[first][0], frames[end - 1][0])
        return None

    async def hears(self, *sounds: bytes | Words, within: float = PATIENCE_SECONDS) -> Heard:
        """Wait until one of these sounds has been heard whole, without a gap."""
        wanted = [sound.mulaw if isinstance(sound, Words) else sound for sound in sounds]
        deadline = time.monotonic() + within
        while self.find(wanted) is None and not self.dialog.ended.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110  # frames set no event
            await asyncio.sleep(0.02)
        if self.find(wanted) is None:
            await asyncio.sleep(0.2)  # a BYE overtakes sound that lies unread in the socket beside it
        found = self.find(wanted)
        assert found is not None, (
            f"not heard within {within:g} s: {'; '.join(map(self._pieces, wanted))}; {self.summary()}"
        )
        return found

    async def hears_nearly(self, words: Words, within: float = PATIENCE_SECONDS) -> None:
        """Wait until these words have been heard whole, as another codec than mu-law lets them through."""
        said = audioop.ulaw2lin(words.mulaw, 2)
        frames = [said[at : at + 2 * FRAME] for at in range(0, len(said), 2 * FRAME)]
        least = len(frames)

        def heard() -> bool:
            pcm = [pcm for _, _, pcm in self.sound.frames]
            starts = [at for at, frame in enumerate(pcm[: len(pcm) - least + 1]) if _alike(frame, frames[0])]
            return any(all(map(_alike, pcm[at:], frames)) for at in starts)

        await until(heard, words.text, seconds=within)

    def frames_heard(self, words: Words) -> int:
        """How many frames of these words were heard, from the first on and in order."""
        heard, said = self.heard, words.mulaw
        start = heard.find(said[:FRAME])
        if start < 0:
            return 0
        count = 1
        while heard[start : start + (count + 1) * FRAME] == said[: (count + 1) * FRAME]:
            count += 1
            if count * FRAME >= len(said):
                break
        return count

    async def hears_the_end(self, within: float = PATIENCE_SECONDS) -> None:
        """The other side hangs up."""
        assert await wait_for_end(self.dialog, within), f"nobody hung up; {self.summary()}"
        assert self.dialog.ended_by == "server", self.summary()

    def messages(self, direction: str) -> list[str]:
        """Start lines of the SIP messages that came "in" or went "out"."""
        return [start for _, way, start in self.dialog.ladder if way == direction]

    def _pieces(self, sound: bytes) -> str:
        """Which of this sound's frames were heard, and where."""
        pieces = SequenceMatcher(None, _frames(sound), _frames(self.heard), autojunk=False).get_matching_blocks()
        said = [f"{said}-{said + count - 1} at {heard}" for said, heard, count in pieces if count]
        return f"of frames 0-{len(_frames(sound)) - 1} those heard: {', '.join(said) or 'none'}"

    def summary(self) -> str:
        """For whoever has to find out why a test failed."""
        lines = [f"{direction:>4} {start}" for _, direction, start in self.dialog.ladder]
        return f"{len(self.sound.frames)} frames heard; keys {self.sound.keys}; SIP:\n" + "\n".join(lines)


def _frames(sound: bytes) -> list[bytes]:
    return [sound[at : at + FRAME] for at in range(0, len(sound), FRAME)]


def _alike(heard: bytes, said: bytes) -> bool:
    """Whether two frames of 16-bit sound differ by a twentieth at most."""
    return audioop.rms(audioop.add(heard, audioop.mul(said, 2, -1), 2), 2) * 20 < audioop.rms(said, 2)


@asynccontextmanager
async def calling(uri: str, *, caller: str = ME, codec: str = "PCMU", **options: object) -> AsyncIterator[Caller]:
    """A telephone, put away afterwards however the call went."""
    telephone = Caller(uri, caller, codec, **options)
    try:
        yield telephone
    finally:
        await telephone.dialog.hang_up()

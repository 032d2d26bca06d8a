"""An ear for a yes or a no that never leaves this machine.

Stretches of speech are cut out of the line by their loudness and sent to the local speech server, which hears only
the words of consent. What they mean is decided by `policies.consent_words`.
"""

import asyncio
import audioop
import io
import wave
from collections import deque

import aiohttp
import structlog

from voice.call.line import SAMPLES_PER_SECOND

log = structlog.get_logger()

LOUD_RMS = 350
"""Of a frame of speech, signed 16 bits; line noise lies far below, a quiet voice above."""
QUIET_ENDS_TICKS = 25
"""Half a second of quiet ends an utterance."""
SHORTEST_TICKS = 6
"""Loud frames that make an utterance: a click is shorter."""
LONGEST_TICKS = 250
"""An answer to a yes-or-no question is over after five seconds."""
BEFORE_TICKS = 10
"""What went before the first loud frame belongs to the word."""
UNDERSTAND_SECONDS = 3.0


class UtteranceCutter:
    """Finds the stretches of speech in a stream of ticks."""

    def __init__(self) -> None:
        self._before: deque[bytes] = deque(maxlen=BEFORE_TICKS)
        self._frames: list[bytes] = []
        self._loud = 0
        self._quiet = 0

    def tick(self, pcm: bytes) -> bytes | None:
        """One frame of the caller's; the whole utterance once it has ended, signed 16 bits at 8,000 a second."""
        loud = audioop.rms(pcm, 2) > LOUD_RMS
        if not self._frames:
            if not loud:
                self._before.append(pcm)
                return None
            self._frames = list(self._before)
            self._before.clear()
            self._loud = self._quiet = 0
        self._frames.append(pcm)
        self._loud += loud
        self._quiet = 0 if loud else self._quiet + 1
        if self._quiet < QUIET_ENDS_TICKS and len(self._frames) < LONGEST_TICKS:
            return None
        frames, self._frames = self._frames, []
        return b"".join(frames) if self._loud >= SHORTEST_TICKS else None

    @property
    def in_speech(self) -> bool:
        """Whether an utterance has begun and not ended."""
        return bool(self._frames) and self._loud >= SHORTEST_TICKS


class ConsentEar:
    """Listens while it is told to; its utterances wait in order."""

    def __init__(self, speech_url: str, language: str) -> None:
        self._url = f"{speech_url.rstrip('/')}/v1/audio/transcriptions"
        self._language = language
        self._cutter: UtteranceCutter | None = None
        self._utterances: asyncio.Queue[bytes] = asyncio.Queue()

    @property
    def listening(self) -> bool:
        """Whether ticks are wanted."""
        return self._cutter is not None

    @property
    def in_speech(self) -> bool:
        """Whether the caller is in the middle of an utterance, or one waits to be understood."""
        return not self._utterances.empty() or (self._cutter is not None and self._cutter.in_speech)

    def listen(self) -> None:
        """Take ticks from now on; whatever was heard before does not count."""
        self._cutter = UtteranceCutter()
        self._utterances = asyncio.Queue()

    def stop(self) -> None:
        """Take no more."""
        self._cutter = None

    def tick(self, pcm: bytes) -> None:
        """One frame of the caller's."""
        if self._cutter is not None and (utterance := self._cutter.tick(pcm)) is not None:
            self._utterances.put_nowait(utterance)

    async def next_words(self) -> str:
        """Wait for the next utterance and say which words it holds; empty when none were understood."""
        utterance = await self._utterances.get()
        try:
            async with asyncio.timeout(UNDERSTAND_SECONDS):
                return await self._understand(utterance)
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            log.warning("consent_ear_failed", error=type(error).__name__)
            return ""

    async def _understand(self, pcm: bytes) -> str:
        form = aiohttp.FormData()
        form.add_field("model", "yes-no")
        form.add_field("language", self._language.partition("-")[0].lower())
        form.add_field("response_format", "json")
        form.add_field("file", _wave(pcm), filename="answer.wav", content_type="audio/wav")
        headers = {"Authorization": "Bearer rehearsal"}
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.post(self._url, data=form, headers=headers) as response,
        ):
            answer = await response.json()
        text = answer.get("text") if isinstance(answer, dict) else None
        return text if isinstance(text, str) else ""


def _wave(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLES_PER_SECOND)
        writer.writeframes(pcm)
    return file.getvalue()

"""A whole call as a person makes it: ring, listen, answer when it is one's turn, hang up.

The caller waits until the other side has spoken and fallen silent before each step, so it works against any server.
"""

import asyncio
import contextlib
import ssl
import time
import wave
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripts.phone.dialog import Dialog
from scripts.phone.rtp import Sound

_TURN_SECONDS = 1.1
"""The other side has finished when it was silent for so long."""
_PATIENCE_SECONDS = 12.0
"""Somebody who says nothing for so long is not waited for any longer."""

Step = tuple[str, str]
"""What the caller does in its turn: ("say", text), ("key", digits), ("wave", path) or ("wait", seconds)."""


@dataclass
class CallResult:
    """What came of a call."""

    status: int
    reason: str
    setup_ms: float | None = None
    """INVITE to 200."""
    first_audio_ms: float | None = None
    """ACK to the first packet of the other side."""
    heard: bytes = b""
    """16-bit PCM, mono, 8,000 samples a second, from the first packet."""
    keys_heard: str = ""
    ended_by: str = ""
    sip_call_id: str = ""
    ladder: list[tuple[float, str, str]] = field(default_factory=list)

    @property
    def answered(self) -> bool:
        """Whether the call was picked up."""
        return 200 <= self.status < 300

    def save(self, path: Path) -> None:
        """Write what was heard as a WAV file."""
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(self.heard)


Speak = Callable[[str], Awaitable[bytes]]
"""Text to 16-bit PCM, mono, 8,000 samples a second."""
Show = Callable[[str, str], None]
"""Told what happens: (what, detail), such as ("said", "hello")."""


def _ignore(_what: str, _detail: str) -> None: ...


async def place_call(
    uri: str,
    steps: Sequence[Step] = (),
    *,
    speak: Speak,
    show: Show = _ignore,
    caller: str = "anonymous",
    host: str | None = None,
    codec: str = "PCMU",
    tls: ssl.SSLContext | None = None,
    call_id: str | None = None,
    longest_seconds: float = 300.0,
) -> CallResult:
    """Ring `uri`, go through `steps` turn by turn, listen to the last answer, hang up.

    Raises:
        ValueError: The address is not a SIP URI.
        OSError: Nobody listens there.
    """
    sound = Sound(host or "127.0.0.1", codec)
    dialog = Dialog(uri, sound=sound, caller=caller, host=host, codecs=(codec,), tls=tls, call_id=call_id)
    show("ringing", uri)
    try:
        status = await dialog.invite()
        if status >= 300:
            show("refused", f"{status} {dialog.reason}")
            return CallResult(status, dialog.reason, sip_call_id=dialog.call_id, ladder=dialog.ladder)
        show("answered", f"after {dialog.setup_ms:.0f} ms")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(longest_seconds):
                await _converse(dialog, steps, speak, show)
        ended_by = dialog.ended_by or "caller"
    finally:
        await dialog.hang_up()
    show("ended", f"by {ended_by}")
    first = None
    if sound.first_packet is not None and dialog.answered_at is not None:
        first = (sound.first_packet - dialog.answered_at) * 1000
    return CallResult(
        status,
        dialog.reason,
        setup_ms=dialog.setup_ms,
        first_audio_ms=first,
        heard=sound.heard(),
        keys_heard="".join(sound.keys),
        ended_by=ended_by,
        sip_call_id=dialog.call_id,
        ladder=dialog.ladder,
    )


async def _converse(dialog: Dialog, steps: Sequence[Step], speak: Speak, show: Show) -> None:
    sound = dialog.sound
    for what, detail in steps:
        await _until_turn(dialog, show)
        if dialog.ended.is_set():
            return
        if what == "say":
            sound.say(await speak(detail))
        elif what == "wave":
            sound.say(await asyncio.to_thread(read_wave, Path(detail)))
        elif what == "key":
            for key in detail:
                sound.press(key)
        elif what == "wait":
            await asyncio.sleep(float(detail))
        show({"say": "said", "wave": "played", "key": "pressed", "wait": "waited"}[what], detail)
        await _until_said(dialog)
        sound.last_voice = None
    await _until_turn(dialog, show)


async def _until_said(dialog: Dialog) -> None:
    while dialog.sound.speaking and not dialog.ended.is_set():  # noqa: ASYNC110  sound leaves by the clock, not by events
        await asyncio.sleep(0.02)


async def _until_turn(dialog: Dialog, show: Show) -> None:
    """Wait until the other side has spoken and stopped, or plainly will not speak."""
    since = time.monotonic()
    began: float | None = None
    while not dialog.ended.is_set():
        await asyncio.sleep(0.02)
        now, voice = time.monotonic(), dialog.sound.last_voice
        if voice is None or voice < since:
            if now - since > _PATIENCE_SECONDS:
                show("silence", f"{now - since:.0f} s")
                return
            continue
        if began is None:
            began = voice
            show("listening", "")
        if now - voice > _TURN_SECONDS:
            show("heard", f"{voice - began:.1f} s of speech")
            return


def read_wave(path: Path) -> bytes:
    """A mono WAV file as 16-bit PCM at 8,000 samples a second.

    Raises:
        ValueError: It is not 16-bit mono.
    """
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth()) != (1, 2):
            raise ValueError(f"{path} is not 16-bit mono; convert it with: sox {path} -c 1 -b 16 out.wav")
        rate = file.getframerate()
        content: bytes = file.readframes(file.getnframes())
    if rate == 8000:
        return content
    import numpy as np  # noqa: PLC0415  the telephone starts without it when nothing needs resampling
    import soxr  # noqa: PLC0415  see numpy

    samples: bytes = soxr.resample(np.frombuffer(content, np.int16), rate, 8000).tobytes()
    return samples

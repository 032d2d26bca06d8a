"""The three audio formats of the Realtime protocol, and sound cut into deltas.

Inside the rehearsal, sound is signed 16 bits, little endian, mono ("s16").
"""

import audioop
import base64
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class AudioFormat:
    """One of the protocol's formats. `bytes_per_ms` is exact: all three have whole bytes a millisecond."""

    name: str
    samples_per_second: int
    bytes_per_sample: int

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of one millisecond."""
        return self.samples_per_second * self.bytes_per_sample // 1000

    def to_s16(self, encoded: bytes) -> bytes:
        """Decode to s16 at this format's rate."""
        if self.name == "audio/pcmu":
            return audioop.ulaw2lin(encoded, 2)
        if self.name == "audio/pcma":
            return audioop.alaw2lin(encoded, 2)
        return encoded

    def from_s16(self, s16: bytes) -> bytes:
        """Encode s16 that is at this format's rate."""
        if self.name == "audio/pcmu":
            return audioop.lin2ulaw(s16, 2)
        if self.name == "audio/pcma":
            return audioop.lin2alaw(s16, 2)
        return s16


FORMATS = {
    "audio/pcm": AudioFormat("audio/pcm", 24000, 2),
    "audio/pcmu": AudioFormat("audio/pcmu", 8000, 1),
    "audio/pcma": AudioFormat("audio/pcma", 8000, 1),
}


@lru_cache(maxsize=256)
def cut_into_deltas(encoded: bytes, bytes_per_delta: int) -> tuple[str, ...]:
    """Cut sound into base64 strings. Cached, so that sixty calls with one script encode its sound once."""
    return tuple(
        base64.b64encode(encoded[at : at + bytes_per_delta]).decode("ascii")
        for at in range(0, len(encoded), bytes_per_delta)
    )


def share_out_words(text: str, parts: int) -> list[str]:
    """Share a text out over as many parts as there are deltas of sound; the parts joined are the text again."""
    words = text.split(" ")
    pieces = [word if at == 0 else " " + word for at, word in enumerate(words)]
    parts = max(1, parts)
    return ["".join(pieces[len(pieces) * at // parts : len(pieces) * (at + 1) // parts]) for at in range(parts)]

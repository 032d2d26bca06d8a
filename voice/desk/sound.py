"""Makes a telephone's clip out of a speech server's sound."""

import audioop

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]

SPEECH_SAMPLES_PER_SECOND = 24_000
TELEPHONE_SAMPLES_PER_SECOND = 8_000
LEADING_SILENCE_MS = 60
TRAILING_SILENCE_MS = 160
_TARGET_DBFS = -20.0
"""Level of the speech itself, pauses left out: what telephone announcements commonly have."""
_PEAK_DBFS = -2.0
_MOST_GAIN_DB = 12.0
_WINDOW = TELEPHONE_SAMPLES_PER_SECOND // 100
_SILENCE_BELOW_PEAK_DB = 36.0
_SHORTEST_MS = 100


class UnusableSoundError(Exception):
    """The sound is empty, silent, or too short to be a sentence."""


def telephone_clip(pcm: bytes) -> bytes:
    """G.711 mu-law at 8 kHz from signed 16-bit mono at 24 kHz: trimmed at both ends and brought to a common loudness.

    Raises:
        UnusableSoundError: There is no speech in it.
    """
    wide = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2").astype(np.float32) / 32768.0
    narrow = soxr.resample(wide, SPEECH_SAMPLES_PER_SECOND, TELEPHONE_SAMPLES_PER_SECOND)
    speech = _levelled(_trimmed(narrow))
    return audioop.lin2ulaw((speech * 32767.0).round().astype("<i2").tobytes(), 2)


def _trimmed(sound: Samples) -> Samples:
    levels = _levels(sound)
    loud = np.flatnonzero(levels > max(levels.max(initial=0.0) * 10 ** (-_SILENCE_BELOW_PEAK_DB / 20), 1e-4))
    if loud.size * 10 < _SHORTEST_MS:
        raise UnusableSoundError("no speech in what the speech server sent")
    first = max(0, int(loud[0]) * _WINDOW - LEADING_SILENCE_MS * TELEPHONE_SAMPLES_PER_SECOND // 1000)
    last = (int(loud[-1]) + 1) * _WINDOW + TRAILING_SILENCE_MS * TELEPHONE_SAMPLES_PER_SECOND // 1000
    return sound[first:last]


def _levelled(sound: Samples) -> Samples:
    levels = _levels(sound)
    spoken = levels[levels > levels.max() * 0.1]
    level = float(np.sqrt(np.mean(spoken**2)))
    gain = min(10 ** (_TARGET_DBFS / 20) / level, 10 ** (_MOST_GAIN_DB / 20))
    peak = float(np.abs(sound).max())
    return sound * min(gain, 10 ** (_PEAK_DBFS / 20) / peak)


def _levels(sound: Samples) -> Samples:
    """Root mean square of each whole 10 ms."""
    windows = sound[: len(sound) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    levels: Samples = np.sqrt(np.mean(windows**2, axis=1))
    return levels

import audioop

import numpy as np
import pytest

from voice.desk.sound import UnusableSoundError, telephone_clip


def tone(seconds: float, level: float) -> bytes:
    """440 Hz at 24 kHz."""
    time = np.arange(int(seconds * 24_000)) / 24_000
    return (np.sin(2 * np.pi * 440 * time) * level * 32767).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    return bytes(int(seconds * 24_000) * 2)


def heard(clip: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return np.frombuffer(audioop.ulaw2lin(clip, 2), dtype="<i2") / 32768.0


def test_silence_at_both_ends_goes() -> None:
    """At most 60 ms of silence stand before the speech, and little after it."""
    clip = heard(telephone_clip(silence(0.7) + tone(1.0, 0.2) + silence(1.0)))
    first = int(np.flatnonzero(np.abs(clip) > 0.02)[0])
    assert 40 <= first / 8 <= 70
    assert 1.15 <= len(clip) / 8000 <= 1.3


@pytest.mark.parametrize("level", [0.04, 0.1, 0.3, 0.95])
def test_quiet_and_loud_voices_come_out_alike(level: float) -> None:
    """The level of the speech is brought to about -20 dBFS, and nothing clips."""
    clip = heard(telephone_clip(tone(1.0, level)))
    decibels = 20 * np.log10(np.sqrt(np.mean(clip[800:7200] ** 2)))
    assert decibels == pytest.approx(-20, abs=1.0)


def test_frequency_and_length_survive() -> None:
    """8,000 samples a second, the tone where it was."""
    clip = heard(telephone_clip(tone(2.0, 0.3)))
    assert len(clip) == pytest.approx(16_000, abs=200)
    spectrum = np.abs(np.fft.rfft(clip[:8000]))
    assert int(spectrum.argmax()) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("sound", [b"", b"\0", silence(2.0), tone(0.02, 0.5)])
def test_no_speech_is_no_clip(sound: bytes) -> None:
    """An empty or silent answer of a speech server is an error, not a silent disclosure."""
    with pytest.raises(UnusableSoundError):
        telephone_clip(sound)

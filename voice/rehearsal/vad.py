"""Voice activity detection on energy: where a caller's turn begins and where it ends.

OpenAI's detector is a trained one; this one hears loudness alone, which is enough for a rehearsal and keeps its answers
predictable. `semantic_vad` is accepted, and its eagerness becomes a length of silence.
"""

import audioop
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

WINDOW_MS = 20
_ONSET_MS = 60
"""Loudness must last so long to be speech, so that a click is not a turn."""
_SILENCE_BY_EAGERNESS_MS = {"low": 1200, "medium": 600, "auto": 600, "high": 300}
_RMS_AT_HALF = 400.0
"""Root mean square of s16 that threshold 0.5 stands for: about -38 dBFS, above a telephone line's own noise."""


@dataclass(frozen=True)
class TurnRules:
    """One session's turn detection, whichever kind it was asked for as."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_ms: int = 500
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = None

    @classmethod
    def from_session(cls, turn_detection: dict[str, object] | None) -> "TurnRules | None":
        """Read a session's `turn_detection`, already validated and completed; None when turns are the client's."""
        if turn_detection is None:
            return None
        create, interrupt = turn_detection["create_response"], turn_detection["interrupt_response"]
        if turn_detection["type"] == "semantic_vad":
            silence = _SILENCE_BY_EAGERNESS_MS[str(turn_detection["eagerness"])]
            return cls(silence_ms=silence, create_response=bool(create), interrupt_response=bool(interrupt))
        idle = turn_detection["idle_timeout_ms"]
        return cls(
            threshold=float(str(turn_detection["threshold"])),
            prefix_padding_ms=int(str(turn_detection["prefix_padding_ms"])),
            silence_ms=int(str(turn_detection["silence_duration_ms"])),
            create_response=bool(create),
            interrupt_response=bool(interrupt),
            idle_timeout_ms=None if idle is None else int(str(idle)),
        )


@dataclass(frozen=True)
class Edge:
    """Speech began or ended. Milliseconds count the audio appended to the session so far."""

    what: Literal["started", "stopped"]
    at_ms: int
    """Start: where the turn's audio begins, padding included. Stop: where it ends, its closing silence included."""


class EnergyDetector:
    """Follows one session's sound in windows of 20 ms."""

    def __init__(self, samples_per_second: int) -> None:
        self._window_bytes = samples_per_second * 2 * WINDOW_MS // 1000
        self._rest = b""
        self._loud_ms = 0
        self._quiet_ms = 0
        self.heard_ms = 0
        """Sound looked at so far."""
        self.speaking = False

    def hear(self, s16: bytes, rules: TurnRules) -> Iterator[Edge]:
        """Take more sound and yield where speech began or ended in it."""
        sound = self._rest + s16 if self._rest else s16
        whole = len(sound) - len(sound) % self._window_bytes
        loud_rms = _RMS_AT_HALF * 10 ** (1.2 * (rules.threshold - 0.5))
        for at in range(0, whole, self._window_bytes):
            window = sound if len(sound) == self._window_bytes else sound[at : at + self._window_bytes]
            edge = self._step(audioop.rms(window, 2), loud_rms, rules)
            if edge is not None:
                yield edge
        self._rest = sound[whole:]

    def _step(self, rms: int, loud_rms: float, rules: TurnRules) -> Edge | None:
        self.heard_ms += WINDOW_MS
        if not self.speaking:
            self._loud_ms = self._loud_ms + WINDOW_MS if rms >= loud_rms else 0
            if self._loud_ms < _ONSET_MS:
                return None
            self.speaking, self._quiet_ms = True, 0
            return Edge("started", max(0, self.heard_ms - self._loud_ms - rules.prefix_padding_ms))
        # Speech fades before it ends: half the loudness still counts as speech once it has begun.
        self._quiet_ms = 0 if rms >= loud_rms / 2 else self._quiet_ms + WINDOW_MS
        if self._quiet_ms < rules.silence_ms:
            return None
        self.speaking, self._loud_ms = False, 0
        return Edge("stopped", self.heard_ms)

    def reset(self) -> None:
        """Forget speech that was going on; the clock goes on."""
        self.speaking, self._loud_ms, self._quiet_ms = False, 0, 0

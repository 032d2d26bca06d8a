"""How loud the two sides of a recording are over time. No I/O."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from store.recordings import MU_LAW

_LOUDEST: Final = 32_124.0
"""Of G.711 mu-law."""


@dataclass(frozen=True, slots=True)
class Wave:
    """The highest level of each stretch, 0 to 1."""

    left: tuple[float, ...]
    right: tuple[float, ...]


def wave_of(sound: bytes, points: int) -> Wave:
    """At most so many stretches of equal length; of interleaved mu-law, two bytes a tick."""
    ticks = len(sound) // 2
    if not ticks:
        return Wave((), ())
    levels = np.abs(MU_LAW.astype(np.int32))[np.frombuffer(sound, np.uint8, ticks * 2)].reshape(ticks, 2)
    starts = np.unique(np.linspace(0, ticks, min(points, ticks), endpoint=False).astype(np.int64))
    highest = np.maximum.reduceat(levels, starts, axis=0) / _LOUDEST
    left, right = np.round(highest, 3).T.tolist()
    return Wave(tuple(left), tuple(right))

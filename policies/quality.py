"""How good a line sounds, by the E-model (ITU-T G.107) reduced to what RTP statistics tell.

R = 93.2 - delay impairment - equipment impairment; all else is at G.107's defaults. The delay impairment is the usual
two-line fit to G.107's curve (Cole and Rosenbluth, 2001); the loss figures are those of ITU-T G.113 Appendix I for
random loss with concealment, which the media stack has.
"""

from dataclasses import dataclass

_BEST_R = 93.2
_FRAME_MS = 20.0
_DELAY_WHERE_TALKING_GETS_HARD_MS = 177.3


@dataclass(frozen=True, slots=True)
class _Codec:
    impairment: float
    """Ie: what the codec itself costs."""
    loss_robustness: float
    """Bpl: the higher, the less a lost packet hurts."""


_G711 = _Codec(impairment=0.0, loss_robustness=25.1)
_CODECS = {
    "PCMU": _G711,
    "PCMA": _G711,
    # The call is heard at 8 kHz, where G.113 has no figure of its own for G.722; it is not worse than G.711.
    "G722": _G711,
}


def r_factor(*, codec: str, lost_fraction: float, jitter_ms: float, round_trip_ms: float | None) -> float:
    """The E-model's rating, at most 93.2; may fall below 0.

    `lost_fraction` is from 0 to 1. The one-way delay is taken as half the round trip, a frame, and a jitter buffer of
    twice the jitter; an unknown round trip counts as none, which makes the result an upper bound. Raises KeyError for
    a codec the product does not use.
    """
    used = _CODECS[codec.upper()]
    delay_ms = (round_trip_ms or 0.0) / 2 + _FRAME_MS + 2 * jitter_ms
    from_delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - _DELAY_WHERE_TALKING_GETS_HARD_MS)
    loss_percent = 100.0 * min(max(lost_fraction, 0.0), 1.0)
    from_equipment = used.impairment + (95.0 - used.impairment) * loss_percent / (loss_percent + used.loss_robustness)
    return _BEST_R - from_delay - from_equipment


def mean_opinion_score(*, codec: str, lost_fraction: float, jitter_ms: float, round_trip_ms: float | None) -> float:
    """The estimated mean opinion score, from 1 (bad) to 4.5 (as good as a telephone gets); arguments as `r_factor`."""
    r = r_factor(codec=codec, lost_fraction=lost_fraction, jitter_ms=jitter_ms, round_trip_ms=round_trip_ms)
    if r <= 0:
        return 1.0
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)

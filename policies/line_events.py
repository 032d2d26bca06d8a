"""What a telephone line reports during a call, in the past tense. `sip` emits these, `voice.call` acts on them."""

import hashlib
from dataclasses import dataclass
from typing import Literal


def line_name(sip_call_id: str) -> str:
    """How the log names a line, in every process: a Call-ID is the caller's own choice, and may tell who that is."""
    return hashlib.sha256(sip_call_id.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """The caller pressed a key (RFC 4733 or INFO)."""

    digit: str


@dataclass(frozen=True, slots=True)
class CallerHungUp:
    """BYE, or CANCEL before the answer, from the caller's side."""


@dataclass(frozen=True, slots=True)
class LineFailed:
    """The line ended by no one's wish: the answer was never acknowledged, or a session timer ran out."""

    sip_status: int


@dataclass(frozen=True, slots=True)
class MediaLost:
    """No RTP from the caller for the agreed time, while not on hold."""


@dataclass(frozen=True, slots=True)
class HeldByCaller:
    """A re-INVITE put us on hold."""


@dataclass(frozen=True, slots=True)
class ResumedByCaller:
    """A re-INVITE took us off hold."""


@dataclass(frozen=True, slots=True)
class MediaAgreed:
    """Offer and answer met, at the start or after a re-INVITE."""

    codec: str
    """As in SDP: "PCMU", "PCMA" or "G722"."""
    srtp: str
    """The suite, such as "AES_CM_128_HMAC_SHA1_80", or "none"."""


@dataclass(frozen=True, slots=True)
class SipMessageSeen:
    """One rung of the ladder: start line's method or status and the CSeq method; never a name, number or body."""

    direction: Literal["in", "out"]
    summary: str


@dataclass(frozen=True, slots=True)
class LineStatistics:
    """Quality of the line so far (RFC 3550; MOS by the E-model of ITU-T G.107)."""

    codec: str
    received_packets: int
    lost_packets: int
    jitter_ms: float
    round_trip_ms: float | None
    mos: float


LineEvent = (
    KeyPressed | CallerHungUp | LineFailed | MediaLost | HeldByCaller | ResumedByCaller | MediaAgreed | SipMessageSeen
)

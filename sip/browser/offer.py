"""The SDP of a browser that wants to call, as far as it is believed; and the answer to it (RFC 8829). No I/O.

The candidates in an offer are not read at all: the server sends nothing to an address that somebody merely names. It
answers to where the browser's own connectivity checks come from (peer-reflexive candidates, RFC 8445 section 7.3.1.3).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_LONGEST: Final = 32_768
_MEDIA = re.compile(r"audio \d{1,5} UDP/TLS/RTP/SAVPF((?: \d{1,3}){1,64})", re.ASCII)
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}", re.ASCII)
_FINGERPRINT = re.compile(r"(sha-(?:256|384|512)) ((?:[0-9A-F]{2}:){31,63}[0-9A-F]{2})", re.ASCII | re.IGNORECASE)
_MID = re.compile(r"[A-Za-z0-9\-_.]{1,32}", re.ASCII)
_KEYS = re.compile(r"(\d{1,3}) telephone-event/8000", re.ASCII | re.IGNORECASE)
PCMU: Final = 0


class BadOfferError(Exception):
    """Not an offer of one audio stream over DTLS-SRTP that speaks G.711; says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a browser offers."""

    mid: str
    ufrag: str
    password: str
    fingerprints: tuple[tuple[str, str], ...]
    """(hash, value) of the certificate it will show."""
    keys: int | None
    """Payload type of pressed keys (RFC 4733); None: it sends none."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address of ours that the browser may send to."""

    host: str
    port: int
    priority: int
    foundation: str


def read_offer(text: str) -> Offer:
    """Take an offer apart. Raises `BadOfferError`."""
    lines = text.replace("\r\n", "\n").split("\n")
    media = [line[2:] for line in lines if line.startswith("m=")]
    found = _MEDIA.fullmatch(media[0]) if len(media) == 1 else None
    if len(text) > _LONGEST or found is None:
        raise BadOfferError("one audio stream over DTLS-SRTP is wanted, and nothing else")
    kinds = {int(kind) for kind in found[1].split()}
    if PCMU not in kinds:
        raise BadOfferError("PCMU is not offered")
    if "a=rtcp-mux" not in lines:
        raise BadOfferError("RTP and RTCP on one port are wanted")
    if _one(lines, "setup", re.compile("actpass|passive")) is None:
        raise BadOfferError("the browser has to let the server begin the handshake")
    ufrag, password, mid = (
        _one(lines, name, kind) for name, kind in (("ice-ufrag", _UFRAG), ("ice-pwd", _PASSWORD), ("mid", _MID))
    )
    fingerprints = tuple((match[1].lower(), match[2].upper()) for match in _all(lines, "fingerprint", _FINGERPRINT))
    if ufrag is None or password is None or mid is None or not fingerprints:
        raise BadOfferError("ICE or DTLS parameters are missing")
    keys = next((int(match[1]) for match in _all(lines, "rtpmap", _KEYS) if int(match[1]) in kinds), None)
    return Offer(mid=mid[0], ufrag=ufrag[0], password=password[0], fingerprints=fingerprints, keys=keys)


def write_answer(
    offer: Offer,
    *,
    ufrag: str,
    password: str,
    fingerprint: tuple[str, str],
    candidates: Sequence[Candidate],
    source: int,
) -> str:
    """The answer: G.711 alone, all in one transport, the server beginning the handshake; `source` is our SSRC."""
    first = candidates[0]
    family = "IP6" if ":" in first.host else "IP4"
    kinds = [PCMU] if offer.keys is None else [PCMU, offer.keys]
    lines = [
        "v=0",
        f"o=- {source} 1 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {offer.mid}",
        f"m=audio {first.port} UDP/TLS/RTP/SAVPF {' '.join(map(str, kinds))}",
        f"c=IN {family} {first.host}",
        f"a=mid:{offer.mid}",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtpmap:0 PCMU/8000",
        *((f"a=rtpmap:{offer.keys} telephone-event/8000", f"a=fmtp:{offer.keys} 0-15") if offer.keys else ()),
        "a=ptime:20",
        f"a=ice-ufrag:{ufrag}",
        f"a=ice-pwd:{password}",
        f"a=fingerprint:{fingerprint[0]} {fingerprint[1]}",
        "a=setup:active",
        f"a=ssrc:{source} cname:aitelier",
        "a=msid:aitelier agent",
        *(f"a=candidate:{one.foundation} 1 udp {one.priority} {one.host} {one.port} typ host" for one in candidates),
        "a=end-of-candidates",
        "",
    ]
    return "\r\n".join(lines)


def _all(lines: Sequence[str], name: str, kind: re.Pattern[str]) -> list[re.Match[str]]:
    start = f"a={name}:"
    found = (kind.fullmatch(line.removeprefix(start).strip()) for line in lines if line.startswith(start))
    return [match for match in found if match is not None]


def _one(lines: Sequence[str], name: str, kind: re.Pattern[str]) -> re.Match[str] | None:
    return next(iter(_all(lines, name, kind)), None)

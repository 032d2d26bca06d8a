"""SDP from outside (RFC 8866), read and written anew from what was understood. Nothing of the original text goes on.

The product speaks one audio stream: PCMU, PCMA or G.722 with RFC 4733 keys, over RTP/AVP, or RTP/SAVP with keys in SDP
(RFC 4568). All other streams of an offer stay in their place with port 0, so the answer has the right number of them.

The stream goes over IPv4: the media stack's wheel is built without IPv6 (PJ_HAS_IPV6 is 0, and pjsua2 aborts when an
account asks for it). An offer of both gets the IPv4 of it, whether it has a stream of each (RFC 4091) or alternatives
within one (RFC 6947); ICE is not spoken, so of such an offer the default address counts (RFC 8839).
"""

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address

from sip.trunks import Srtp, sound_refusal

_MOST_STREAMS = 8
_MOST_LINES = 400
_MEDIA = re.compile(
    r"([a-z][a-z0-9\-]{0,15}) (\d{1,5})(?:/\d{1,3})? ([A-Za-z0-9/.\-]{1,32})((?: [!-~]{1,32}){1,64})\Z", re.ASCII
)
_CONNECTION = re.compile(r"IN IP([46]) ([0-9A-Fa-f.:]{2,45})(?:/[\d/]{1,11})?\Z", re.ASCII)
_ALTERNATIVE = re.compile(r"\d{1,4} IP4 ([0-9.]{7,15}) (\d{1,5})\Z", re.ASCII)
_RTPMAP = re.compile(r"(\d{1,3}) ([A-Za-z0-9.\-]{1,32})/(\d{1,6})(?:/1)?\Z", re.ASCII)
_FMTP = re.compile(r"(\d{1,3}) ([0-9,\-]{1,64})\Z", re.ASCII)
_CRYPTO = re.compile(
    r"(\d{1,9}) ([A-Za-z0-9_]{1,40}) inline:([A-Za-z0-9+/=]{1,128})(?:\|(2\^\d{1,2}|\d{1,20}))?\Z", re.ASCII
)
_ORIGIN = re.compile(r"\S{1,64} (\d{1,20}) (\d{1,20}) IN IP[46] \S{1,255}\Z", re.ASCII)
_SMALL = re.compile(r"\d{1,3}\Z", re.ASCII)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_STATIC = {0: ("PCMU", 8000), 8: ("PCMA", 8000), 9: ("G722", 8000)}
_CODECS = {("PCMU", 8000), ("PCMA", 8000), ("G722", 8000)}
_KEYS = ("TELEPHONE-EVENT", 8000)
_OTHER_ADDRESSES, _NO_SUCH_MEDIA = 301, 304  # RFC 3261 section 20.43
_PTIMES = frozenset({10, 20, 30, 40, 60})
_KEY_BYTES = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
}


class BadSdpError(Exception):
    """Not SDP: the request that carries it is malformed (400)."""


class NothingFitsError(Exception):
    """Good SDP that this trunk and this product cannot agree to (488); `warning` as in RFC 3261 section 20.43."""

    def __init__(self, why: str, warning: int = 399) -> None:
        super().__init__(why)
        self.warning = warning


@dataclass(slots=True)
class _Stream:
    kind: str
    port: int
    profile: str
    formats: list[str]
    connection: str | None = None
    attributes: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Session:
    origin: tuple[int, int] = (0, 0)
    connection: str | None = None
    attributes: list[tuple[str, str]] = field(default_factory=list)
    streams: list[_Stream] = field(default_factory=list)


def rebuild(body: bytes, srtp: Srtp) -> bytes:
    """What the worker may see of an offer or answer from outside, under the trunk's rule for SRTP.

    Raises `BadSdpError` (400) and `NothingFitsError` (488).
    """
    session = _parse(body)
    chosen, connection, audio = _choose(session, srtp)
    lines = ["v=0", "o=- {} {} IN IP4 127.0.0.1".format(*session.origin), "s=-", f"c={connection}", "t=0 0"]
    for number, stream in enumerate(session.streams):
        lines += audio if number == chosen else [f"m={stream.kind} 0 {stream.profile} {_harmless(stream)}"]
    return ("\r\n".join(lines) + "\r\n").encode()


def _harmless(stream: _Stream) -> str:
    """One format for a stream that is turned off: no dynamic type, which would need an rtpmap."""
    first = stream.formats[0]
    if stream.profile.startswith(("RTP/", "UDP/TLS/RTP")):
        return first if _SMALL.match(first) and int(first) < 96 else "0"
    return first if re.fullmatch(r"[A-Za-z0-9\-]{1,32}", first) else "0"


def _parse(body: bytes) -> _Session:
    try:
        lines = body.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise BadSdpError("SDP is not UTF-8") from error
    if len(lines) > _MOST_LINES or lines[0] != "v=0":
        raise BadSdpError("SDP does not begin with v=0, or has too many lines")
    session = _Session()
    for line in lines[1:]:
        if not line:
            continue
        if line[1:2] != "=":
            raise BadSdpError("an SDP line without a type")
        _take(session, line[0], line[2:])
    if not session.streams:
        raise NothingFitsError("SDP without a media stream")
    return session


def _take(session: _Session, kind: str, value: str) -> None:
    stream = session.streams[-1] if session.streams else None
    if kind == "m":
        session.streams.append(_stream(value))
        if len(session.streams) > _MOST_STREAMS:
            raise NothingFitsError(f"more than {_MOST_STREAMS} media streams")
    elif kind == "c":
        (stream or session).connection = _connection(value)
    elif kind == "a":
        name, _, rest = value.partition(":")
        (stream or session).attributes.append((name, rest))
    elif kind == "o" and stream is None:
        match = _ORIGIN.match(value)
        session.origin = (int(match[1]) % 2**31, int(match[2]) % 2**31) if match else (secrets.randbits(31), 1)


def _stream(value: str) -> _Stream:
    match = _MEDIA.match(value.strip())
    if match is None or int(match[2]) > 65535:
        raise BadSdpError("a media line is malformed")
    return _Stream(match[1], int(match[2]), match[3], match[4].split())


def _connection(value: str) -> str:
    match = _CONNECTION.match(value.strip())
    try:
        address = ip_address(match[2]) if match else None
    except ValueError:
        address = None
    if address is None or match is None or address.version != int(match[1]):
        raise NothingFitsError("the media address is no literal IP address")
    if address.is_multicast:
        raise NothingFitsError("the media address is a multicast group")
    return f"IN IP{address.version} {address}"


def _choose(session: _Session, srtp: Srtp) -> tuple[int, str, list[str]]:
    """The audio stream to take, SRTP before plain: its number, its address, its new lines."""
    fitting: list[tuple[int, str, list[str]]] = []
    refused: NothingFitsError | None = None
    for profile in ("RTP/SAVP", "RTP/AVP"):
        for number, stream in enumerate(session.streams):
            if stream.kind != "audio" or stream.profile != profile or stream.port == 0:
                continue
            try:
                connection, port = _address(session, stream)
                fitting.append((number, connection, _audio(session, stream, port, srtp)))
            except NothingFitsError as error:
                refused = error
    if fitting:
        return fitting[0]
    if refused is not None:
        raise refused
    if any(stream.kind == "audio" for stream in session.streams):
        raise NothingFitsError("no audio stream that is RTP/AVP or RTP/SAVP and turned on")
    raise NothingFitsError("no audio stream", _NO_SUCH_MEDIA)


def _address(session: _Session, stream: _Stream) -> tuple[str, int]:
    """Connection and port of a stream, over IPv4."""
    connection = stream.connection or session.connection
    if connection is None:
        raise NothingFitsError("no media address")
    if connection.startswith("IN IP4"):
        return connection, stream.port
    for name, value in stream.attributes:
        match = _ALTERNATIVE.match(value.strip()) if name == "altc" else None
        if match is not None and 0 < int(match[2]) <= 65535:
            return _connection(f"IN IP4 {match[1]}"), int(match[2])
    raise NothingFitsError("sound over IPv6 only, and we have IPv4", _OTHER_ADDRESSES)


def _audio(session: _Session, stream: _Stream, port: int, srtp: Srtp) -> list[str]:
    secure = stream.profile == "RTP/SAVP"
    broken = sound_refusal(srtp, encrypted=secure)
    if broken is not None:
        raise NothingFitsError(broken.reason)
    formats = _formats(stream)
    if not any(codec in _CODECS for _, codec, _ in formats):
        raise NothingFitsError("none of PCMU, PCMA and G722 offered")
    crypto = [] if srtp == "off" else _crypto(stream)
    if secure and not crypto:
        raise NothingFitsError("SRTP without a suite and key that we know")
    lines = [f"m=audio {port} {stream.profile} {' '.join(str(number) for number, _, _ in formats)}"]
    for number, (name, rate), parameters in formats:
        lines.append(f"a=rtpmap:{number} {'telephone-event' if (name, rate) == _KEYS else name}/{rate}")
        if parameters:
            lines.append(f"a=fmtp:{number} {parameters}")
    ptime = next((value for name, value in stream.attributes if name == "ptime"), "")
    if ptime.isascii() and ptime.isdigit() and len(ptime) < 4 and int(ptime) in _PTIMES:
        lines.append(f"a=ptime:{int(ptime)}")
    named = [name for name, _ in (*stream.attributes, *session.attributes) if name in _DIRECTIONS]
    lines.append(f"a={named[0] if named else 'sendrecv'}")
    return lines + crypto


def _formats(stream: _Stream) -> list[tuple[int, tuple[str, int], str]]:
    """(payload type, (codec, clock rate), parameters) in the order of preference, what we do not speak left out."""
    mapped: dict[int, tuple[str, int]] = dict(_STATIC)
    events: dict[int, str] = {}
    for name, value in stream.attributes:
        if name == "rtpmap" and (match := _RTPMAP.match(value.strip())):
            mapped[int(match[1])] = (match[2].upper(), int(match[3]))
        elif name == "fmtp" and (match := _FMTP.match(value.strip())):
            events[int(match[1])] = match[2]
    found: dict[int, tuple[int, tuple[str, int], str]] = {}
    for text in stream.formats:
        number = int(text) if _SMALL.match(text) else 128
        codec = mapped.get(number) if number < 128 else None
        if codec in _CODECS:
            found.setdefault(number, (number, codec, ""))
        elif codec == _KEYS:
            found.setdefault(number, (number, codec, events.get(number, "0-15")))
    return list(found.values())


def _crypto(stream: _Stream) -> list[str]:
    """Crypto lines that are whole, of a suite we know, and weakened by no session parameter."""
    lines: list[str] = []
    for name, value in stream.attributes:
        match = _CRYPTO.match(value.strip()) if name == "crypto" else None
        if match is None:
            continue
        try:
            key = base64.b64decode(match[3], validate=True)
        except binascii.Error:
            continue
        if len(key) == _KEY_BYTES.get(match[2]):
            lines.append(f"a=crypto:{match[1]} {match[2]} inline:{base64.b64encode(key).decode()}")
    return lines[:8]

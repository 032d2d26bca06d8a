"""Message bodies from outside: each kind the product uses is read and written anew, others are refused or dropped."""

import re
from email.parser import BytesParser
from email.policy import HTTP

from sip.message import RawMessage, RefusedError, has_control
from sip.sdp import BadSdpError, NothingFitsError, rebuild
from sip.trunks import Srtp

SDP = "application/sdp"
RELAY = "application/dtmf-relay"
ACCEPT = f"Accept: {SDP}, {RELAY}, application/dtmf"

_WITH_SDP = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
_RELAY = re.compile(rb"\s*Signal\s*=\s*([0-9A-D*#])\s*(?:\r?\n\s*Duration\s*=\s*(\d{1,5})\s*)?\Z", re.IGNORECASE)
_KEY = re.compile(rb"\s*([0-9A-D*#])\s*\Z", re.IGNORECASE)
_KEY_MS = 160
_FRAGMENT = re.compile(rb"SIP/2\.0 ([1-6]\d\d)\b")


def body_for_worker(raw: RawMessage, method: str, srtp: Srtp) -> tuple[str, bytes]:
    """Content type and body that the worker may see; ("", b"") for none. `method` is a response's CSeq method.

    Raises `RefusedError` with 400, 415 or 488.
    """
    kind = (raw.headers.get_first("content-type") or "").partition(";")[0].strip().lower()
    if method in _WITH_SDP and not raw.body.strip():
        if method == "INVITE" and raw.is_request and srtp == "mandatory":
            raise RefusedError(488, "no offer, and this trunk allows SRTP only")
        return "", b""
    if not raw.body:
        return "", b""
    coding = (raw.headers.get_first("content-encoding") or "identity").strip().lower()
    if coding != "identity":
        raise RefusedError(415, "an encoded body", "Accept-Encoding: identity", ACCEPT)
    if method in _WITH_SDP:
        return SDP, _sdp(raw, kind, srtp)
    if method == "INFO" and raw.is_request:
        return RELAY, _key(kind, raw.body)
    if method == "NOTIFY" and kind == "message/sipfrag":
        fragment = _FRAGMENT.match(raw.body)
        if fragment is None:
            raise RefusedError(400, "message/sipfrag without a status line")
        return kind, b"SIP/2.0 %s Reported\r\n" % fragment[1]
    return "", b""


def _sdp(raw: RawMessage, kind: str, srtp: Srtp) -> bytes:
    body = raw.body
    if kind == "multipart/mixed":
        body = _sdp_part(raw)
    elif kind != SDP:
        raise RefusedError(415, "a body that is not SDP", ACCEPT, detail=kind[:64])
    try:
        return rebuild(body, srtp)
    except BadSdpError as error:
        raise RefusedError(400, str(error)) from error
    except NothingFitsError as error:
        raise RefusedError(488, str(error), f'Warning: {error.warning} aitelier "{error}"') from error


def _sdp_part(raw: RawMessage) -> bytes:
    """The SDP in a multipart body, as SIP-I trunks send it beside ISUP (RFC 3204)."""
    kind = raw.headers.get_first("content-type") or ""
    if has_control(kind):
        raise RefusedError(400, "Content-Type is malformed")
    head = f"Content-Type: {kind}\r\n\r\n".encode()
    parsed = BytesParser(policy=HTTP).parsebytes(head + raw.body)
    if not parsed.is_multipart():
        raise RefusedError(400, "a multipart body without parts")
    for part in parsed.iter_parts():
        if part.get_content_type() == SDP:
            content = part.get_payload(decode=True)
            return content if isinstance(content, bytes) else b""
    raise RefusedError(415, "a multipart body without SDP", ACCEPT)


def _key(kind: str, body: bytes) -> bytes:
    """The key as the one kind of body that PJSIP knows."""
    if kind == RELAY and (relay := _RELAY.match(body)):
        return _relayed(relay[1], int(relay[2] or _KEY_MS))
    if kind == "application/dtmf" and (key := _KEY.match(body)):
        return _relayed(key[1], _KEY_MS)
    raise RefusedError(415, "INFO that is not a key", ACCEPT, detail=kind[:64])


def _relayed(key: bytes, duration_ms: int) -> bytes:
    return b"Signal=%s\r\nDuration=%d\r\n" % (key.upper(), min(duration_ms, 8000))

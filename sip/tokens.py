"""Sealed tokens: what the edge has to know about a dialog travels inside its messages, so the edge keeps no dialog.

A token is base64url(content + MAC). The MAC is keyed BLAKE2s over content and the Call-ID, so that a token serves its
own call only and cannot be made up. It is not secret: a peer can read its own address in it.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import struct
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Literal, NamedTuple

Transport = Literal["udp", "tcp", "tls"]

TRANSPORTS: tuple[Transport, ...] = ("udp", "tcp", "tls")
_MAC_BYTES = 10
_SECRET_BYTES = 32
_FLOW = struct.Struct("!BBHQ")
_SEAT = struct.Struct("!H")


class Flow(NamedTuple):
    """The way messages of one peer come and go."""

    transport: Transport
    door: int
    """Number of the door (socket) it uses."""
    ip: str
    port: int
    connection: int
    """Number of the connection; 0 for UDP."""

    def __str__(self) -> str:
        host = f"[{self.ip}]" if ":" in self.ip else self.ip
        return f"{self.transport} {host}:{self.port}"


class BadTokenError(Exception):
    """Not a token of ours, or one of another call."""


def load_secret(path: Path) -> bytes:
    """The key of all tokens: read, or made at the first start. Calls outlive a restart of the edge through this file.

    Raises `OSError` when the file can neither be read nor made.
    """
    try:
        kept = path.read_bytes()
    except FileNotFoundError:
        kept = b""
    if len(kept) == _SECRET_BYTES:
        return kept
    made = secrets.token_bytes(_SECRET_BYTES)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(made)
    fresh.rename(path)
    return made


class Sealer:
    """Makes and opens tokens with one key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def digest(self, *parts: str) -> str:
        """A short unguessable name for these texts: tags and branches that come out the same for a retransmission."""
        return _text(hashlib.blake2s("\0".join(parts).encode(), key=self._secret, digest_size=12).digest())

    def seal_flow(self, flow: Flow, call_id: str) -> str:
        """The flow as a token of this call."""
        packed = _FLOW.pack(TRANSPORTS.index(flow.transport), flow.door, flow.port, flow.connection)
        return self._seal(b"f" + packed + ip_address(flow.ip).packed, call_id)

    def open_flow(self, token: str, call_id: str) -> Flow:
        """The flow in a token; raises `BadTokenError`."""
        content = self._open(token, call_id, b"f")
        try:
            transport, door, port, connection = _FLOW.unpack_from(content)
            packed = content[_FLOW.size :]
            ip = IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)
            return Flow(TRANSPORTS[transport], door, str(ip), port, connection)
        except (struct.error, ValueError, IndexError) as error:
            raise BadTokenError("a flow token of another version") from error

    def seal_seat(self, sip_port: int, call_id: str) -> str:
        """The worker that holds a call, by its SIP port, as a token of this call."""
        return self._seal(b"s" + _SEAT.pack(sip_port), call_id)

    def open_seat(self, token: str, call_id: str) -> int:
        """The worker's SIP port in a token; raises `BadTokenError`."""
        content = self._open(token, call_id, b"s")
        try:
            return int(_SEAT.unpack(content)[0])
        except struct.error as error:
            raise BadTokenError("a seat token of another version") from error

    def _mac(self, content: bytes, call_id: str) -> bytes:
        keyed = hashlib.blake2s(content, key=self._secret, digest_size=_MAC_BYTES, person=b"sip-edge")
        keyed.update(call_id.encode())
        return keyed.digest()

    def _seal(self, content: bytes, call_id: str) -> str:
        return _text(content + self._mac(content, call_id))

    def _open(self, token: str, call_id: str, kind: bytes) -> bytes:
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadTokenError("not a token") from error
        content, mac = sealed[:-_MAC_BYTES], sealed[-_MAC_BYTES:]
        if content[:1] != kind or not hmac.compare_digest(mac, self._mac(content, call_id)):
            raise BadTokenError("a token of another call")
        return content[1:]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

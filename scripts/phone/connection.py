"""A telephone's way to its server: datagrams, or a stream in clear or under TLS 1.3."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from scripts.phone.message import Message, parse

_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Target:
    """Where a SIP URI leads."""

    uri: str
    user: str
    host: str
    port: int
    transport: str
    """udp, tcp or tls."""


def read_target(uri: str) -> Target:
    """Take a SIP URI apart.

    Raises:
        ValueError: It is not a SIP URI with a host.
    """
    found = re.fullmatch(r"(sips?):(?:([^@]*)@)?(\[[^\]]+\]|[^:;?]+)(?::(\d+))?((?:;[^?]*)?)", uri)
    if not found:
        raise ValueError(f"{uri!r} is not a SIP address; write one like sip:100@127.0.0.1:5060")
    scheme, user, host, port, parameters = found.groups()
    named = re.search(r";transport=(\w+)", parameters, re.IGNORECASE)
    transport = named.group(1).lower() if named else ("tls" if scheme == "sips" else "udp")
    if transport not in {"udp", "tcp", "tls"}:
        raise ValueError(f"transport {transport!r} is not one of udp, tcp, tls")
    return Target(uri, user or "", host.strip("[]"), int(port or (5061 if transport == "tls" else 5060)), transport)


class Connection:
    """Sends messages to the server and hands over what comes back."""

    def __init__(
        self, target: Target, on_message: Callable[[Message], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self._target = target
        self._on_message = on_message
        self._tls = tls
        self._datagrams: asyncio.DatagramTransport | None = None
        self._stream: asyncio.Transport | None = None
        self.local = ("", 0)
        self.reliable = target.transport != "udp"

    async def open(self, local_host: str | None = None) -> None:
        """Connect, from `local_host` where one is named.

        Raises:
            OSError: Nobody listens there, or TLS was refused.
        """
        loop = asyncio.get_running_loop()
        if self._target.transport == "udp":
            here = (local_host, 0) if local_host else None
            there = (self._target.host, self._target.port)
            self._datagrams, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self._receive), local_addr=here, remote_addr=there
            )
            self.local = self._datagrams.get_extra_info("sockname")[:2]
            return
        tls = (self._tls or _any_server()) if self._target.transport == "tls" else None
        transport, _ = await loop.create_connection(
            lambda: _Stream(self._receive),
            self._target.host,
            self._target.port,
            ssl=tls,
            local_addr=(local_host, 0) if local_host else None,
        )
        self._stream = transport
        self.local = self._stream.get_extra_info("sockname")[:2]

    def send(self, message: Message) -> None:
        """Put a message on the wire."""
        if self._datagrams is not None:
            self._datagrams.sendto(message.encode())
        elif self._stream is not None:
            self._stream.write(message.encode())

    def close(self) -> None:
        """Let go of the socket."""
        for transport in (self._datagrams, self._stream):
            if transport is not None:
                transport.close()

    def _receive(self, content: bytes) -> None:
        if content.strip(b"\r\n\0"):
            self._on_message(parse(content))


def _any_server() -> ssl.SSLContext:
    """TLS 1.3 without a check of the name: a telephone for trying things out talks to self-signed servers too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002  asyncio's signature
        self._receive(data)


class _Stream(asyncio.Protocol):
    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held = (self._held + data).lstrip(b"\r\n")
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._held, 0, end)
            whole = end + 4 + (int(found.group(1)) if found else 0)
            if len(self._held) < whole:
                return
            message, self._held = self._held[:whole], self._held[whole:].lstrip(b"\r\n")
            with contextlib.suppress(ValueError):
                self._receive(message)

"""Peers that put any bytes on the wire, for tests of the edge: a sender over UDP, TCP or TLS, and a tiny worker."""

import asyncio
import itertools
import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sip.control import ANNOUNCE_EVERY_S, CallEnded, ControlSender, WorkerReady

_numbers = itertools.count(1)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
)


class Answer:
    """One received message."""

    def __init__(self, data: bytes) -> None:
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.data = data
        self.start, *lines = head.decode().split("\r\n")
        self.headers = [(line.partition(":")[0].lower(), line.partition(":")[2].strip()) for line in lines]

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        return "" if self.status else self.start.split()[0]

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name.lower()), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]

    def tag(self, name: str) -> str:
        found = re.search(r";\s*tag=([^;>]+)", self.get(name))
        return found[1] if found else ""

    @property
    def target(self) -> str:
        """URI of the Contact."""
        return self.get("contact").partition("<")[2].partition(">")[0]


def whole_messages(held: bytearray) -> Iterable[bytes]:
    """Cut complete messages off the front of what a stream brought."""
    while (end := held.find(b"\r\n\r\n")) >= 0:
        if held.startswith(b"\r\n"):
            del held[:2]
            continue
        found = re.search(rb"content-length\s*:\s*(\d+)", bytes(held[:end]), re.IGNORECASE)
        length = end + 4 + (int(found[1]) if found else 0)
        if len(held) < length:
            return
        yield bytes(held[:length])
        del held[:length]


class Peer(asyncio.Protocol, asyncio.DatagramProtocol):
    """Sends what it is told; keeps what it gets."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.received: asyncio.Queue[Answer] = asyncio.Queue()
        self.bytes_in = bytearray()
        self.lost = asyncio.Event()
        self.transport: Any = None
        self._held = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, _from: tuple[str, int]) -> None:
        self.bytes_in += data
        self.received.put_nowait(Answer(data))

    def data_received(self, data: bytes) -> None:
        self.bytes_in += data
        self._held += data
        for message in whole_messages(self._held):
            self.received.put_nowait(Answer(message))

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()

    def error_received(self, _error: Exception) -> None:
        pass

    @property
    def address(self) -> tuple[str, int]:
        assert self.transport is not None
        name = self.transport.get_extra_info("sockname")
        return name[0], name[1]

    def send(self, data: bytes | str) -> None:
        content = data.encode() if isinstance(data, str) else data
        assert self.transport is not None
        if self.kind == "udp":
            self.transport.sendto(content)
        else:
            self.transport.write(content)

    async def get(self, *wanted: int | str, within_s: float = 2.0) -> Answer:
        """The next message with one of these statuses or methods (100 is skipped unless wanted), or any."""
        async with asyncio.timeout(within_s):
            while True:
                answer = await self.received.get()
                if (answer.status or answer.method) in wanted or (not wanted and answer.status != 100):
                    return answer

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    # --- writing messages --------------------------------------------------------------------------------------------

    def via(self, *, branch: str | None = None) -> str:
        ip, port = self.address
        host = f"[{ip}]" if ":" in ip else ip
        return f"SIP/2.0/{self.kind.upper()} {host}:{port};branch=z9hG4bK{branch or next(_numbers)};rport"

    def request(
        self,
        method: str,
        uri: str = "sip:desk@example.com",
        *,
        call_id: str | None = None,
        cseq: int = 1,
        to_tag: str = "",
        from_tag: str = "mine",
        via: str | None = None,
        headers: Iterable[str] = (),
        body: str | None = None,
        kind: str = "application/sdp",
    ) -> str:
        """A correct request."""
        content = SDP if body is None and method == "INVITE" else body or ""
        ip, port = self.address
        host = f"[{ip}]" if ":" in ip else ip
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: {via or self.via()}",
            "Max-Forwards: 70",
            f"From: <sip:caller@example.com>;tag={from_tag}",
            "To: <sip:desk@example.com>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {call_id or f'call-{next(_numbers)}@test'}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:caller@{host}:{port};transport={self.kind}>",
            *headers,
            *([f"Content-Type: {kind}"] if content else []),
            f"Content-Length: {len(content.encode())}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + content

    async def call(self, uri: str = "sip:desk@example.com", call_id: str | None = None) -> Answer:
        """Set a call up; returns its 200, acknowledged."""
        call_id = call_id or f"call-{next(_numbers)}@test"
        self.send(self.request("INVITE", uri, call_id=call_id))
        ok = await self.get(200, 403, 404, 486, 488, 503)
        if ok.status == 200:
            self.send(self.request("ACK", ok.target, call_id=call_id, to_tag=ok.tag("to")))
        return ok


async def udp_peer(port: int, host: str = "127.0.0.1", source: str | None = None) -> Peer:
    loop = asyncio.get_running_loop()
    _, peer = await loop.create_datagram_endpoint(
        lambda: Peer("udp"), local_addr=(source or host, 0), remote_addr=(host, port)
    )
    return peer


async def stream_peer(
    port: int, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, source: str | None = None
) -> Peer:
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    _, peer = await loop.create_connection(
        lambda: Peer("tls" if tls else "tcp"),
        host,
        port,
        ssl=tls,
        local_addr=local,
        server_hostname="localhost" if tls else None,
    )
    return peer


class StandInWorker(asyncio.DatagramProtocol):
    """Answers as a worker's SIP stack would, without media.

    The dialled user says how: "ring" (180 and no more), "busy" (486), "dead" (nothing at all), anything else (200).
    """

    def __init__(self, index: int, control: Path, slots: int = 4) -> None:
        self.index = index
        self.slots = slots
        self.seen: list[Answer] = []
        self.invites: dict[str, Answer] = {}
        self.answers: dict[str, bytes] = {}
        self.arrived: asyncio.Queue[Answer] = asyncio.Queue()
        self._control = ControlSender(control)
        self._transport: asyncio.DatagramTransport | None = None
        self._edge = ("127.0.0.1", 0)
        self._announcing: asyncio.TimerHandle | None = None

    async def start(self, edge: tuple[str, int]) -> None:
        self._edge = edge
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._keep_announcing()

    def _keep_announcing(self) -> None:
        self.announce()
        self._announcing = asyncio.get_running_loop().call_later(ANNOUNCE_EVERY_S, self._keep_announcing)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a datagram socket's

    def connection_lost(self, _error: Exception | None) -> None:
        pass

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def announce(self) -> None:
        live = tuple(self.invites)
        self._control.send(WorkerReady(index=self.index, sip_port=self.port, slots=self.slots, live_calls=live))

    def ended(self, call_id: str) -> None:
        self.invites.pop(call_id, None)
        self._control.send(CallEnded(index=self.index, sip_call_id=call_id))

    def close(self) -> None:
        if self._announcing is not None:
            self._announcing.cancel()
        if self._transport is not None:
            self._transport.close()
        self._control.close()

    def send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, self._edge)

    def datagram_received(self, data: bytes, _from: tuple[str, int]) -> None:
        request = Answer(data)
        self.seen.append(request)
        self.arrived.put_nowait(request)
        call_id, user = request.get("call-id"), request.start.partition(":")[2].partition("@")[0]
        if request.status or request.method == "ACK":
            return
        if request.method == "INVITE" and not request.tag("to"):
            if call_id in self.invites:
                self.send(self.answers.get(call_id, b""))
                return
            if user == "dead":
                return
            self.invites[call_id] = request
            if user == "busy":
                self.reply(request, 486)
                self.ended(call_id)
            else:
                self.reply(request, 180 if user == "ring" else 200)
        elif request.method == "CANCEL":
            self.reply(request, 200)
            if (invite := self.invites.get(call_id)) is not None:
                self.reply(invite, 487)
                self.ended(call_id)
        elif request.method == "BYE":
            self.reply(request, 200 if call_id in self.invites else 481)
            self.ended(call_id)
        else:
            self.reply(request, 200 if call_id in self.invites else 481)

    def reply(self, request: Answer, status: int) -> None:
        lines = [f"SIP/2.0 {status} Stand-in"]
        lines += [f"Via: {value}" for value in request.all("via")]
        lines += [f"Record-Route: {value}" for value in request.all("record-route")]
        tag = "" if request.tag("to") else f";tag=worker{self.index}"
        lines += [f"From: {request.get('from')}", f"To: {request.get('to')}{tag}"]
        lines += [f"Call-ID: {request.get('call-id')}", f"CSeq: {request.get('cseq')}"]
        if request.method == "INVITE" and status < 300:
            lines.append(f"Contact: <sip:127.0.0.1:{self.port};ob>")
        body = SDP if request.method == "INVITE" and status == 200 else ""
        lines += ["X-Aitelier-Inside: secret", 'Warning: 399 inside.example "secret"']
        lines += ["Content-Type: application/sdp"] if body else []
        data = ("\r\n".join(lines) + f"\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()
        if request.method == "INVITE":
            self.answers[request.get("call-id")] = data
        self.send(data)

    def request(self, method: str, call_id: str, cseq: int = 1, headers: Iterable[str] = ()) -> None:
        """A request of ours inside a dialog, with the route set that a SIP stack would use."""
        invite = self.invites[call_id]
        lines = [f"{method} {invite.target} SIP/2.0"]
        lines += [f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch=z9hG4bKw{next(_numbers)};rport"]
        lines += [f"Route: {value}" for value in invite.all("record-route")]
        lines += ["Max-Forwards: 70", f"From: {invite.get('to')};tag=worker{self.index}", f"To: {invite.get('from')}"]
        lines += [f"Call-ID: {call_id}", f"CSeq: {cseq} {method}", f"Contact: <sip:127.0.0.1:{self.port};ob>", *headers]
        self.send(("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode())

    async def got(self, *wanted: int | str, within_s: float = 2.0) -> Answer:
        async with asyncio.timeout(within_s):
            while True:
                message = await self.arrived.get()
                if (message.status or message.method) in wanted:
                    return message

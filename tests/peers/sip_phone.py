"""A small SIP and RTP caller over UDP that does exactly what a test tells it, right or wrong.

It answers BYE, INFO and NOTIFY with 200 and acknowledges final responses by itself; everything else is the test's.
"""

import asyncio
import itertools
import random
import re
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

PAYLOAD_TYPES = {"PCMU": (0, 8000), "PCMA": (8, 8000), "G722": (9, 8000)}
_numbers = itertools.count(1)


@dataclass
class Message:
    start: str
    headers: list[tuple[str, str]]
    body: str

    def get(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @property
    def status(self) -> int:
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    @property
    def method(self) -> str:
        return "" if self.status else self.start.split()[0]

    @property
    def cseq_method(self) -> str:
        return self.get("CSeq").split()[-1]


def parse(data: bytes) -> Message:
    head, _, body = data.decode().partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    return Message(start, [(line.partition(":")[0], line.partition(":")[2].strip()) for line in lines], body)


@dataclass
class RtpPacket:
    at: float
    payload_type: int
    sequence: int
    timestamp: int
    payload: bytes
    marker: bool


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        del addr
        self._received(data)


async def _udp(received: Callable[[bytes], None], port: int = 0) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Socket(received), local_addr=("127.0.0.1", port))
    return transport


async def _rtp_pair(rtp: Callable[[bytes], None], rtcp: Callable[[bytes], None]) -> list[asyncio.DatagramTransport]:
    while True:
        first = await _udp(rtp)
        port = first.get_extra_info("sockname")[1]
        if port % 2 == 0:
            try:
                return [first, await _udp(rtcp, port + 1)]
            except OSError:
                pass
        first.close()


@dataclass
class SipPhone:
    """One call's caller. Make it with `await SipPhone.open(port of the worker)`, leave it with `close()`."""

    target: int
    called: str = "echo"
    headers: list[str] = field(default_factory=list)
    caller: str = "<sip:+4930123456@caller.test>"
    acknowledge: bool = True
    answers: dict[str, int] = field(default_factory=dict)
    """Status given to requests in the dialog, by method; 200 unless named here, 0 for no answer."""

    async def __aenter__(self) -> Self:
        self.messages: list[Message] = []
        self.news = asyncio.Event()
        self.packets: list[RtpPacket] = []
        self.rtcp: list[bytes] = []
        self.call_id = f"{random.getrandbits(48):x}@test"
        self.tag = f"{random.getrandbits(32):x}"
        self.remote_tag = ""
        self.cseq = 0
        self.invite_branch = ""
        self.remote_contact = ""
        self.sip = await _udp(self._sip_received)
        self.port = self.sip.get_extra_info("sockname")[1]
        self.media, self.control = await _rtp_pair(self._rtp_received, self.rtcp.append)
        self.rtp_port = self.media.get_extra_info("sockname")[1]
        self.remote_rtp: tuple[str, int] | None = None
        self.payload_type = 0
        self.sequence = random.randrange(1000)
        self.timestamp = random.randrange(1 << 20)
        self.source = random.getrandbits(32)
        self.sender: asyncio.Task[None] | None = None
        self.pressing = False
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop_sending()
        for socket in (self.sip, self.media, self.control):
            socket.close()
        await asyncio.sleep(0)

    # --- SIP ----------------------------------------------------------------------------------------------------------

    def sdp(self, codec: str = "PCMU", direction: str = "sendrecv", *, dtmf: bool = True) -> str:
        number, rate = PAYLOAD_TYPES[codec]
        lines = [
            "v=0",
            f"o=- 1 {next(_numbers)} IN IP4 127.0.0.1",
            "s=-",
            "c=IN IP4 127.0.0.1",
            "t=0 0",
            f"m=audio {self.rtp_port} RTP/AVP {number}{' 101' if dtmf else ''}",
            f"a=rtpmap:{number} {codec}/{rate}",
            *(["a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"] if dtmf else []),
            f"a={direction}",
        ]
        self.payload_type = number
        return "\r\n".join([*lines, ""])

    def send(
        self,
        method: str,
        body: str = "",
        *headers: str,
        content_type: str = "application/sdp",
        cseq: int | None = None,
        branch: str = "",
    ) -> str:
        """Send a request; returns its branch."""
        if cseq is None and method not in {"ACK", "CANCEL"}:
            self.cseq += 1
        branch = branch or f"z9hG4bK{random.getrandbits(48):x}"
        uri = self.remote_contact or f"sip:{self.called}@127.0.0.1:{self.target}"
        to_tag = f";tag={self.remote_tag}" if self.remote_tag else ""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{self.port};branch={branch};rport",
            "Max-Forwards: 70",
            f"From: {self.caller};tag={self.tag}",
            f"To: <sip:{self.called}@127.0.0.1>{to_tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq or self.cseq} {method}",
            f"Contact: <sip:caller@127.0.0.1:{self.port}>",
            *headers,
            *([f"Content-Type: {content_type}"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.sip.sendto(("\r\n".join(lines) + "\r\n\r\n" + body).encode(), ("127.0.0.1", self.target))
        return branch

    def invite(self, sdp: str | None = None, *headers: str) -> None:
        self.invite_branch = self.send("INVITE", self.sdp() if sdp is None else sdp, *self.headers, *headers)

    def cancel(self) -> None:
        self.send("CANCEL", cseq=self.cseq, branch=self.invite_branch)

    def bye(self) -> None:
        self.send("BYE")

    async def heard(self, wanted: Callable[[Message], bool], seconds: float = 3.0) -> Message:
        """The first message, old or new, that is wanted."""
        async with asyncio.timeout(seconds):
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                self.news.clear()
                await self.news.wait()

    async def response(self, status: int, method: str = "INVITE", seconds: float = 3.0) -> Message:
        return await self.heard(lambda message: message.status == status and message.cseq_method == method, seconds)

    async def request(self, method: str, seconds: float = 3.0) -> Message:
        return await self.heard(lambda message: message.method == method, seconds)

    async def talk(self, sdp: str | None = None, *headers: str) -> Message:
        """INVITE and wait for the 200; RTP may then flow."""
        self.invite(sdp, *headers)
        return await self.response(200)

    def respond(self, request: Message, status: int, *headers: str) -> None:
        vias = [f"Via: {value}" for key, value in request.headers if key.lower() == "via"]
        same = [f"{name}: {request.get(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
        contact = f"Contact: <sip:caller@127.0.0.1:{self.port}>"
        lines = [f"SIP/2.0 {status} Test", *vias, *same, contact, *headers, "Content-Length: 0", "", ""]
        self.sip.sendto("\r\n".join(lines).encode(), ("127.0.0.1", self.target))

    def _sip_received(self, data: bytes) -> None:
        message = parse(data)
        if message.status:
            if match := re.search(r";tag=([^;]+)", message.get("To")):
                self.remote_tag = match[1]
            if contact := re.search(r"<([^>]+)>", message.get("Contact")):
                self.remote_contact = contact[1]
            if message.cseq_method == "INVITE" and message.status >= 200:
                if message.status < 300:
                    self._learn_media(message.body)
                if self.acknowledge:
                    number = int(message.get("CSeq").split()[0])
                    self.send("ACK", cseq=number, branch=self.invite_branch if message.status >= 300 else "")
        elif message.method != "ACK":
            status = self.answers.get(message.method, 200)
            if status:
                self.respond(message, status)
        self.messages.append(message)
        self.news.set()

    def _learn_media(self, body: str) -> None:
        if port := re.search(r"m=audio (\d+)", body):
            self.remote_rtp = ("127.0.0.1", int(port[1]))

    # --- RTP ----------------------------------------------------------------------------------------------------------

    def _rtp_received(self, data: bytes) -> None:
        _, second, sequence, timestamp, _ = struct.unpack_from("!BBHII", data)
        self.packets.append(
            RtpPacket(time.monotonic(), second & 0x7F, sequence, timestamp, data[12:], bool(second & 0x80))
        )

    def rtp(
        self, payload: bytes, *, payload_type: int | None = None, timestamp: int | None = None, lost: bool = False
    ) -> None:
        """Send one packet, or only count it."""
        self.sequence = (self.sequence + 1) & 0xFFFF
        kind = self.payload_type if payload_type is None else payload_type
        head = struct.pack("!BBHII", 0x80, kind, self.sequence, timestamp or self.timestamp, self.source)
        if self.remote_rtp is not None and not lost:
            self.media.sendto(head + payload, self.remote_rtp)

    def start_sending(self, payloads: Iterator[bytes], lose: Callable[[int], bool] = lambda _: False) -> None:
        """Send one payload every 20 ms until told to stop."""

        async def run() -> None:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for number, payload in enumerate(payloads):
                self.timestamp += 160
                if not self.pressing:
                    self.rtp(payload, lost=lose(number))
                await asyncio.sleep(max(0.0, begun + (number + 1) * 0.02 - loop.time()))

        self.sender = asyncio.get_running_loop().create_task(run())

    async def all_sent(self) -> None:
        """Wait until the payloads given to `start_sending` have gone, and a moment for them to arrive."""
        if self.sender is not None:
            await self.sender
        await asyncio.sleep(0.1)

    def stop_sending(self) -> None:
        if self.sender is not None:
            self.sender.cancel()
            self.sender = None

    async def press(self, digit: str, packets: int = 5) -> None:
        """One key by RFC 4733: `packets` updates and three times the end."""
        event = "0123456789*#ABCD".index(digit)
        self.pressing = True
        begun = self.timestamp
        for number in range(packets + 3):
            ended = number >= packets
            duration = min(number + 1, packets) * 160
            self.rtp(struct.pack("!BBH", event, 0x80 * ended | 10, duration), payload_type=101, timestamp=begun)
            await asyncio.sleep(0.02)
        self.pressing = False

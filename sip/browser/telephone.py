"""The telephone's side of a browser's call: one dialog with this machine's edge, by UDP, from an address of its own.

RFC 3261 as far as a calling telephone needs it. What the edge sends is believed to be well-formed, since it writes
every message anew; whatever is not is dropped.
"""

import asyncio
import contextlib
import re
import secrets
import socket
from dataclasses import dataclass
from typing import Final

from sip.browser.web import TELEPHONE_EVENT
from sip.message import RawMessage, UnreadableError, read
from sip.trunks import BROWSER_ADDRESS
from sip.writing import written

_T1_S: Final = 0.5
_LONGEST_WAIT_S: Final = 4.0
_ANSWER_S: Final = 60.0
"""How long it may ring."""
_BYE_S: Final = 2.0
_LONGEST_PACKET: Final = 2_048
_MEDIA = re.compile(rb"^m=audio (\d{1,5}) RTP/AVP((?: \d{1,3})+)", re.MULTILINE)
_TAG = re.compile(r";\s*tag=([^;>\s]+)")
_URI = re.compile(r"<([^>]+)>")
_ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY"
_ANSWERS = {"BYE": 200, "INVITE": 200, "UPDATE": 200, "INFO": 200, "NOTIFY": 200, "OPTIONS": 200, "REFER": 603}
_PHRASES = {200: "OK", 501: "Not Implemented", 603: "Decline"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How ringing ended."""

    status: int
    reason: str

    @property
    def is_up(self) -> bool:
        """Whether somebody answered."""
        return 200 <= self.status < 300


class Telephone(asyncio.DatagramProtocol):
    """Places one call. `open`, `ring`, then pass on sound; `hang_up` at the end, whatever came of it."""

    def __init__(self, edge: tuple[str, int], media_host: str, *, called: str, sip_call_id: str) -> None:
        self._edge = edge
        self._media_host = media_host
        self._target = f"sip:{called}@{edge[0]}:{edge[1]}"
        self._call_id = sip_call_id
        self._from_tag = secrets.token_hex(6)
        self._to = f"<{self._target}>"
        self._remote = self._target
        self._routes: list[str] = []
        self._cseq = 0
        self._invite_branch = ""
        self._waiting: dict[tuple[str, int], asyncio.Future[RawMessage]] = {}
        self._heard_of: set[tuple[str, int]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self._sound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._media: tuple[str, int] | None = None
        self._final: asyncio.Future[RawMessage] | None = None
        """The last response to the INVITE."""
        self._is_up = False
        self.ringing = asyncio.Event()
        """Set once the other side says that it rings."""
        self.ended = asyncio.Event()
        """Set once the other side has hung up."""

    async def open(self) -> None:
        """Take sockets for messages and for sound. Raises `OSError`."""
        loop = asyncio.get_running_loop()
        self._sound.setblocking(False)
        self._sound.bind((BROWSER_ADDRESS, 0))
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(BROWSER_ADDRESS, 0), remote_addr=self._edge
        )

    async def ring(self) -> Outcome:
        """Ring until somebody answers or it is refused; 408 stands for no answer at all."""
        self._final = asyncio.get_running_loop().create_future()
        final = await self._ask("INVITE", self._offer(), _ANSWER_S)
        if final is None:
            return Outcome(408, "no answer")
        if final.status >= 300:
            return Outcome(final.status, final.phrase)
        self._take_up(final)
        if self._media is None:
            return Outcome(488, "no sound in common")
        return Outcome(final.status, final.phrase)

    async def hang_up(self) -> None:
        """End the call at whatever stage it is, and let go of everything."""
        if self._final is not None and not self._final.done():
            self._send("CANCEL", number=self._cseq, branch=self._invite_branch)
            await asyncio.wait({self._final}, timeout=_BYE_S)
            if self._final.done() and self._final.result().status < 300:  # answered while we gave up
                self._take_up(self._final.result())
        if self._is_up and not self.ended.is_set():
            await self._ask("BYE", b"", _BYE_S)
        self.ended.set()
        if self._transport is not None:
            self._transport.close()
        self._sound.close()

    # --- sound --------------------------------------------------------------------------------------------------------

    def say(self, packet: bytes) -> None:
        """Send an RTP packet; before the answer, and when the network is full, it is lost, as on any line."""
        if self._media is not None and self._sound.fileno() >= 0:
            with contextlib.suppress(OSError):
                self._sound.sendto(packet, self._media)

    async def hear(self) -> bytes:
        """The next RTP packet. Raises `OSError` once the line is closed."""
        return await asyncio.get_running_loop().sock_recv(self._sound, _LONGEST_PACKET)

    # --- messages -----------------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A message has come."""
        del addr
        try:
            message = read(data)
        except UnreadableError:
            return
        if message.headers.get_first("call-id") != self._call_id:
            return
        if message.is_request:
            self._answer(message)
        else:
            self._settle(message)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there at the moment: what waits for an answer is sent again."""

    def _settle(self, response: RawMessage) -> None:
        number, _, method = (response.headers.get_first("cseq") or "").partition(" ")
        key = (method.strip(), int(number) if number.isdigit() else 0)
        self._heard_of.add(key)
        if response.status < 200:
            if response.status in {180, 183}:
                self.ringing.set()
            return
        if key[0] == "INVITE":
            if self._final is not None and not self._final.done():
                self._final.set_result(response)
            if response.status >= 300:
                to = response.headers.get_first("to") or self._to
                self._send("ACK", number=key[1], branch=self._invite_branch, to=to)
            elif self._is_up:
                self._send("ACK", number=key[1])  # our first ACK was lost
        waiting = self._waiting.get(key)
        if waiting is not None and not waiting.done():
            waiting.set_result(response)

    def _answer(self, request: RawMessage) -> None:
        method = request.method
        if method in {"ACK", "CANCEL"}:
            return
        status = _ANSWERS.get(method, 501)
        lines = [
            f"{name}: {value}"
            for name in ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")
            for value in request.headers.get(name.lower())
        ]
        lines += [f"Contact: {self._contact()}", _ALLOW]
        body = b""
        if status == 200 and method in {"INVITE", "UPDATE"} and request.body:
            self._hear_from(request.body)
            body = self._offer()
            lines.append("Content-Type: application/sdp")
        self._write(written(f"SIP/2.0 {status} {_PHRASES[status]}", lines, body))
        if method == "BYE":
            self.ended.set()

    async def _ask(self, method: str, body: bytes, seconds: float) -> RawMessage | None:
        """Send a request, and again until something comes back; its final response, None where there is none."""
        self._cseq += 1
        key = (method, self._cseq)
        branch = _new_branch()
        if method == "INVITE":
            self._invite_branch = branch
        waiting: asyncio.Future[RawMessage] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiting
        try:
            async with asyncio.timeout(seconds):
                wait_s = _T1_S
                while not waiting.done():
                    if key not in self._heard_of:
                        self._send(method, number=key[1], branch=branch, body=body)
                    await asyncio.wait({waiting}, timeout=wait_s)
                    wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
                return waiting.result()
        except TimeoutError:
            return None
        finally:
            del self._waiting[key]

    def _send(self, method: str, *, number: int, branch: str = "", to: str = "", body: bytes = b"") -> None:
        host, port = self._local()
        starts = method in {"INVITE", "CANCEL"} or bool(to)  # an ACK to a refusal belongs to the INVITE (17.1.1.3)
        lines = [
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch or _new_branch()}",
            "Max-Forwards: 70",
            f"From: <sip:anonymous@{host}>;tag={self._from_tag}",
            f"To: {to or self._to}",
            f"Call-ID: {self._call_id}",
            f"CSeq: {number} {method}",
            f"Contact: {self._contact()}",
            *(f"Route: {route}" for route in ([] if starts else self._routes)),
        ]
        if method == "INVITE":
            lines.append(_ALLOW)
        if body:
            lines.append("Content-Type: application/sdp")
        self._write(written(f"{method} {self._target if starts else self._remote} SIP/2.0", lines, body))

    def _take_up(self, answer: RawMessage) -> None:
        """Take over what the 200 says: tag, contact, routes, and where sound goes; and acknowledge it."""
        self._is_up = True
        self._to = answer.headers.get_first("to") or self._to
        contact = _URI.search(answer.headers.get_first("contact") or "")
        self._remote = contact[1] if contact else self._remote
        self._routes = list(reversed(answer.headers.get("record-route")))
        self._hear_from(answer.body)
        self._send("ACK", number=self._cseq)

    def _hear_from(self, sdp: bytes) -> None:
        found = _MEDIA.search(sdp)
        if found is not None and int(found[1]) and b"0" in found[2].split():
            self._media = (self._media_host, int(found[1]))

    def _offer(self) -> bytes:
        _, port = self._sound.getsockname()[:2]
        lines = (
            "v=0",
            f"o=- {int(self._from_tag, 16)} 1 IN IP4 {BROWSER_ADDRESS}",
            "s=-",
            f"c=IN IP4 {BROWSER_ADDRESS}",
            "t=0 0",
            f"m=audio {port} RTP/AVP 0 {TELEPHONE_EVENT}",
            "a=rtpmap:0 PCMU/8000",
            f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
            f"a=fmtp:{TELEPHONE_EVENT} 0-15",
            "a=ptime:20",
            "a=sendrecv",
            "",
        )
        return "\r\n".join(lines).encode()

    def _contact(self) -> str:
        host, port = self._local()
        return f"<sip:browser@{host}:{port}>"

    def _local(self) -> tuple[str, int]:
        assert self._transport is not None  # noqa: S101  # opened; tells the type checker
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def _write(self, message: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(message)


def _new_branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)

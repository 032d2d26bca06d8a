"""One call's signalling from a telephone's side: INVITE, ACK, CANCEL, BYE, hold, keys by INFO, and polite answers.

RFC 3261 as far as a calling telephone needs it; REFER is answered as RFC 3515 asks, with a NOTIFY whose outcome the
user of this class chooses; None is a telephone that never says what became of it.
"""

import asyncio
import contextlib
import re
import secrets
import ssl
import time
from collections.abc import Iterable

from scripts.phone.connection import Connection, Target, read_target
from scripts.phone.message import Message, address, answer, tag
from scripts.phone.rtp import CODECS, TELEPHONE_EVENT, Sound

_T1_SECONDS = 0.5
_SUPPORTED = "timer, 100rel"


class Dialog:
    """A call to `uri`; `await invite()`, then speak through `sound`."""

    def __init__(
        self,
        uri: str,
        *,
        sound: Sound,
        caller: str = "anonymous",
        host: str | None = None,
        codecs: Iterable[str] = ("PCMU", "PCMA"),
        extra: Iterable[tuple[str, str]] = (),
        tls: ssl.SSLContext | None = None,
        refer_outcome: str | None = "200 OK",
        acknowledge: bool = True,
        call_id: str | None = None,
    ) -> None:
        self.target: Target = read_target(uri)
        self.sound = sound
        self.call_id = call_id or secrets.token_hex(12)
        self.ladder: list[tuple[float, str, str]] = []
        """(monotonic seconds, "in" or "out", start line) of every message."""
        self.status: int | None = None
        self.reason = ""
        self.final: Message | None = None
        """The final response to the INVITE, with its headers."""
        self.early = asyncio.Event()
        """Set once the other side says that it rings, or anything else before its final response but 100."""
        self.setup_ms: float | None = None
        """INVITE sent to 200 received."""
        self.answered_at: float | None = None
        """When the ACK left, monotonic seconds."""
        self.ended = asyncio.Event()
        self.ended_by = ""
        self.referred_to: str | None = None
        self._host = host
        self._codecs = tuple(codecs)
        self._extra = tuple(extra)
        self._refer_outcome = refer_outcome
        self._acknowledge = acknowledge
        self._caller = caller
        self._tag = secrets.token_hex(6)
        self._to = f"<{uri}>"
        self._remote = uri
        self._routes: list[str] = []
        self._cseq = 0
        self._invite: Message | None = None
        self._waiting: dict[tuple[str, int], asyncio.Future[Message]] = {}
        self._provisional = asyncio.Event()
        self._connection = Connection(self.target, self._on_message, tls)
        self._retransmitters: set[asyncio.Task[None]] = set()

    async def invite(self, deadline_seconds: float = 40.0) -> int:
        """Ring; the final status. 408 stands for no answer at all.

        Raises:
            OSError: The server cannot be reached.
        """
        await self._connection.open(self._host)
        self._invite = self._request("INVITE", self._offer("sendrecv"))
        sent = time.monotonic()
        response = await self._transact(self._invite, deadline_seconds)
        self.final = response
        self.status = response.status if response else 408
        self.reason = response.start.split(" ", 2)[-1] if response else "no answer"
        if response is None or response.status >= 300:
            self.ended.set()
            return self.status
        self.setup_ms = (time.monotonic() - sent) * 1000
        self._adopt(response)
        if self._acknowledge:
            self._ack(self._invite)
        self.answered_at = time.monotonic()
        self.sound.start()
        return self.status

    def cancel(self) -> None:
        """Give up while it still rings (RFC 3261, 9)."""
        if self._invite is None:
            return
        kept = [(k, v) for k, v in self._invite.headers if k in {"Via", "From", "To", "Call-ID", "Max-Forwards"}]
        number = self._invite.first("cseq").split()[0]
        self._send(Message(f"CANCEL {self.target.uri} SIP/2.0", [*kept, ("CSeq", f"{number} CANCEL")]))

    async def give_up(self) -> int:
        """Say BYE to a server that rings, instead of CANCEL (RFC 3261, 15); the status of the BYE."""
        response = await self._transact(self._request("BYE"), 5.0)
        return response.status if response else 408

    async def hang_up(self) -> None:
        """Send BYE and let go."""
        if self.answered_at is not None and not self.ended.is_set():
            self.ended_by = self.ended_by or "caller"
            await self._transact(self._request("BYE"), 2.0)
        await self.close()

    async def close(self) -> None:
        """Let go without a word, like a telephone that lost its power."""
        self.ended.set()
        for task in tuple(self._retransmitters):
            task.cancel()
        await self.sound.stop()
        self._connection.close()

    async def reinvite(self, direction: str) -> int:
        """Offer again, such as "sendonly" for hold and "sendrecv" to go on; the final status."""
        request = self._request("INVITE", self._offer(direction))
        response = await self._transact(request, 10.0)
        if response is not None and response.status < 300:
            self._adopt(response)
            self._ack(request)
        return response.status if response else 408

    async def press_by_info(self, key: str) -> int:
        """Send one key as application/dtmf-relay; the final status."""
        body = f"Signal={key}\r\nDuration=160\r\n".encode()
        response = await self._transact(self._request("INFO", body, "application/dtmf-relay"), 5.0)
        return response.status if response else 408

    # --- out ----------------------------------------------------------------------------------------------------------

    def _offer(self, direction: str) -> bytes:
        host, port = self.sound.host, self.sound.port  # not where messages go: those may take IPv6, and sound IPv4
        family = "IP6" if ":" in host else "IP4"
        kinds = [str(CODECS[codec]) for codec in self._codecs]
        lines = [
            "v=0",
            f"o=- {int(time.time())} {int(time.time())} IN {family} {host}",
            "s=call",
            f"c=IN {family} {host}",
            "t=0 0",
            f"m=audio {port} RTP/AVP {' '.join(kinds)} {TELEPHONE_EVENT}",
            *(f"a=rtpmap:{CODECS[codec]} {codec}/8000" for codec in self._codecs),
            f"a=rtpmap:{TELEPHONE_EVENT} telephone-event/8000",
            f"a=fmtp:{TELEPHONE_EVENT} 0-15",
            "a=ptime:20",
            f"a={direction}",
        ]
        return ("\r\n".join(lines) + "\r\n").encode()

    def _contact(self) -> str:
        host, port = self._connection.local
        shown = f"[{host}]" if ":" in host else host
        parameters = "" if self.target.transport == "udp" else f";transport={self.target.transport}"
        return f"<sip:{self._caller}@{shown}:{port}{parameters}>"

    def _request(self, method: str, body: bytes = b"", kind: str = "application/sdp") -> Message:
        self._cseq += 1
        host, port = self._connection.local
        shown = f"[{host}]" if ":" in host else host
        headers = [
            ("Via", f"SIP/2.0/{self.target.transport.upper()} {shown}:{port};rport;branch={self._branch()}"),
            ("Max-Forwards", "70"),
            ("From", f"<sip:{self._caller}@{shown}>;tag={self._tag}"),
            ("To", self._to),
            ("Call-ID", self.call_id),
            ("CSeq", f"{self._cseq} {method}"),
            ("Contact", self._contact()),
            *(("Route", route) for route in self._routes),
        ]
        if method == "INVITE":
            headers += [("Allow", "INVITE, ACK, CANCEL, BYE, INFO, NOTIFY, REFER, UPDATE, OPTIONS"), *self._extra]
        if body:
            headers.append(("Content-Type", kind))
        return Message(f"{method} {self._remote} SIP/2.0", headers, body)

    def _branch(self) -> str:
        return "z9hG4bK" + secrets.token_hex(8)

    def _ack(self, invite: Message, *, refused: Message | None = None) -> None:
        """Of a 200 a new transaction; of a refusal part of the old one (RFC 3261, 17.1.1.3)."""
        number = invite.first("cseq").split()[0]
        ack = self._request("ACK")
        self._cseq -= 1
        if refused is not None:
            ack.start = invite.start.replace("INVITE", "ACK", 1)
            ack.headers = [(k, v) for k, v in ack.headers if k not in {"Via", "To", "Route"}]
            ack.headers += [("Via", invite.first("via")), ("To", refused.first("to"))]
        ack.headers = [(k, f"{number} ACK" if k == "CSeq" else v) for k, v in ack.headers]
        self._send(ack)

    def _send(self, message: Message) -> None:
        self.ladder.append((time.monotonic(), "out", message.start))
        self._connection.send(message)

    async def _transact(self, request: Message, deadline_seconds: float) -> Message | None:
        """Send, repeat on datagrams until something comes back, and wait for the final response."""
        number = int(request.first("cseq").split()[0])
        outcome: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[request.method, number] = outcome
        self._provisional.clear()
        self._send(request)
        repeater = asyncio.get_running_loop().create_task(self._repeat(request), name="phone retransmission")
        self._retransmitters.add(repeater)
        try:
            return await asyncio.wait_for(outcome, deadline_seconds)
        except TimeoutError:
            return None
        finally:
            repeater.cancel()
            self._retransmitters.discard(repeater)
            self._waiting.pop((request.method, number), None)

    async def _repeat(self, request: Message) -> None:
        wait = _T1_SECONDS
        while not self._connection.reliable and not self._provisional.is_set():
            await asyncio.sleep(wait)
            wait = min(wait * 2, 4.0)
            if not self._provisional.is_set():
                self._send(request)

    def _adopt(self, response: Message) -> None:
        """Take over what a 200 to INVITE says: tag, contact, routes, and where sound goes."""
        self._to = response.first("to")
        self._remote = address(response.first("contact")) or self._remote
        self._routes = list(reversed(response.all("record-route")))
        self._hear_from(response.body)

    def _hear_from(self, sdp: bytes) -> None:
        text = sdp.decode()
        host = re.search(r"^c=IN IP[46] (\S+)", text, re.MULTILINE)
        media = re.search(r"^m=audio (\d+) \S+ (\d+)", text, re.MULTILINE)
        if host and media and int(media.group(1)):
            self.sound.remote = (host.group(1), int(media.group(1)))
            self.sound.codec = {0: "PCMU", 8: "PCMA"}.get(int(media.group(2)), self.sound.codec)

    # --- in -----------------------------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        self.ladder.append((time.monotonic(), "in", message.start))
        if message.is_request:
            self._on_request(message)
            return
        number = int(message.first("cseq").split()[0])
        waiting = self._waiting.get((message.method, number))
        self._provisional.set()
        if message.status < 200:
            if message.status > 100:
                self._to = message.first("to")
                self._remote = address(message.first("contact")) or self._remote
                self._routes = list(reversed(message.all("record-route")))
                self.early.set()
            if "100rel" in message.first("require").lower():
                self._prack(message)
            return
        if message.method == "INVITE" and self._invite is not None:
            if message.status >= 300:
                self._ack(self._invite, refused=message)
            elif waiting is None and self._acknowledge:
                self._ack(self._invite)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _prack(self, provisional: Message) -> None:
        """Acknowledge a reliable provisional response (RFC 3262)."""
        request = self._request("PRACK")
        request.headers.append(("RAck", f"{provisional.first('rseq')} {provisional.first('cseq')}"))
        self._send(request)

    def _on_request(self, request: Message) -> None:
        if request.method == "ACK":
            return
        if request.method == "REFER":
            self.referred_to = address(request.first("refer-to"))
            self._send(answer(request, "202 Accepted", [("Contact", self._contact())]))
            if self._refer_outcome is not None:
                self._notify(self._refer_outcome)
            return
        extra: list[tuple[str, str]] = [("Contact", self._contact())]
        body = b""
        if request.method in {"INVITE", "UPDATE"} and request.body:
            body = self._offer("sendrecv")
            extra.append(("Content-Type", "application/sdp"))
            self._hear_from(request.body)
        self._send(answer(request, "200 OK", extra, body))
        if request.method == "BYE":
            self.ended_by = "server"
            self.ended.set()

    def _notify(self, outcome: str) -> None:
        notify = self._request("NOTIFY", f"SIP/2.0 {outcome}\r\n".encode(), "message/sipfrag;version=2.0")
        notify.headers += [("Event", "refer"), ("Subscription-State", "terminated;reason=noresource")]
        self._send(notify)

    @property
    def remote_tag(self) -> str:
        """The server's side of the dialog."""
        return tag(self._to)


async def wait_for_end(dialog: Dialog, seconds: float) -> bool:
    """Whether the call ended within so many seconds."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(dialog.ended.wait(), seconds)
    return dialog.ended.is_set()

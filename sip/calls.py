"""The small record that the edge keeps per INVITE, and the messages it can make of it when the worker cannot.

Routing does not need these records (tokens do that); they recognise retransmissions, CANCEL and the ACK of a refusal,
and they end a call towards its caller when the worker has died.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from sip.message import Request
from sip.tokens import Flow
from sip.writing import written

_T1_S, _T2_S, _GIVE_UP_S = 0.5, 4.0, 32.0  # RFC 3261 section 17.1.1.1


class Stage(Enum):
    """How far an INVITE has come."""

    HANDED_OVER = auto()
    """The worker has it and said nothing yet."""
    PROCEEDING = auto()
    ANSWERED = auto()
    REFUSED = auto()


@dataclass(slots=True)
class Call:
    """One INVITE and the dialog it made."""

    request: Request
    flow: Flow
    """Where the peer was last heard in this dialog."""
    trunk: str
    worker: int
    seat: int
    """SIP port of the worker."""
    since_s: float
    target: str
    """URI of the peer's Contact."""
    routes: list[str]
    """Record-Route of the INVITE: the peer's own proxies."""
    top_via: str
    """The caller's Via as answers carry it."""
    stage: Stage = Stage.HANDED_OVER
    answered_s: float | None = None
    acknowledged: bool = False
    ended_s: float | None = None
    taken_over: bool = False
    """Whether the edge itself ended the call; what its worker still says about it is dropped."""
    to_with_tag: str = ""
    last_cseq: int = 0
    """Highest CSeq of requests from our side in this dialog."""
    forwarded: bytes = field(default=b"", repr=False)

    @property
    def final(self) -> bool:
        """Whether the INVITE has its final answer."""
        return self.stage in {Stage.ANSWERED, Stage.REFUSED}

    @property
    def over(self) -> bool:
        """Whether nothing of this call is left to be done."""
        return self.ended_s is not None

    def bye_to_peer(self, our_address: str, branch: str) -> bytes:
        """The BYE that the worker would have sent."""
        raw = self.request.raw.headers
        via = f"Via: SIP/2.0/{self.flow.transport.upper()} {our_address};branch={branch};rport"
        return written(
            f"BYE {self.target} SIP/2.0",
            [
                via,
                *(f"Route: {route}" for route in self.routes),
                "Max-Forwards: 70",
                f"From: {self.to_with_tag}",
                f"To: {raw.get('from')[0]}",
                f"Call-ID: {self.request.call_id}",
                f"CSeq: {self.last_cseq + 1} BYE",
                'Reason: SIP;cause=500;text="Call lost"',
            ],
            b"",
        )

    def to_worker(self, method: str, inner: str, branch: str) -> bytes:
        """A CANCEL or BYE to the worker in the caller's name, for a caller that will never send it."""
        raw = self.request.raw.headers
        cseq = self.request.cseq if method == "CANCEL" else self.request.cseq + 1
        return written(
            f"{method} sip:127.0.0.1:{self.seat} SIP/2.0",
            [
                f"Via: SIP/2.0/UDP {inner};branch={branch}",
                "Max-Forwards: 70",
                f"From: {raw.get('from')[0]}",
                f"To: {self.to_with_tag or raw.get('to')[0]}",
                f"Call-ID: {self.request.call_id}",
                f"CSeq: {cseq} {method}",
            ],
            b"",
        )


class Repeater:
    """Sends a message again and again until somebody says that it has arrived (RFC 3261 timers E, F and G, H)."""

    def __init__(self, send: Callable[[Flow, bytes], bool]) -> None:
        self._send = send
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def start(self, name: str, flow: Flow, message: bytes) -> bool:
        """Send now, and over UDP again after 0.5, 1, 2, 4, 4, … seconds until `stop(name)` or 32 s have gone.

        False when it could not even be sent once.
        """
        self.stop(name)
        sent = self._send(flow, message)
        if flow.transport == "udp":
            self._again(name, flow, message, _T1_S, 0.0)
        return sent

    def _again(self, name: str, flow: Flow, message: bytes, wait_s: float, gone_s: float) -> None:
        def fire() -> None:
            del self._timers[name]
            self._send(flow, message)
            if gone_s + wait_s < _GIVE_UP_S:
                self._again(name, flow, message, min(_T2_S, 2 * wait_s), gone_s + wait_s)

        self._timers[name] = asyncio.get_running_loop().call_later(wait_s, fire)

    def stop(self, name: str) -> bool:
        """It has arrived; False when nothing of that name was being repeated."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        return timer is not None

    def close(self) -> None:
        """Stop all."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

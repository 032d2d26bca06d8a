"""What the two directions of the edge share: calls, slots, trunks, tokens, counters, and the ways out."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from sip.calls import Call, Repeater
from sip.counters import Counters, RefusalRing
from sip.doors import Doors
from sip.message import RefusedError, Request, uri_of
from sip.pool import Pool
from sip.settings import EdgeSettings
from sip.tokens import Flow, Sealer
from sip.trunks import TrunkTable

_log = structlog.get_logger()

GRACE_S = 5.0
"""How long after its start the edge trusts the ports in its tokens: the workers of its predecessor have not yet said
that they are there."""


@dataclass(slots=True)
class Exchange:
    """The edge's state. All of it may be lost; what must not be is in the tokens."""

    settings: EdgeSettings
    sealer: Sealer
    doors: Doors
    pool: Pool
    counters: Counters
    repeater: Repeater
    inside: socket.socket
    started_s: float
    trunks: TrunkTable = field(default_factory=TrunkTable)
    calls: dict[str, Call] = field(default_factory=dict)
    """By Call-ID."""
    refusals: RefusalRing = field(default_factory=RefusalRing)
    dead_seats: set[int] = field(default_factory=set)
    """Ports of workers that died since the start: the grace does not hold for them."""
    draining_retry_s: int | None = None
    """Set once no new call is taken."""
    silent_until_s: float = 0.0
    """When an error in us may be logged again."""
    inner: str = ""
    """Address that workers know us by, such as "127.0.0.1:5059"."""

    @staticmethod
    def now_s() -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()

    def reachable(self, seat: int) -> bool:
        """Whether a worker is, or may still be, at this port."""
        if self.pool.has_port(seat):
            return True
        return self.now_s() - self.started_s < GRACE_S and seat not in self.dead_seats

    def to_worker(self, seat: int, data: bytes) -> None:
        """Send to the worker at this port. A lost datagram is sent again by the peer."""
        with contextlib.suppress(OSError):
            self.inside.sendto(data, ("127.0.0.1", seat))

    def to_peer(self, flow: Flow, data: bytes, kind: str) -> bool:
        """Send to a peer; `kind` is the method or the status, for the counters."""
        self.counters.message("out", kind)
        return self.doors.send(flow, data)

    def call_back(self, call: Call, data: bytes, failed: Callable[[], None]) -> None:
        """Reach a TCP peer again whose connection is gone, at its Contact, if that names the address we know it by."""
        try:
            target = uri_of(call.target)
        except RefusedError:
            target = None
        if target is None or call.flow.transport != "tcp" or target.host.strip("[]") != call.flow.ip:
            failed()
            return
        call.flow = self.doors.call_back(call.flow, target.port or 5060, data, failed)

    def inner_branch(self, request: Request) -> str:
        """The branch towards the worker: the same for an INVITE, its retransmissions, its CANCEL and its ACK."""
        via = request.via
        return self.branch(
            via.host, str(via.port), via.branch, request.call_id, str(request.cseq), request.caller.tag or ""
        )

    def note_refusal(self, flow: Flow, method: str, status: int, why: str, *, called: str = "") -> None:
        """Remember why somebody was not let in; `status` 0 where they got no answer."""
        of_trunk = self.trunks.find(flow.ip) is not None
        self.refusals.add(flow, method, status, why, time.time(), of_trunk=of_trunk, called=called)

    def failed(self) -> None:
        """A message broke something in us: count it, and say so once a second at most."""
        self.counters.dropped("internal error")
        if self.now_s() >= self.silent_until_s:
            self.silent_until_s = self.now_s() + 1.0
            _log.exception("sip_message_failed")

    def branch(self, *names: str) -> str:
        """A branch that comes out the same for the same names."""
        return f"z9hG4bK{self.sealer.digest('branch', *names)}"

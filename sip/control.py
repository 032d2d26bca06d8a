"""What workers and the supervisor tell the edge, and what it answers: datagrams on a Unix socket, `<run>/edge.sock`.

Each datagram is one message in MessagePack. The kernel names the sender (SCM_CREDENTIALS): a worker may speak for its
own index only, and orders are taken from the edge's own user and from root alone. So an exploited worker, which runs as
another user, can neither stop the edge nor take calls away from its neighbours.

Nothing here blocks and nothing waits for the edge: a message to an edge that is away is lost, and its sender repeats
what matters (a worker announces itself every `ANNOUNCE_EVERY_S`).
"""

import asyncio
import contextlib
import socket
from pathlib import Path

import msgspec

CONTROL_NAME = "edge.sock"
"""Name of the socket in the run folder."""
ANNOUNCE_EVERY_S = 1.0
"""How often a worker repeats `WorkerReady`: a restarted edge has its slots again after this time."""
LONGEST_DATAGRAM = 180_000
"""Bytes; below Linux' default send buffer of a Unix socket (net.core.wmem_default, 212,992)."""


class ControlMessage(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of all that travels on the control socket."""


# --- from a worker ---------------------------------------------------------------------------------------------------


class WorkerReady(ControlMessage, frozen=True, kw_only=True):
    """This worker takes calls. Said once it does, and again every `ANNOUNCE_EVERY_S`."""

    index: int
    sip_port: int
    """UDP port on 127.0.0.1 where its SIP stack listens."""
    slots: int
    """Calls it can carry at once; 0 while it wants to be left alone (draining, or collecting garbage)."""
    live_calls: tuple[str, ...] = ()
    """SIP Call-IDs of all calls it has, in whatever state. So a restarted edge knows which slots are taken."""


class CallEnded(ControlMessage, frozen=True, kw_only=True):
    """A call of this worker is over, whatever its outcome; its slot cools and is then free."""

    index: int
    sip_call_id: str


# --- from the supervisor ---------------------------------------------------------------------------------------------


class WorkerDied(ControlMessage, frozen=True, kw_only=True):
    """The worker's process is gone: the edge ends its calls towards the callers (order)."""

    index: int


class TrunksPublished(ControlMessage, frozen=True, kw_only=True):
    """`<run>/trunks.json` is new; read it (order). See `sip.trunks.write_trunks`."""


class DrainOrdered(ControlMessage, frozen=True, kw_only=True):
    """Take no new call: 503 with Retry-After. Calls that run go on (order)."""

    retry_after_s: int = 30


class CertificatesRenewed(ControlMessage, frozen=True, kw_only=True):
    """Read certificate and key again; connections that stand keep theirs (order)."""


class ReportRequested(ControlMessage, frozen=True, kw_only=True):
    """Answered by `EdgeReport`, to the address the request came from (order)."""


# --- from the edge ---------------------------------------------------------------------------------------------------


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was not let in, for "why was my call rejected?"."""

    at_unix: float
    source: str
    """Address and transport, such as "udp 192.0.2.7:5060"."""
    method: str
    status: int
    """0 where the message was dropped without an answer."""
    reason: str
    """In plain words."""
    times: int = 1
    """How often the same came from the same address since it was first seen; `at_unix` is the last time."""
    called: tuple[str, ...] = ()
    """What was dialled, the last few, newest last; none where the request was no call, or could not be read."""


class EdgeReport(ControlMessage, frozen=True, kw_only=True):
    """The state of the edge."""

    ready: bool
    """Whether a call that came now would find a slot."""
    draining: bool
    workers_up: int
    calls: int
    """Slots taken, those that still cool included."""
    free_slots: int
    connections: int
    addresses: tuple[str, ...]
    """Where it listens, such as "udp 127.0.0.1:5060"."""
    refusals: tuple[Refusal, ...]
    """The last ones, newest last."""
    metrics: str
    """Prometheus text exposition."""


AnyControlMessage = (
    WorkerReady
    | CallEnded
    | WorkerDied
    | TrunksPublished
    | DrainOrdered
    | CertificatesRenewed
    | ReportRequested
    | EdgeReport
)

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(AnyControlMessage).decode
"""Raises `msgspec.DecodeError` (of which `ValidationError` is one) for anything that is not one of our messages."""


class ControlSender:
    """A worker's or the supervisor's way to the edge. Usable before the edge exists and across its restarts."""

    def __init__(self, control: Path) -> None:
        self._path = str(control)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, message: ControlMessage) -> bool:
        """Hand over one message without blocking; False when the edge is away or its queue is full."""
        try:
            self._socket.sendto(encode(message), self._path)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()


async def request_report(control: Path, *, timeout_s: float = 2.0) -> EdgeReport:
    """Ask the edge how it is.

    Raises `OSError` when there is no edge at that socket, `TimeoutError` when it does not answer in time, and
    `msgspec.DecodeError` when something else than an edge answers.
    """
    loop = asyncio.get_running_loop()
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as asking:
        asking.setblocking(False)
        asking.bind("")  # Linux gives it an abstract name to be answered at
        asking.connect(str(control))
        await loop.sock_sendall(asking, encode(ReportRequested()))
        async with asyncio.timeout(timeout_s):
            answer = decode(await loop.sock_recv(asking, LONGEST_DATAGRAM))
    if not isinstance(answer, EdgeReport):
        raise msgspec.ValidationError(f"expected an EdgeReport, got {type(answer).__name__}")
    return answer

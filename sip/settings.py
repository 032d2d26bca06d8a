"""What the edge and a worker are told at start. Filled in by `scripts/settings.py`; nothing here reads the environment.

Durations are seconds (`_s`), sizes bytes, addresses literal IPs.
"""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """How much one source, and all of them, may ask of the edge."""

    message_bytes: int = 32_768
    """Longest SIP message; PJSIP's own limit in the workers is above it."""
    header_bytes: int = 16_384
    connections: int = 1_000
    connections_per_source: int = 50
    idle_s: float = 900.0
    """A connection without a message, a keep-alive (RFC 5626: every 120 s) or a call for so long is closed."""
    partial_message_s: float = 10.0
    """A message that began on a connection must be whole within this time (slow loris)."""
    handshake_s: float = 10.0
    invites_per_s: float = 50.0
    """New calls per source address and second, over time."""
    invites_burst: int = 100
    messages_per_s: float = 1_000.0
    """Messages of any kind per source address and second, over time; those above are dropped unread."""
    messages_burst: int = 2_000
    cooling_s: float = 0.7
    """How long a slot rests after its INVITE is over. PJMEDIA keeps the sockets of a call for 0.5 s after it, and its
    table of sockets asserts when full: without this rest, 32 short calls in half a second abort a worker."""
    silent_worker_s: float = 3.0
    """An INVITE to which the worker has said nothing, not even 100, for so long is refused."""
    unanswered_s: float = 180.0
    """An INVITE without a final answer by now has lost its worker's attention: 503, and the slot is taken back."""
    unacknowledged_s: float = 40.0
    """A 2xx that no ACK follows: the worker gives up after 32 s (64*T1); the edge frees the slot at the latest now."""


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """The edge process."""

    run_folder: Path
    """Holds `edge.sock`, `edge.secret` and `trunks.json`; survives a restart of the edge."""
    binds: tuple[str, ...] = ("127.0.0.1", "::1")
    """Local addresses of the doors, IPv4 and IPv6. One that the machine does not have (no IPv6) is skipped with a
    warning, unless it is the only one."""
    sip_port: int = 5060
    """UDP and TCP. 0: any free one, the same for all binds."""
    sip_tls_port: int = 5061
    public_host: str | None = None
    """Host name or address that peers reach us at, in Contact; None: the local address a message came to."""
    tls_certificate: Path | None = None
    """PEM chain; None: no TLS door."""
    tls_key: Path | None = None
    inner_port: int = 0
    """UDP port on 127.0.0.1 that workers talk to; 0: any free one, see `Edge.inner_address`. Fix it, so that calls
    survive a restart of the edge."""
    max_calls: int = 40
    workers: int | None = None
    """How many there are: no other index is believed. None: any number."""
    worker_uid: int | None = None
    """User the workers run as, when they were started as root; None: the edge's own."""
    limits: EdgeLimits = field(default_factory=EdgeLimits)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker process."""

    index: int
    """Number of the worker, 0 up; its replacement after a crash has the same one."""
    rtp_first_port: int
    rtp_last_port: int
    """This worker's own part of the RTP ports, both ends included. A replacement gets another part, because the old
    callers go on sending for a while."""
    edge_address: tuple[str, int]
    """The edge's inner UDP address."""
    edge_control: Path
    """`<run>/edge.sock`."""
    rtp_bind: str = "127.0.0.1"
    rtp_public: str | None = None
    """Address written into SDP; None: `rtp_bind`."""
    switch_interval_s: float = 0.0005
    """sys.setswitchinterval: halves the jitter of RTP under load, see the facts on the media clock."""
    rtp_inactivity_s: float = 30.0
    """A call that hears nothing for so long, and is not on hold, ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSettings:
    """The process that takes calls from browsers."""

    edge_address: tuple[str, int]
    """The edge's UDP door, as any telephone uses it."""
    media_host: str
    """Where this machine's workers listen for sound, whatever address they write into SDP for others."""
    addresses: tuple[str, ...]
    """Local addresses that browsers may send to; none: all that the machine has."""
    public_address: str | None = None
    """Told to browsers besides: the one that a network in between translates to ours."""
    most_calls: int = 8
    most_per_owner: int = 3

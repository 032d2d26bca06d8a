"""What the supervisor and its children share from before the fork: settings, paths, ports, one TLS context."""

import math
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.launch import Launch
from scripts.ports import free_port
from scripts.privileges import Account
from scripts.settings import SettingError, Settings
from sip.control import CONTROL_NAME, CertificatesRenewed, ControlSender, DrainOrdered, WorkerDied

RUN: Final = Path("run")
"""Relative to the home, where every process works."""
SPOOL: Final = Path("spool")
PORTS_PER_CALL: Final = 4
"""RTP and RTCP of a call, and as many again for the one before it, whose sockets close half a second late."""


@dataclass(frozen=True, slots=True)
class RtpRange:
    """A part of the RTP ports; both ends belong to it."""

    first: int
    last: int


class Board:
    """Made once in the zygote."""

    def __init__(self, launch: Launch, account: Account | None, *, slots: int) -> None:
        self.settings: Settings = launch.settings
        self.roles = launch.roles
        self.drain_s = launch.drain_s
        self.account = account
        self.slots = slots
        """Calls that one worker can carry."""
        self.public_address = public_address(launch.settings)
        self.edge = ControlSender(RUN / CONTROL_NAME)
        self.edge_port = free_port()
        """Where workers reach the edge: fixed, so that calls survive the edge's restart."""
        self.rehearsal_port = free_port()
        # Reading 144 certificates takes 20 ms of CPU: a worker must not do it while it has calls.
        self.tls: ssl.SSLContext = ssl.create_default_context()
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_2

    @property
    def rehearsal_url(self) -> str:
        """The local speech and model server; its API is below /v1."""
        return f"http://127.0.0.1:{self.rehearsal_port}"

    @property
    def workers(self) -> int:
        """Enough for all calls, and for slots that cool between two of them."""
        needed = math.ceil(self.settings.max_calls / self.slots)
        return needed + max(1, math.ceil(needed / 5))

    def rtp_range(self, index: int, generation: int) -> RtpRange:
        """RTP ports of one worker: of its own part, the half that its predecessor did not use.

        The callers of a worker that died go on sending to its ports for a while.
        """
        first = self.settings.rtp_first_port + self.settings.rtp_first_port % 2  # RTP takes even ports
        half = (self.settings.rtp_last_port - first + 1) // (2 * self.workers) // 2 * 2
        start = first + (2 * index + generation % 2) * half
        return RtpRange(start, start + half - 1)

    def check(self) -> None:
        """Raises `SettingError` when the RTP ports do not suffice for the calls."""
        ports = self.rtp_range(0, 0)
        needed = self.slots * PORTS_PER_CALL
        if ports.last - ports.first + 1 < needed:
            total, lowest = 2 * self.workers * needed + 2, self.settings.rtp_first_port
            raise SettingError(
                "RTP_PORTS",
                f"holds too few ports for {self.settings.max_calls} calls",
                f"Give {total} ports, such as {lowest}-{lowest + total - 1}, or lower AITELIER_MAX_CALLS",
            )

    # --- orders to the edge, given by the supervisor -----------------------------------------------------------------

    def refuse_calls(self) -> None:
        """New calls get 503 from now on."""
        self.edge.send(DrainOrdered())

    def reload_certificates(self) -> None:
        """The edge reads its certificate again."""
        self.edge.send(CertificatesRenewed())

    def worker_died(self, index: int) -> None:
        """The edge ends that worker's calls towards the callers."""
        self.edge.send(WorkerDied(index=index))


def public_address(settings: Settings) -> str | None:
    """The literal address that callers are told to send sound to; None: the one it is received on.

    Raises:
        SettingError: The public host's name has no address.
    """
    if settings.public_host is None:
        return None
    try:
        found = socket.getaddrinfo(settings.public_host, None, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        raise SettingError(
            "PUBLIC_HOST", f"{settings.public_host} has no IPv4 address", "Give a name that resolves, or the address"
        ) from error
    return str(found[0][4][0])

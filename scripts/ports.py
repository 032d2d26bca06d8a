"""Ports that nobody uses now, for what only this machine has to find."""

import random
import socket

_TRIES = 200
_SINGLE = range(10_000, 20_000)
_NEIGHBOURS = range(20_000, 32_000)
"""Apart from each other, and below what the kernel gives out by itself (net.ipv4.ip_local_port_range)."""
_random = random.SystemRandom()
"""A seed would lead everyone who starts with it, as tests do, to the same ports."""


def free_port() -> int:
    """A port on loopback that is free now, and that neither the kernel nor this gives to anybody else.

    It stays ours as long as this process and its children live, for whoever gets it seldom uses it at once.

    Raises:
        OSError: None was found.
    """
    for _ in range(_TRIES):
        port = _random.choice(_SINGLE)
        # SIP takes both.
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM) and _claimed(port):
            return port
    raise OSError("no port is free")


def _claimed(port: int) -> bool:
    """Claim it by a name in the network's namespace (unix(7), abstract); False when another process has done so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        try:
            claim.bind(f"\0aitelier-port-{port}")
        except OSError:
            return False
        claim.detach()
        return True


def free_port_range(count: int) -> int:
    """First of so many neighbouring UDP ports that are free now.

    Raises:
        OSError: There is no such stretch.
    """
    for _ in range(_TRIES):
        first = _random.randrange(_NEIGHBOURS.start, _NEIGHBOURS.stop - count, 2)
        if all(_is_free(port, socket.SOCK_DGRAM) for port in range(first, first + count)):
            return first
    raise OSError(f"no {count} neighbouring ports are free")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

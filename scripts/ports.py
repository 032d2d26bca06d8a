"""Ports that nobody uses now, for what only this machine has to find."""

import random
import socket

_TRIES = 200
_SINGLE = range(10_000, 20_000)
_NEIGHBOURS = range(20_000, 32_000)
"""Apart from each other, and below what the kernel gives out by itself (net.ipv4.ip_local_port_range)."""
_random = random.SystemRandom()
"""A seed would lead everyone who starts with it, as tests do, to the same ports."""
_given: set[int] = set()
"""Single ports that this process has found before: whoever got one may not use it yet."""


def free_port() -> int:
    """A port on loopback that is free now, and that neither the kernel nor this gives to anybody else.

    Raises:
        OSError: None was found.
    """
    for _ in range(_TRIES):
        port = _random.choice(_SINGLE)
        # SIP takes both.
        if port not in _given and _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
            _given.add(port)
            return port
    raise OSError("no port is free")


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

"""Ports that nobody uses now, for what only this machine has to find."""

import random
import socket

_TRIES = 200
_SINGLE = range(10_000, 15_000)
_NEIGHBOURS = range(15_000, 32_000)
"""Apart from each other, and below what the kernel gives out by itself (net.ipv4.ip_local_port_range)."""


def free_port() -> int:
    """A port on loopback that is free now, and that the kernel gives to nobody by itself until it is used.

    Raises:
        OSError: None was found.
    """
    for _ in range(_TRIES):
        port = random.choice(_SINGLE)  # noqa: S311  # no secret
        if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):  # SIP takes both
            return port
    raise OSError("no port is free")


def free_port_range(count: int) -> int:
    """First of so many neighbouring UDP ports that are free now.

    Raises:
        OSError: There is no such stretch.
    """
    for _ in range(_TRIES):
        first = random.randrange(_NEIGHBOURS.start, _NEIGHBOURS.stop - count, 2)  # noqa: S311  # no secret
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

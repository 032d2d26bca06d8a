"""Ports that nobody uses now, for what only this machine has to find."""

import random
import socket

_TRIES = 200


def free_port(kind: socket.SocketKind) -> int:
    """A port on loopback that is free now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_port_range(count: int) -> int:
    """First of so many neighbouring UDP ports that are free now, below those that the kernel gives out by itself.

    Raises:
        OSError: There is no such stretch.
    """
    for _ in range(_TRIES):
        first = random.randrange(10_000, 32_000 - count, 2)  # noqa: S311  # no secret
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise OSError(f"no {count} neighbouring ports are free")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

"""The desk's Unix sockets: made so that nobody but the intended user can ever connect."""

import contextlib
import os
import socket
import struct
from pathlib import Path

_CREDENTIALS = struct.Struct("3i")


class DeskRunningError(Exception):
    """Another desk answers on this socket."""


def listen(path: Path, *, group: int | None) -> socket.socket:
    """A listening stream socket. A stale one from a desk that died is replaced.

    Only the own user may connect (mode 0600), and with `group` its members too (0660).

    Raises:
        DeskRunningError: A living desk listens there.
    """
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            path.unlink(missing_ok=True)
        else:
            raise DeskRunningError(str(path))
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)  # bind(2) creates the file: it must not be open to others even for a moment
    try:
        listening.bind(str(path))
    finally:
        os.umask(before)
    if group is not None:
        os.chown(path, -1, group)
        path.chmod(0o660)
    listening.listen(128)
    listening.setblocking(False)
    return listening


def peer_process(connected: socket.socket) -> int:
    """The process at the other end, as the kernel saw it connect (unix(7), SO_PEERCRED)."""
    process, _, _ = _CREDENTIALS.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(process)

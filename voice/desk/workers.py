"""Which worker processes are connected, and the moment one of them dies.

Calls belong to processes, not to connections: a worker that reconnects still has its calls, and one that is dead has
lost them, however the connection ended. The kernel says who is at the other end, and holds a process' number back for
as long as we watch it (pidfd_open(2)), so that no other process is ever taken for it.
"""

import asyncio
import os
from collections.abc import Callable

import structlog

from voice.desk.link import Link

log = structlog.get_logger()


class Workers:
    """The processes that have connected. `died` is called, on the loop, once for each when it has ended."""

    def __init__(self, died: Callable[[int], None]) -> None:
        self._died = died
        self._watched: dict[int, int] = {}
        self._links: dict[int, list[Link]] = {}

    def connected(self, process: int, link: Link) -> None:
        """A connection of this process has been opened.

        Raises:
            ProcessLookupError: It has ended meanwhile.
        """
        if process not in self._watched:
            descriptor = os.pidfd_open(process)
            self._watched[process] = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._ended, process)
        self._links.setdefault(process, []).append(link)

    def disconnected(self, process: int, link: Link) -> Link | None:
        """A connection has gone; another one of the same process, if it has one."""
        links = self._links.get(process, [])
        if link in links:
            links.remove(link)
        return links[-1] if links else None

    def close(self) -> None:
        """Stop watching."""
        for process in tuple(self._watched):
            self._forget(process)

    def _ended(self, process: int) -> None:
        self._forget(process)
        log.info("worker_ended", process=process)
        self._died(process)

    def _forget(self, process: int) -> None:
        descriptor = self._watched.pop(process)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._links.pop(process, None)

"""Tasks that somebody owns: named, kept, cancelled together, and never failing unseen."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine

import structlog

log = structlog.get_logger()


class Tasks:
    """The tasks of one owner. A task that fails is logged and reported to `failed`, which decides what it means."""

    def __init__(self, failed: Callable[[str], None] = lambda _: None) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._failed = failed

    def start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run `work` until it ends or `close` is called."""
        context = contextvars.copy_context()  # the task's own, so that its failure is logged under what it has bound
        task = asyncio.get_running_loop().create_task(work, name=name, context=context)
        self._running.add(task)
        task.add_done_callback(self._ended, context=context)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", task=task.get_name(), error=type(error).__name__, exc_info=error)
            self._failed(task.get_name())

    async def wait(self, seconds: float) -> bool:
        """Wait until no task is left, at most so long; False if some still run."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        return not self._running

    async def close(self) -> None:
        """Cancel all of them but the one that calls this, and wait until they have gone."""
        current = asyncio.current_task()
        others = [task for task in self._running if task is not current]
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)

"""Answers that take long to work out, and are the same for all who ask for them in the same moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiohttp import web

T = TypeVar("T")

_QUICK_S: Final = 0.05
"""What is worked out in less is worked out anew each time."""
_KEPT_FOR: Final = 20
"""Other answers are given again for so many times as long as they took: looking takes a twentieth of a core at most."""
_LONGEST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    until: float


class SharedAnswers:
    """Works each answer out once for all who ask meanwhile. In memory; nothing personal belongs here."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Hashable, _Answer] = {}
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def answer(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` finds, be it now or a moment ago; `key` says everything that the answer hangs on.

        Raises what `work` raises, to everybody who waits for it; the next one to ask has it tried again.
        """
        known = self._known.get(key)
        if known is not None and self._clock() < known.until:
            found: T = known.value
            return found
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(self._work(key, work))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)  # who gives up waiting does not take it from the others

    async def _work(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        began = self._clock()
        value = await work()
        now = self._clock()
        self._known = {other: one for other, one in self._known.items() if now < one.until}
        if now - began >= _QUICK_S:
            self._known[key] = _Answer(value, now + min(_LONGEST_S, _KEPT_FOR * (now - began)))
        return value


SHARED: Final = web.AppKey("shared_answers", SharedAnswers)

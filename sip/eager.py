"""Running a coroutine at once, up to where it has to wait: what Python 3.12 calls an eager task.

A frame that only passes through a few stages is there before the caller of `begin` goes on; a task of its own, or a
waiting one that is woken, would cost two more turns of the event loop, fifty times a second for each call.
"""

import asyncio
import types
from asyncio.tasks import _enter_task, _leave_task  # documented for this: asyncio, "Task lifetime support"
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any


def begin(coroutine: Coroutine[Any, Any, None], task: "asyncio.Task[Any]") -> Awaitable[None] | None:
    """Run `coroutine` in the name of `task` until it is done (then None) or has to wait: then `task` awaits the rest.

    Raises what the coroutine raises until then.
    """
    loop = task.get_loop()
    interrupted = asyncio.current_task(loop)
    if interrupted is not None:
        _leave_task(loop, interrupted)
    _enter_task(loop, task)
    try:
        awaited = coroutine.send(None)
    except StopIteration:
        return None
    finally:
        _leave_task(loop, task)
        if interrupted is not None:
            _enter_task(loop, interrupted)
    return _rest(coroutine, awaited)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with a coroutine that waits for `awaited`: `await coroutine` would refuse one that has begun."""
    while True:
        try:
            try:
                answer = yield awaited
            except BaseException as error:  # noqa: BLE001  # a cancellation, too, is for the coroutine
                awaited = coroutine.throw(error)
            else:
                awaited = coroutine.send(answer)
        except StopIteration:
            return

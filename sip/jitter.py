"""How long the caller's sound rests in the jitter buffer, asked of the stack itself in every tick.

The buffer swells with each loss and shrinks again, so what the bridge hands out in one tick may have come in the same
tick or a tenth of a second ago. The binding tells it too, but making its objects would cost more than the rest of a
tick; so the C function is called where it is, with its result's layout checked against the binding before it is used
(pjmedia/jbuf.h, `pjmedia_jb_state`).
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

import pjsua2 as pj
import structlog

log = structlog.get_logger()

RestedMs = Callable[[], int]
"""How long the frame that was handed out last had waited, in milliseconds. For the clock's thread."""

_FIELDS: Final = 32
"""More unsigned integers than the structure has in any version."""
_FRAME_BYTES: Final = 0
_PREFETCH: Final = 5
_SIZE: Final = 6
_BYTES_PER_MS: Final = 8
"""Of each codec in use: 64 kbit/s."""
_SINCE_IT_CAME_MS: Final = 10
"""A packet is not waited for at the moment it comes, but at the next tick: half a tick later on average."""
_CHECKED: Final = (("frameSize", 0), ("minPrefetch", 1), ("maxPrefetch", 2))


class JitterGauge:
    """Finds out, once for the process, whether the quick way is right here."""

    def __init__(self) -> None:
        try:
            # PyDLL keeps the GIL: the stream cannot be destroyed between the look at its address and the call.
            self._ask: Any = ctypes.PyDLL(pj._pjsua2.__file__).pjmedia_stream_get_stat_jbuf  # noqa: SLF001
        except (AttributeError, OSError):
            self._ask = None
            log.warning("jitter_unseen", why="the media library does not show its jitter buffer")
        else:
            self._ask.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
            self._ask.restype = ctypes.c_int
        self._checked = False

    def of(self, stream: int, statistics: Any) -> RestedMs | None:
        """The gauge of one stream, given its address and the binding's own StreamStat; None where it is not to be had.

        It must not be used any more once the stack has said that the stream ends.
        """
        if self._ask is None or not stream:
            return None
        state = (ctypes.c_uint * _FIELDS)()
        ask, address, where = self._ask, ctypes.c_void_p(stream), ctypes.addressof(state)
        if not self._checked:
            if ask(address, where) != 0 or not self._layout_holds(state, statistics.jbuf):
                self._ask = None
                log.warning("jitter_unseen", why="the jitter buffer's figures do not lie where they should")
                return None
            self._checked = True

        def rested_ms() -> int:
            ask(address, where)
            waiting: int = state[_SIZE] * state[_FRAME_BYTES]
            return waiting // _BYTES_PER_MS + _SINCE_IT_CAME_MS

        return rested_ms

    def _layout_holds(self, state: Any, told: Any) -> bool:
        return all(int(getattr(told, name)) == state[at] for name, at in _CHECKED) and (
            state[_PREFETCH] == int(told.prefetch)
        )

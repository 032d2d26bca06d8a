"""What the model is saying: the items of its answers that are on their way to the caller's ear."""

from dataclasses import dataclass

from voice.call.line import SAMPLES_PER_SECOND, Playout

_SAMPLES_PER_MS = SAMPLES_PER_SECOND // 1000


@dataclass(frozen=True, slots=True)
class Cut:
    """An item of which only a beginning was heard."""

    item: str
    content_index: int
    heard_ms: int


@dataclass(slots=True)
class _Spoken:
    content_index: int
    sounded_samples: int = 0
    finished: bool = False


class Speech:
    """Counts sound in and sound heard, per item. Exact: the media clock counts what it takes."""

    def __init__(self, playout: Playout) -> None:
        self._playout = playout
        self._items: dict[str, _Spoken] = {}

    @property
    def going(self) -> bool:
        """Whether something is unfinished, or finished and not heard to its end."""
        self._forget_heard()
        return bool(self._items)

    def sounded(self, item: str, content_index: int, samples: int) -> bool:
        """More sound of an item; True if it is the item's first."""
        first = item not in self._items
        if first:
            self._forget_heard()
            self._items[item] = _Spoken(content_index)
        self._items[item].sounded_samples += samples
        return first

    def finished(self, item: str) -> None:
        """No more sound follows for this item."""
        if spoken := self._items.get(item):
            spoken.finished = True

    def unfinished(self) -> list[str]:
        """Items whose sound has not all come."""
        return [item for item, spoken in self._items.items() if not spoken.finished]

    def cut(self) -> list[Cut]:
        """Empty the playout; the items that were cut by it, in order."""
        self._playout.flush()
        self._forget_heard()
        cuts = [
            Cut(
                item, spoken.content_index, min(self._playout.heard_ms(item), spoken.sounded_samples // _SAMPLES_PER_MS)
            )
            for item, spoken in self._items.items()
        ]
        self._items.clear()
        return cuts

    def _forget_heard(self) -> None:
        for item, spoken in list(self._items.items()):
            heard = self._playout.heard_ms(item)
            if spoken.finished and heard >= spoken.sounded_samples // _SAMPLES_PER_MS:
                del self._items[item]

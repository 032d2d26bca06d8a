"""Who said what, in order, as it was really heard.

The model's server sends the words of an answer faster than they are spoken, and sends words that an interruption then
keeps from being spoken. So an answer's text is settled only once its sound has gone to the wire or has been cut, and a
cut answer keeps the share of its words that its heard sound makes up of all its sound, rounded down to whole words.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["caller", "agent"]
Remembered = Literal["caller", "agent", "system"]

FASTEST_CHARACTERS_PER_SECOND = 15
"""Of speech. While an answer is unfinished its text runs ahead of its sound, so the share alone would be too much."""
TOLD_EVERY_MS = 500
"""Of an answer that is being heard: how often it is told how far it has come."""
TRANSCRIPTION_SECONDS = 5.0
"""The caller's words are waited for so long before later turns go ahead of them."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn; times are milliseconds of the media clock since the answer."""

    role: Role
    text: str
    from_ms: int
    to_ms: int
    interrupted: bool = False


@dataclass(slots=True)
class _Open:
    """A turn that is not settled."""

    role: Role
    item: str
    from_ms: int | None = None
    to_ms: int | None = None
    text: str = ""
    sounded_ms: int = 0
    finished: bool = False
    settled: bool = False
    interrupted: bool = False
    lasting: bool = False
    """Cannot be cut."""
    told_ms: int = 0
    """How much of it had been heard when that was last told."""
    stopped_at: float = field(default_factory=time.monotonic)

    def turn(self) -> Turn | None:
        if self.from_ms is None or not self.text:
            return None
        end = self.from_ms if self.to_ms is None else self.to_ms
        return Turn(self.role, self.text, self.from_ms, max(self.from_ms, end), self.interrupted)


def heard_part(text: str, *, sounded_ms: int, heard_ms: int, finished: bool) -> str:
    """The words of an answer that were certainly heard.

    `sounded_ms` is the sound that came with `text`, `heard_ms` how much of it went to the wire; `finished` says that
    text and sound are both complete.
    """
    if finished and heard_ms >= sounded_ms:
        return text
    if heard_ms <= 0 or sounded_ms <= 0:
        return ""
    end = len(text) * min(heard_ms, sounded_ms) // sounded_ms
    if not finished:
        end = min(end, heard_ms * FASTEST_CHARACTERS_PER_SECOND // 1000)
    if end < len(text) and not text[end].isspace():
        end = max(text.rfind(" ", 0, end), text.rfind("\n", 0, end), 0)
    return text[:end].rstrip()


class Transcript:
    """The turns of one call. `spoken` gets each turn once, in the order in which the turns began.

    `sounding` gets the agent's turn while it is being heard, as far as it has come: should this process die in its
    midst, that much is known.
    """

    def __init__(
        self,
        now_ms: Callable[[], int],
        heard_ms: Callable[[str], int],
        spoken: Callable[[Turn], None],
        sounding: Callable[[Turn], None],
    ) -> None:
        """`now_ms` is the media clock, `heard_ms` the playout's count for an item."""
        self._now_ms = now_ms
        self._heard_ms = heard_ms
        self._spoken = spoken
        self._sounding = sounding
        self._open: dict[str, _Open] = {}
        self._history: list[tuple[Remembered, str]] = []

    # --- the caller ---------------------------------------------------------------------------------------------------

    def caller_started(self, item: str, at_ms: int) -> None:
        """The caller began to speak."""
        self._open.setdefault(item, _Open("caller", item, from_ms=max(0, at_ms)))

    def caller_stopped(self, item: str, at_ms: int) -> None:
        """The caller's turn is over; its words are still to come."""
        if turn := self._open.get(item):
            turn.to_ms = at_ms
            turn.finished = True
            turn.stopped_at = time.monotonic()

    def caller_transcribed(self, item: str, text: str) -> None:
        """The words of the caller's turn; empty when none could be made out."""
        turn = self._open.get(item) or _Open("caller", item, from_ms=self._now_ms(), to_ms=self._now_ms())
        self._open[item] = turn
        turn.text = text.strip()
        turn.to_ms = self._now_ms() if turn.to_ms is None else turn.to_ms
        turn.settled = True
        self._hand_out()

    def caller_lost(self) -> None:
        """The connection that was listening is gone: words that have not come will not come."""
        for turn in self._open.values():
            if turn.role == "caller" and not turn.settled:
                turn.settled = True
        self._hand_out()

    # --- the agent ----------------------------------------------------------------------------------------------------

    def agent_said(self, item: str, text: str) -> None:
        """More words of an answer."""
        self._agent(item).text += text

    def agent_sounded(self, item: str, duration_ms: int) -> None:
        """More sound of an answer."""
        self._agent(item).sounded_ms += duration_ms

    def agent_finished(self, item: str) -> None:
        """All words and sound of an answer have come."""
        if turn := self._open.get(item):
            turn.finished = True

    def answers_finished(self) -> None:
        """The response they belong to is over, whether or not the end of each has been told."""
        for turn in self._open.values():
            turn.finished |= turn.role == "agent"

    def clip_queued(self, item: str, text: str, duration_ms: int, *, lasting: bool) -> None:
        """One of our own sentences will be heard; `lasting` ones whole, whatever the caller says."""
        self._open[item] = _Open("agent", item, text=text, sounded_ms=duration_ms, finished=True, lasting=lasting)

    def cut(self, *, all_of_it: bool = False) -> None:
        """What has not been heard of the agent's speech by now never will be, but for what cannot be cut."""
        for turn in self._open.values():
            if turn.role == "agent" and not turn.settled and (all_of_it or not turn.lasting):
                self._date(turn)
                heard = self._heard_ms(turn.item)
                turn.interrupted = not turn.finished or heard < turn.sounded_ms
                turn.text = heard_part(turn.text, sounded_ms=turn.sounded_ms, heard_ms=heard, finished=turn.finished)
                turn.settled = True
        self._hand_out()

    # --- both ---------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """See which answers have been heard whole by now. To be called a few times a second."""
        for turn in self._open.values():
            if turn.role == "agent" and not turn.settled:
                self._date(turn)
                if turn.finished and self._heard_ms(turn.item) >= turn.sounded_ms:
                    turn.text = turn.text.strip()
                    turn.settled = True
                else:
                    self._tell(turn)
        self._hand_out()

    def close(self) -> None:
        """The line is down: what was not heard by now never will be, and nobody will tell what the caller said."""
        self.cut(all_of_it=True)
        self.caller_lost()

    def remember(self, role: Remembered, text: str) -> None:
        """Keep something for the model's memory that is no turn, such as pressed keys or a tool's result."""
        self._history.append((role, text))

    def history(self) -> list[tuple[Remembered, str]]:
        """The conversation so far, for a model that has to pick it up; answers still playing count as heard."""
        return self._history + [(turn.role, turn.text) for turn in self._open.values() if turn.text]

    def _agent(self, item: str) -> _Open:
        return self._open.setdefault(item, _Open("agent", item))

    def _date(self, turn: _Open) -> None:
        heard = self._heard_ms(turn.item)
        if heard and turn.from_ms is None:
            turn.from_ms = max(0, self._now_ms() - heard)
        if turn.from_ms is not None:
            turn.to_ms = turn.from_ms + heard

    def _tell(self, turn: _Open) -> None:
        heard = self._heard_ms(turn.item)
        if turn.from_ms is not None and heard - turn.told_ms >= TOLD_EVERY_MS:
            turn.told_ms = heard
            text = heard_part(turn.text, sounded_ms=turn.sounded_ms, heard_ms=heard, finished=turn.finished)
            if text:
                self._sounding(Turn(turn.role, text, turn.from_ms, turn.from_ms + heard, interrupted=True))

    def _hand_out(self) -> None:
        """Give out settled turns from the front; a caller's turn whose words are slow is overtaken after a while."""
        now = time.monotonic()
        for item, turn in list(self._open.items()):
            if turn.settled:
                del self._open[item]
                if said := turn.turn():
                    self._history.append((said.role, said.text))
                    self._spoken(said)
            elif turn.role == "agent" or not turn.finished or now - turn.stopped_at < TRANSCRIPTION_SECONDS:
                return

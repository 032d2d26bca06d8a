"""The scripted mind: says and does what a test wrote down, faults included."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from voice.rehearsal.mind import Request, Say, Step


@dataclass(frozen=True)
class Turn:
    """One response, and what is understood of the caller before it."""

    steps: tuple[Step, ...]
    heard: str | None = None
    """Transcript of the caller's turn that this response follows; the script's own `heard` when None."""

    @classmethod
    def saying(cls, text: str) -> "Turn":
        """A turn of one sentence."""
        return cls((Say(text),))


@dataclass(frozen=True)
class Script:
    """What one session after another is played.

    Each response takes the next turn. After the last one, responses are empty, or begin again when `repeat`.
    """

    turns: Sequence[Turn] = ()
    repeat: bool = False
    heard: str = "I have a question."
    """Transcript of every caller's turn that has none of its own."""
    meanwhile: tuple[Step, ...] = ()
    """Runs beside the responses, from the session's start: Wait, WaitForSpeech, SendError, Drop."""
    pace: float = 4.0
    """Sound is sent so many times faster than it plays; 0: at once."""
    refused_connections: int = 0
    """The first so many WebSockets are answered with 503."""
    refused_tokens: int = 0
    """The first so many client secrets asked for are answered with 500."""

    @property
    def speaks(self) -> bool:
        """Whether the local voice will be needed."""
        return any(isinstance(step, Say) for turn in self.turns for step in turn.steps)


class ScriptedMind:
    """One session's way through a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._next = 0

    def _turn(self, number: int) -> Turn | None:
        turns = self._script.turns
        if not turns or (number >= len(turns) and not self._script.repeat):
            return None
        return turns[number % len(turns)]

    async def transcribe(self, s16: bytes, samples_per_second: int, session: dict[str, Any]) -> str:
        """What the script says the caller said; the sound is not listened to."""
        del s16, samples_per_second, session
        turn = self._turn(self._next)
        return self._script.heard if turn is None or turn.heard is None else turn.heard

    async def respond(self, request: Request) -> AsyncIterator[Step]:
        """The next turn's steps."""
        del request
        turn, self._next = self._turn(self._next), self._next + 1
        for step in turn.steps if turn is not None else ():
            yield step

    async def meanwhile(self) -> AsyncIterator[Step]:
        """The script's steps beside its turns."""
        for step in self._script.meanwhile:
            yield step

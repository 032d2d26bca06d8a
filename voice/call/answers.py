"""Which answers a model owes: one response at a time, asked for when nothing stands in the way."""

import time
from collections.abc import Callable


class Answers:
    """The bookkeeping of one call. `ask` sends the request for a response; False while there is no session."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._send_ask = ask
        self._asked_at: float | None = None
        """When an answer was asked for that has not ended; moves on with every sign of it."""
        self._wanted = False
        """An answer is to be asked for as soon as that is possible."""
        self._unwanted: set[str] = set()
        self._open_calls: set[str] = set()
        self.held = False
        """Nothing is to be answered for now."""
        self.response: str | None = None
        """Id of the response being made."""

    @property
    def owed(self) -> bool:
        """Whether an answer is to come."""
        return self._asked_at is not None or self._wanted

    @property
    def waited_seconds(self) -> float:
        """How long there has been no sign of an answer that the server owes; 0 when it owes none."""
        return 0.0 if self._asked_at is None or self.held else time.monotonic() - self._asked_at

    def want(self) -> None:
        """Ask for an answer, as soon as there is a session, nothing is held, and no response or tool is under way."""
        self._wanted = True
        self.ask_if_wanted()

    def ask_if_wanted(self) -> None:
        """Something that stood in the way may have gone."""
        if self._wanted and not self.held and not self._open_calls and self._asked_at is None and self._send_ask():
            self._wanted = False
            self._asked_at = time.monotonic()

    def sign_of_life(self) -> None:
        """A piece of an answer came."""
        if self._asked_at is not None:
            self._asked_at = time.monotonic()

    def cut(self) -> None:
        """Nobody wants to hear the rest of the response that is being made."""
        if self.response is not None:
            self._unwanted.add(self.response)

    def unwanted(self, response: str) -> bool:
        """Whether this response has been cut."""
        return response in self._unwanted

    # --- what the server does -----------------------------------------------------------------------------------------

    def begun(self, response: str) -> None:
        """The server makes a response."""
        self.response = response
        self._asked_at = time.monotonic()

    def ended(self, response: str) -> None:
        """It is complete, cancelled or failed."""
        self._unwanted.discard(response)
        self.response = self._asked_at = None

    def caller_started(self) -> None:
        """What was owed is overtaken by what the caller says now."""
        if self.response is None:
            self._asked_at = None

    def caller_stopped(self) -> None:
        """The server answers a turn by itself."""
        self._asked_at = time.monotonic()

    def tool_called(self, call_id: str) -> None:
        """The model waits for a result."""
        self._open_calls.add(call_id)

    def tool_answered(self, call_id: str) -> bool:
        """The result is there; False if the session that asked for it is gone."""
        known = call_id in self._open_calls
        self._open_calls.discard(call_id)
        return known

    def session_lost(self) -> None:
        """Forget what only that session knew; an answer that it owed is asked for again."""
        self._wanted = self.owed
        self._asked_at = self.response = None
        self._unwanted.clear()
        self._open_calls.clear()

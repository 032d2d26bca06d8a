"""The calls that are up on this machine, and which connection each belongs to."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from voice.desk.link import Link
from voice.waist.messages import LiveCall, LiveCallChanged, LiveTurn, LiveTurnHeard, WatchedCall

PLANNED = "planned"
"""State of a call of which nothing has been heard since its plan was granted."""
TURNS_KEPT = 200
"""The last turns of a call that a view which opens late still sees; memory only, gone with the call."""


LiveChange = LiveCallChanged | LiveTurnHeard
"""What a live view is told."""


@dataclass(frozen=True, slots=True)
class CallTerms:
    """What the desk itself has to remember of a plan: neither keys nor clips."""

    model: str
    """Name of the realtime model."""
    tools: frozenset[str]
    """Names of the tools that were offered."""


@dataclass(slots=True, kw_only=True)
class LiveSession:
    """One planned or running call."""

    session_id: str
    tenant_id: str
    project_id: str
    process: int
    """The worker that has the call: only this process may speak for it."""
    link: Link | None
    """The worker's connection, where orders go; None while it has none."""
    terms: CallTerms
    sip_call_id: str = ""
    """Empty for a spare plan, and for a call that an earlier desk had planned."""
    spare: bool = False
    """Planned ahead and not in use until its worker says something about it."""
    state: str = PLANNED
    tokens: int = 0
    """How many it has asked for."""
    since_unix: float = field(default_factory=time.time)
    turns: deque[LiveTurn] = field(default_factory=lambda: deque(maxlen=TURNS_KEPT))
    turns_heard: int = 0
    reading_noted: bool = False
    """The log knows that an operator reads along, or need not."""

    def turns_since(self, after: int) -> tuple[LiveTurn, ...]:
        """What has been said since the turn of this number, as far as it is still remembered."""
        first_kept = self.turns_heard - len(self.turns)
        return tuple(self.turns)[max(0, after - first_kept) :]

    def summary(self) -> LiveCall:
        """As operators see it: no word of what was said."""
        return LiveCall(
            session_id=self.session_id,
            tenant_id=self.tenant_id,
            project_id=self.project_id,
            worker=self.link.name if self.link else "",
            state=self.state,
            turns=self.turns_heard,
            since_unix=self.since_unix,
            sip_call_id=self.sip_call_id,
        )


class LiveCalls:
    """The table. Fed by the desk; read by operators and live views on the same event loop."""

    def __init__(self) -> None:
        self._sessions: dict[str, LiveSession] = {}
        self._watchers: set[Callable[[LiveChange], None]] = set()

    def add(self, session: LiveSession) -> None:
        """A plan was granted, or a worker came back with a call it already had."""
        self._sessions[session.session_id] = session

    def find(self, session_id: str) -> LiveSession | None:
        """The call, whoever has it."""
        return self._sessions.get(session_id)

    def of_line(self, sip_call_id: str) -> LiveSession | None:
        """The call of this Call-ID."""
        return next((one for one in self._sessions.values() if sip_call_id and one.sip_call_id == sip_call_id), None)

    def remove(self, session_id: str) -> LiveSession | None:
        """The call is over."""
        session = self._sessions.pop(session_id, None)
        if session is not None:
            session.state = "ended"
            self._tell_of(session)
        return session

    def of_process(self, process: int) -> list[LiveSession]:
        """The calls of one worker."""
        return [session for session in self._sessions.values() if session.process == process]

    def state_changed(self, session: LiveSession, state: str) -> None:
        """The call moved on."""
        session.state = state
        self._tell_of(session)

    def turn_heard(self, session: LiveSession, turn: LiveTurn) -> None:
        """Somebody has said something."""
        session.turns.append(turn)
        session.turns_heard += 1
        number = session.turns_heard - 1
        self._tell(LiveTurnHeard(session_id=session.session_id, number=number, turn=turn, is_whole=True))

    def turn_sounding(self, session: LiveSession, text: str) -> None:
        """The agent's turn is being heard, and has come so far. Not kept: the whole turn follows."""
        turn = LiveTurn(role="agent", text=text)
        number = session.turns_heard
        self._tell(LiveTurnHeard(session_id=session.session_id, number=number, turn=turn, is_whole=False))

    def up(self, tenant_id: str | None = None) -> tuple[LiveCall, ...]:
        """The calls that are up, oldest first; only one tenant's where it is named."""
        return tuple(
            session.summary()
            for session in self._sessions.values()
            if not session.spare and tenant_id in {None, session.tenant_id}
        )

    def watched(self) -> tuple[WatchedCall, ...]:
        """The calls that are up, oldest first, with the last turns of each."""
        return tuple(
            WatchedCall(call=session.summary(), turns=tuple(session.turns))
            for session in self._sessions.values()
            if not session.spare
        )

    def unused_for(self, seconds: float) -> list[LiveSession]:
        """Calls that were planned so long ago and of which nothing has been heard since; spare plans left out."""
        before = time.time() - seconds
        return [
            session
            for session in self._sessions.values()
            if session.state == PLANNED and not session.spare and session.since_unix < before
        ]

    def watch(self, told: Callable[[LiveChange], None]) -> Callable[[], None]:
        """Have `told` called at once, on the loop, for every change of every call; the result ends that."""
        self._watchers.add(told)
        return lambda: self._watchers.discard(told)

    def _tell_of(self, session: LiveSession) -> None:
        if not session.spare:
            self._tell(LiveCallChanged(call=session.summary()))

    def _tell(self, change: LiveChange) -> None:
        for told in tuple(self._watchers):
            told(change)

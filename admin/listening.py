"""How much of what is said in a call somebody reads along: as their rights and the project say, and the log knows."""

import time
from typing import Final
from uuid import UUID

from admin.ask import Ask
from admin.live_feed import KnownCall
from policies.access import Scope, Visibility
from policies.hipaa import handling
from policies.redaction import redact
from store import projects
from store.engine import StoreAwayError
from store.phi import note_reading
from voice.waist.messages import LiveTurn

_LOOK_AGAIN_S: Final = 10.0
"""So long a project's change of what its viewers see waits for those who are listening."""


class Listener:
    """Somebody who looks at calls that are up, for as long as one answer to them lasts."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._seen: dict[UUID, Visibility] = {}
        self._audited: set[UUID] = set()
        """Projects of which the log has to know who reads."""
        self._looked_at = 0.0

    async def reads(self, known: KnownCall, turn: LiveTurn, *, is_whole: bool) -> str | None:
        """The words of a turn as this person gets them; None: not at all.

        Of a project for health care nothing is read before the log knows who reads it; while the log cannot be written,
        nothing is.
        """
        try:
            visibility = await self._visibility(known.project_id)
            if visibility == "none" or not await self._noted(known):
                return None
        except StoreAwayError:
            return None
        if visibility == "all":
            return turn.text
        return redact(turn.text) if is_whole else None  # half a number looks like a word

    async def _visibility(self, project_id: UUID) -> Visibility:
        if (now := time.monotonic()) > self._looked_at + _LOOK_AGAIN_S:
            self._seen.clear()
            self._looked_at = now
        if project_id not in self._seen:
            if not self._ask.may(Scope.TRANSCRIPTS_READ, project_id):
                self._seen[project_id] = "none"
            else:
                async with self._ask.store() as store:
                    project = await projects.find(store, project_id)
                if project is not None and handling(hipaa=project.bounds.hipaa).reads_audited:
                    self._audited.add(project_id)
                is_locked = project is None or project.deletion_asked_at is not None
                viewers_see = "none" if project is None else project.viewers_see
                self._seen[project_id] = "none" if is_locked else self._ask.reader.visibility(project_id, viewers_see)
        return self._seen[project_id]

    async def _noted(self, known: KnownCall) -> bool:
        if known.project_id in self._audited and self._ask.actor not in known.read_by:
            async with self._ask.store() as store:
                await note_reading(store, "transcript", (known.session_id,), actor=self._ask.actor)
            known.read_by.add(self._ask.actor)
        return True

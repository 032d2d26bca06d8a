"""What the model and the transcript report, written down: into the journal, and to whoever watches the call live."""

import time
from collections.abc import Callable

from policies.call_flow import Event, ModelGivenUp
from voice.call.desk_client import DeskClient
from voice.call.journal import CallLog
from voice.call.latency import SoundLatency
from voice.call.model_connection import Event as ServerEvent
from voice.call.model_link import Change
from voice.call.transcript import Turn
from voice.waist import journal as records
from voice.waist.messages import TurnHeard
from voice.waist.plan import CallPlan


class Reports:
    """One call's. All of it is for the loop's thread, and none of it waits."""

    def __init__(
        self,
        plan: CallPlan,
        desk: DeskClient,
        log: CallLog,
        latency: SoundLatency,
        *,
        happened: Callable[[Event], None],
        caller_active: Callable[[], None],
    ) -> None:
        """`happened` gets events of the lifecycle; `caller_active` is called when the caller speaks."""
        self._session_id = plan.session_id
        self._desk = desk
        self._log = log
        self._latency = latency
        self._happened = happened
        self._caller_active = caller_active
        self.keeps_words = plan.recording.transcript
        """Turns may be written down."""
        self.connecting_since = 0.0
        """When the call began to connect to its model, by `time.monotonic()`."""

    def turn_spoken(self, turn: Turn) -> None:
        """A turn is settled."""
        if not self.keeps_words:
            return
        self._log.note(
            records.TurnSpoken(
                at_ms=self._log.at_ms,
                role=turn.role,
                text=turn.text,
                from_ms=turn.from_ms,
                to_ms=turn.to_ms,
                interrupted=turn.interrupted,
            )
        )
        self._desk.notify(TurnHeard(session_id=self._session_id, role=turn.role, text=turn.text))

    def turn_sounding(self, turn: Turn) -> None:
        """The agent's turn is being heard, and has come so far."""
        if self.keeps_words:
            self._log.note(
                records.TurnSounding(at_ms=self._log.at_ms, text=turn.text, from_ms=turn.from_ms, to_ms=turn.to_ms)
            )

    def model_changed(self, what: Change, code: str | None) -> None:
        """The connection to the model came up, failed, came back, or will not come back."""
        self._log.note(records.ModelChanged(at_ms=self._log.at_ms, what=what, code=code))
        if what == "connected":
            took_ms = round((time.monotonic() - self.connecting_since) * 1000, 2)
            self._log.note(records.LatencyMeasured(at_ms=self._log.at_ms, what="model_connected", took_ms=took_ms))
        elif what == "given_up":
            self._happened(ModelGivenUp())

    def usage_counted(self, usage: ServerEvent) -> None:
        """Tokens of one response."""
        heard = usage.get("input_token_details") or {}
        said = usage.get("output_token_details") or {}
        self._log.note(
            records.UsageCounted(
                at_ms=self._log.at_ms,
                input_text_tokens=int(heard.get("text_tokens") or 0),
                input_audio_tokens=int(heard.get("audio_tokens") or 0),
                output_text_tokens=int(said.get("text_tokens") or 0),
                output_audio_tokens=int(said.get("audio_tokens") or 0),
                cached_tokens=int(heard.get("cached_tokens") or 0),
            )
        )

    def answer_begun(self, item: str, caller_stopped_at: float | None) -> None:
        """An answer's first sound is queued; when (`time.monotonic()`) the caller had stopped, if that caused it."""
        if caller_stopped_at is not None:
            self._latency.expect(item, "caller_stopped_to_agent_audio", caller_stopped_at)

    def caller_spoke(self) -> None:
        """The caller began or stopped speaking."""
        self._caller_active()

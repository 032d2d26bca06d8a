"""What the model and the transcript report, written down: into the journal, and to whoever watches the call live."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

from policies.call_flow import Event, ModelGivenUp
from voice.call.desk_client import DeskClient
from voice.call.journal import CallLog
from voice.call.latency import SoundLatency
from voice.call.model_connection import Event as ServerEvent
from voice.call.model_connection import Traffic
from voice.call.model_link import Change
from voice.call.transcript import Turn
from voice.waist import journal as records
from voice.waist.messages import TokenMinted, TurnHeard, TurnSounding
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
        self._model_host = urlsplit(plan.model.url).hostname or ""
        self._desk = desk
        self._log = log
        self._latency = latency
        self._happened = happened
        self._caller_active = caller_active
        self.keeps_words = plan.recording.transcript
        """Words, keys and what tools are given may be written down: no more once the caller has said no."""
        self.connecting_since = 0.0
        """When the call began to connect to its model, by `time.monotonic()`."""
        self.traffic = Traffic()
        """What was exchanged with the model's server since that was last written down."""

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
        if not self.keeps_words:
            return
        self._log.note(
            records.TurnSounding(at_ms=self._log.at_ms, text=turn.text, from_ms=turn.from_ms, to_ms=turn.to_ms)
        )
        if self._desk.connected:  # it is of no use later, and would push out what is
            self._desk.notify(TurnSounding(session_id=self._session_id, text=turn.text))

    def model_changed(self, what: Change, code: str | None) -> None:
        """The connection to the model came up, failed, came back, or will not come back."""
        self.data_exchanged()
        self._log.note(records.ModelChanged(at_ms=self._log.at_ms, what=what, code=code))
        if what == "connected":
            took_ms = round((time.monotonic() - self.connecting_since) * 1000, 2)
            self._log.note(records.LatencyMeasured(at_ms=self._log.at_ms, what="model_connected", took_ms=took_ms))
        elif what == "given_up":
            self._happened(ModelGivenUp())

    def data_exchanged(self) -> None:
        """Write down what was exchanged; with every answer, so that a killed worker loses little of it."""
        if not self.traffic.sent_bytes and not self.traffic.received_bytes:
            return
        self._log.note(
            records.DataExchanged(
                at_ms=self._log.at_ms,
                host=self._model_host,
                sent_bytes=self.traffic.sent_bytes,
                received_bytes=self.traffic.received_bytes,
            )
        )
        self.traffic.sent_bytes = self.traffic.received_bytes = 0

    def token_minted(self, token: TokenMinted) -> None:
        """The desk has asked the model's server for a token."""
        self.traffic.sent_bytes += token.sent_bytes
        self.traffic.received_bytes += token.received_bytes

    def usage_counted(self, usage: ServerEvent) -> None:
        """Tokens of one response."""
        self.data_exchanged()
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

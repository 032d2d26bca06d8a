"""One telephone line, as the rest of the worker sees it.

It is not the stack's own call object, for the reasons that `sip.dialog` gives: it may live on as long as tasks,
closures and cycles keep it.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pjsua2 as pj
import structlog

from policies.line_events import (
    CallerHungUp,
    HeldByCaller,
    KeyPressed,
    LineEvent,
    LineFailed,
    LineStatistics,
    MediaAgreed,
    MediaLost,
    ResumedByCaller,
    SipMessageSeen,
    line_name,
)
from policies.quality import mean_opinion_score
from sip.invite import Invite
from sip.jitter import JitterGauge
from sip.media import MediaPort
from sip.message import RefusedError, uri_of
from sip.playout import Lane, Playout
from sip.stream_totals import StreamTotals
from sip.transport import LineTransport

if TYPE_CHECKING:
    from sip.dialog import SipCall

log = structlog.get_logger()

RETRY_AFTER_S = 5
KEY_MS = 240
"""How long the stack takes for a key that it sends, the end three times included."""
KEYS_BEGIN_MS = 40
TICK_ENDS_S = 0.04
"""A frame that was taken may still be on its way through the bridge; a stream that ends meanwhile loses it."""
_SENDS = pj.PJMEDIA_DIR_ENCODING
_RECEIVES = pj.PJMEDIA_DIR_DECODING


class PortPool(Protocol):
    """Where a line borrows its media port."""

    jitter: JitterGauge

    def borrow_port(self) -> MediaPort | None:
        """A free port, or None; there are as many as calls."""

    def return_port(self, port: MediaPort) -> None:
        """The line is done with it."""


class PhoneLine:
    """A telephone line as one call sees it (`voice.call.line.Line`). Used on the loop's thread only."""

    def __init__(self, invite: Invite, pool: PortPool, *, media_lost_seconds: float) -> None:
        self.sip_call_id = invite.sip_call_id
        self.called = invite.called
        self.caller = invite.caller
        self.trunk = invite.trunk
        self.media_lost_seconds = media_lost_seconds
        """No RTP for so long is reported, once for each time it happens; the call may change it."""
        self.on_tick: Callable[[bytes, bytes, int], None] | None = None
        self.playout = Playout()
        self.transport = LineTransport(self.playout, self.press)
        self._log = log.bind(sip_call=line_name(invite.sip_call_id))
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._sip: SipCall | None = None
        self._port: MediaPort | None = None
        self._on_event: Callable[[LineEvent], None] | None = None
        self._events: deque[LineEvent] = deque()
        self._delivery_planned = False
        self._answered: asyncio.Future[bool] | None = None
        self._transferred: asyncio.Future[int] | None = None
        self._up = False
        """Confirmed by the caller's ACK; the stack asserts that some operations come after it."""
        self._ended_by_us = False
        self._ended_by_caller = False
        self._held = False
        self._hears = False
        """Whether the caller is meant to send sound, by the last answer."""
        self._codec = ""
        self._media_index: int | None = None
        """Which of the call's media has a stream now."""
        self._streams: dict[int, int] = {}
        """Addresses of the live streams, by index."""
        self._past_streams = StreamTotals()
        self._packets_seen = 0
        self._heard_at = self._loop.time()
        self._loss_reported = False
        self._tick_failed = False

    # --- what the call may do -----------------------------------------------------------------------------------------

    @property
    def on_event(self) -> Callable[[LineEvent], None]:
        """Takes the line's events in order, each from a loop iteration of its own. Until it is set, events wait."""
        return self._on_event or self._events.append

    @on_event.setter
    def on_event(self, take: Callable[[LineEvent], None]) -> None:
        self._on_event = take
        self._plan_delivery()

    def ring(self) -> None:
        """Send 180; nothing once the call is answered or refused."""
        if self._answered is None and not self._ended_by_us:
            self._operate("ring", lambda sip: sip.answer(_operation(180)))

    async def answer(self) -> bool:
        """Send 200; True once the caller's ACK is there, False when the caller has gone.

        An ACK that never comes ends the call after 32 s (64*T1, RFC 3261 section 13.3.1.4).
        """
        if self._sip is None or self._ended_by_us:
            return False
        if self._answered is None:
            self._answered = self._loop.create_future()
            if not self._operate("answer", lambda sip: sip.answer(_operation(200))):
                self._not_answered()
        return await asyncio.shield(self._answered)

    def refuse(self, sip_status: int, reason: str) -> None:
        """Send a final refusal; a 503 says when to come back. A call that is answered already is hung up instead."""
        if self._ended_by_us:
            return
        if self._answered is not None:
            self.hang_up()
            return
        parameters = _operation(sip_status)
        parameters.reason = reason
        if sip_status == 503:
            header = pj.SipHeader()
            header.hName, header.hValue = "Retry-After", str(RETRY_AFTER_S)
            headers = pj.SipHeaderVector()
            headers.append(header)
            parameters.txOption.headers = headers
        self._ended_by_us = True
        # Never from within the stack's own report of the call: for an INVITE without SDP it would abort.
        self._loop.call_soon(self._operate, "refuse", lambda sip: sip.answer(parameters))

    def hang_up(self) -> None:
        """End the call: BYE, or 480 before the answer. Idempotent; sound that still waits is lost."""
        if self._ended_by_us:
            return
        self._ended_by_us = True
        if self._media_index is None:
            self._say_bye()
        else:
            self._loop.call_later(TICK_ENDS_S, self._say_bye)

    async def transfer(self, uri: str, deadline_seconds: float) -> int:
        """Send REFER (RFC 3515) and wait for its result.

        The final status the other side reported: of the REFER itself when that was refused, else of the NOTIFY. 408
        when none came in time, 481 when there is no call that is up, 491 while another transfer is under way, and what
        `sip.message.uri_of` says of an address that is none.
        """
        try:
            uri_of(uri)
        except RefusedError as error:
            return error.status
        if not self._up or self._ended_by_us:
            return 481
        if self._transferred is not None:
            return 491
        self._transferred = result = self._loop.create_future()
        try:
            if not self._operate("transfer", lambda sip: sip.xfer(f"<{uri}>", pj.CallOpParam())):
                return 481
            async with asyncio.timeout(deadline_seconds):
                return int(await result)
        except TimeoutError:
            return 408
        finally:
            self._transferred = None

    def press(self, digits: str) -> None:
        """Send keys (RFC 4733); those the stack does not know are logged and not sent.

        Sound waits meanwhile: the stack sends keys in its place.
        """
        if self._media_index is not None and self._operate("press", lambda sip: sip.dialDtmf(digits)):
            self.playout.rest(len(digits) * KEY_MS + KEYS_BEGIN_MS)

    def statistics(self) -> LineStatistics | None:
        """Quality so far, over all streams of the call; None before there was sound."""
        totals = self._totals()
        if not totals.received:
            return None
        return LineStatistics(
            codec=self._codec,
            received_packets=totals.received,
            lost_packets=totals.lost,
            jitter_ms=totals.jitter_ms,
            round_trip_ms=totals.round_trip_ms,
            mos=mean_opinion_score(
                codec=self._codec,
                lost_fraction=totals.unheard_share,
                jitter_ms=totals.jitter_ms,
                round_trip_ms=totals.round_trip_ms,
            ),
        )

    # --- what the stack reports ---------------------------------------------------------------------------------------

    def attach(self, sip: "SipCall") -> None:
        """Give the line its call."""
        self._sip = sip

    def message_seen(self, direction: Literal["in", "out"], summary: str) -> None:
        """A rung of the ladder; BYE and CANCEL also say who ended the call."""
        if direction == "in" and summary in {"BYE", "CANCEL"}:
            self._ended_by_caller = True
        self._emit(SipMessageSeen(direction, summary))

    def confirmed(self) -> None:
        """The caller's ACK is there."""
        self._up = True
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(True)

    def disconnected(self, status: int) -> None:
        """The call is over, for whatever reason; the stack's object must be let go of now."""
        if self._media_index is not None:
            self.stream_ended(self._media_index)
        self._sip = None
        if self._port is not None:
            self._pool.return_port(self._port)
            self._port = None
        self.playout.close()
        self.transport.close()
        self._up = False
        self._not_answered()
        self.transfer_progressed(408, final=True)
        if not self._ended_by_us:
            self._emit(CallerHungUp() if self._ended_by_caller or status == 487 else LineFailed(status))
        self.on_tick = None
        self._loop.call_soon(self._deliver)

    def key_pressed(self, digit: str) -> None:
        """A key, once per press."""
        self._emit(KeyPressed(digit))

    def transfer_progressed(self, status: int, *, final: bool) -> None:
        """The REFER was answered, or a NOTIFY came."""
        if self._transferred is not None and not self._transferred.done() and (final or status >= 300):
            self._transferred.set_result(status)

    def media_changed(self, index: int, *, codec: str, suite: str, direction: int, held: bool) -> None:
        """An offer was answered and there is a stream, in `direction` as seen from us."""
        if self._port is None:
            self._port = self._pool.borrow_port()
            if self._port is None:
                self._log.error("no_media_port_free")
                self.hang_up()
                return
            self._port.borrow(self.playout, self._tick)
        self._media_index = index
        self._codec = codec
        self._hears = bool(direction & _RECEIVES)
        self._heard_at = self._loop.time()
        port = self._port

        def connect(sip: "SipCall") -> None:
            media = sip.getAudioMedia(index)
            if direction & _RECEIVES:
                media.startTransmit(port)
            if direction & _SENDS:
                port.startTransmit(media)
            port.gauge(self._pool.jitter.of(self._streams.get(index, 0), sip.getStreamStat(index)))

        self._operate("connect", connect)
        self._emit(MediaAgreed(codec, suite))
        self.hold_changed(held=held)

    def hold_changed(self, *, held: bool) -> None:
        """The caller put us on hold, or took us off."""
        if held is not self._held:
            self._held = held
            self._heard_at = self._loop.time()
            self._emit(HeldByCaller() if held else ResumedByCaller())

    def stream_begun(self, index: int, address: int) -> None:
        """A stream was made, and lies at this address until it ends."""
        self._streams[index] = address

    def stream_ended(self, index: int) -> None:
        """A stream is about to go; its figures are kept."""
        self._streams.pop(index, None)
        if index == self._media_index:
            if self._port is not None:
                self._port.gauge(None)
            self._past_streams = self._totals()
            self._media_index = None
            self._packets_seen = 0

    def watch(self) -> None:
        """To be called every now and then: notices when the caller's RTP stops."""
        if self._sip is None or self._media_index is None or self._held or not self._hears:
            return
        now = self._loop.time()
        packets = self._totals().received
        if packets != self._packets_seen:
            self._packets_seen = packets
            self._heard_at = now
            self._loss_reported = False
        elif now - self._heard_at >= self.media_lost_seconds and not self._loss_reported:
            self._loss_reported = True
            self._emit(MediaLost())

    # --- inside -------------------------------------------------------------------------------------------------------

    def _tick(self, heard: bytes, rested_ms: int, said: bytes, lane: Lane | None, taken: int) -> None:
        on_tick = self.on_tick
        if on_tick is not None:
            try:
                on_tick(heard, said, rested_ms)
            except Exception as error:  # noqa: BLE001  # one call's mistake must not take the tick from the others
                self._tick_went_wrong(error)
        try:
            self.playout.tick_passed(lane, taken)
        except Exception as error:  # noqa: BLE001  # the same for a `played` callback
            self._tick_went_wrong(error)
        try:
            self.transport.tick(heard, spoke=lane is not None)
        except Exception as error:  # noqa: BLE001  # and for a stage of the pipeline
            self._tick_went_wrong(error)

    def _say_bye(self) -> None:
        self._operate("hang_up", lambda sip: sip.hangup(_operation(480)))

    def _not_answered(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(False)

    def _tick_went_wrong(self, error: Exception) -> None:
        if not self._tick_failed:  # said once, not fifty times a second
            self._tick_failed = True
            self._log.error("tick_failed", exc_info=error)

    def _totals(self) -> StreamTotals:
        if self._media_index is not None and self._sip is not None:
            with contextlib.suppress(pj.Error):  # the stream is already gone
                return self._past_streams.plus(self._sip.getStreamStat(self._media_index))
        return self._past_streams

    def _operate(self, what: str, operation: "Callable[[SipCall], object]") -> bool:
        if self._sip is None:
            return False
        try:
            operation(self._sip)
        except pj.Error as error:
            self._log.warning("sip_operation_failed", operation=what, pj_status=error.status)
            return False
        return True

    def _emit(self, event: LineEvent) -> None:
        self._events.append(event)
        self._plan_delivery()

    def _plan_delivery(self) -> None:
        if self._events and self._on_event is not None and not self._delivery_planned:
            self._delivery_planned = True
            self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        """Hand over what waits: in a callback of the loop's, not of the stack's, so that any operation may follow."""
        self._delivery_planned = False
        while self._events and self._on_event is not None:
            event = self._events.popleft()
            try:
                self._on_event(event)
            except Exception:  # noqa: BLE001  # the next event still has to come
                self._log.exception("line_event_failed", line_event=type(event).__name__)
        if self._sip is None and not self._events:
            self._on_event = None  # nothing more will come: the line must not keep its call alive


def _operation(status: int) -> Any:
    parameters = pj.CallOpParam(True)
    parameters.statusCode = status
    return parameters

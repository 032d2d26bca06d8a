"""The stack's object for a call: thin and short-lived.

The destructor of a `pj.Call` hangs up whichever live call now owns its slot, and slots are reused at once. So a
`SipCall` is referred to by the endpoint's table of live calls and by its line alone, and both let go inside the
callback that reports its end: it dies there, by reference count.
"""

import re
from collections.abc import Callable
from typing import Any, Literal

import pjsua2 as pj
import structlog

from sip.call import PhoneLine

log = structlog.get_logger()

_MESSAGE = re.compile(r"(Request|Response) msg (\S+?)(?:/([A-Z]+))?/cseq=")
_SUITE = re.compile(r"Crypto-suite: (\S+)")
_UPDATE_OF_A_KEY = 1  # PJMEDIA_STREAM_DTMF_IS_UPDATE, which the binding does not name
_DIRECTION: dict[int, Literal["in", "out"]] = {pj.PJSIP_EVENT_RX_MSG: "in", pj.PJSIP_EVENT_TX_MSG: "out"}
_WITH_STREAM = (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD, pj.PJSUA_CALL_MEDIA_LOCAL_HOLD)


class SipCall(pj.Call):  # type: ignore[misc]  # the binding has no types
    """Turns the stack's callbacks into calls on the line. How long it lives is said at the head of this file."""

    def __init__(
        self, account: Any, call_id: int, line: PhoneLine, ended: Callable[["SipCall", PhoneLine], None]
    ) -> None:
        super().__init__(account, call_id)
        self._line: PhoneLine | None = line
        self._ended = ended

    def _reported(self, callback: Callable[[PhoneLine], None]) -> None:
        """Run a callback's body; an exception that escaped would be printed and forgotten by the binding."""
        line = self._line
        if line is None:
            return
        try:
            callback(line)
        except Exception:  # see above
            log.exception("sip_callback_failed")

    def onCallState(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """The call moved on."""
        del event
        self._reported(self._state_changed)

    def _state_changed(self, line: PhoneLine) -> None:
        about = self.getInfo()
        if about.state == pj.PJSIP_INV_STATE_CONFIRMED:
            line.message_seen("in", "ACK")
            line.confirmed()
        elif about.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            try:
                line.disconnected(int(about.lastStatusCode))
            finally:
                self._line = None
                self._ended(self, line)

    def onCallTsxState(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """A transaction of this call moved on; the messages that did it make up the ladder."""

        def seen(line: PhoneLine) -> None:
            change = event.e.body.tsxState
            direction = _DIRECTION.get(change.type)
            if direction is None:
                return
            message = _MESSAGE.match(change.src.rdata.info if direction == "in" else change.src.tdata.info)
            if message is not None:
                kind, what, of_method = message.groups()
                line.message_seen(direction, what if kind == "Request" else f"{what} {of_method}")

        self._reported(seen)

    def onCallMediaState(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """Offer and answer met."""
        del event

        def changed(line: PhoneLine) -> None:
            about = self.getInfo()  # to be kept: `media` points into it
            for media in about.media:
                if media.type != pj.PJMEDIA_TYPE_AUDIO:
                    continue
                held = media.status == pj.PJSUA_CALL_MEDIA_REMOTE_HOLD
                if media.status not in _WITH_STREAM or media.dir == pj.PJMEDIA_DIR_NONE:
                    line.hold_changed(held=held)
                    continue
                suite = _SUITE.search(self.dump(True, ""))
                line.media_changed(
                    int(media.index),
                    codec=str(self.getStreamInfo(media.index).codecName),
                    suite=suite[1] if suite else "none",
                    direction=int(media.dir),
                    held=held,
                )

        self._reported(changed)

    def onStreamCreated(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """A stream begins: at the answer, and at each re-INVITE that changes it."""
        self._reported(lambda line: line.stream_begun(int(event.streamIdx), int(event.stream)))

    def onStreamDestroyed(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """A stream goes: at the end, and at each re-INVITE that changes it."""
        self._reported(lambda line: line.stream_ended(int(event.streamIdx)))

    def onDtmfEvent(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """A key, reported with every packet that carries it."""
        if not event.flags & _UPDATE_OF_A_KEY:
            self._reported(lambda line: line.key_pressed(str(event.digit)))

    def onCallTransferRequest(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """The caller wants us to call someone else. Refused; left alone, the stack would dial by itself."""
        event.statusCode = 603

    def onCallTransferStatus(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """Our REFER was answered, or a NOTIFY told how it goes."""
        status, final = int(event.statusCode), bool(event.finalNotify)
        self._reported(lambda line: line.transfer_progressed(status, final=final))

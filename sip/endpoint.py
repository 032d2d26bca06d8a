"""The SIP stack of a worker process: pjsua2 driven by the asyncio loop.

There is one per process and it can be started once. The stack has no thread of its own for SIP: the loop pumps it when
its socket is readable and on every timer tick, so every callback but the media clock's runs on the loop's thread, and
nothing here needs a lock. The library is built with assertions, so whatever breaks its rules aborts the worker: no call
into it from another thread, no second endpoint, no media object left when the process ends without `stop`.
"""

import asyncio
import contextlib
import ctypes
import gc
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pjsua2 as pj
import structlog

from policies.line_events import line_name
from sip.call import PhoneLine
from sip.control import ANNOUNCE_EVERY_S, CallEnded, ControlSender, WorkerReady
from sip.dialog import SipCall
from sip.invite import read_invite
from sip.jitter import JitterGauge
from sip.media import MediaClock, MediaPort, make_ports
from sip.settings import WorkerSettings

log = structlog.get_logger()

TICK_S = 0.05
"""How often the stack's timers are looked after; messages wake it at once."""
WATCH_EVERY_S = 0.5
DRAIN_S = 0.3
"""How long `stop` goes on serving the stack after the last call: BYEs are answered, sockets of calls are let go."""
CALLS_PER_COLLECTION = 8
"""A finished call leaves some 0.2 MB of cycles; after so many a worker that has no call takes 20 ms to free them."""
QUIET_BEFORE_COLLECTION_S = 1.0
MOST_UNCOLLECTED_CALLS = 100
"""A worker that is never without a call takes the pause all the same after so many, rather than grow for ever."""
_NEVER = 1_000_000
CALLS_ASKED_FOR = 1_000
JITTER_BUFFER_MS = 40
"""How long the caller's sound rests here so that late packets are in time; so long after it was said it comes out."""
"""The library cuts it down to what it was built for."""

CODECS = {"PCMU": 200, "PCMA": 199, "G722": 198}
"""By priority; all others are off."""
SRTP_SUITES = ("AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80")
"""The suites with a whole authentication tag, the stronger one first (RFC 6188, RFC 4568)."""


class Endpoint:
    """The worker's SIP endpoint.

    `on_line` gets a `PhoneLine` for each INVITE, on the loop's thread; it may refuse at once, or keep the line and
    answer later. What it raises refuses the call with 500.
    """

    def __init__(self, settings: WorkerSettings, on_line: Callable[[PhoneLine], None]) -> None:
        self._settings = settings
        self._on_line = on_line
        self._loop = asyncio.get_running_loop()
        self._control = ControlSender(settings.edge_control)
        self._calls: dict[int, tuple[SipCall, PhoneLine]] = {}
        """The live-call table: the only place but the line itself that refers to a `SipCall`."""
        self._stack: _Stack | None = None
        self._account: _Account | None = None
        self._free_ports: list[MediaPort] = []
        self.jitter = JitterGauge()
        """Tells the lines how long their callers' sound rests."""
        self._sip_socket = -1
        self._timer: asyncio.TimerHandle | None = None
        self._watch_at = 0.0
        self._announce_at = 0.0
        self._quiet_since = 0.0
        self._ended_since_collection = 0
        self._last_invite = ""
        self._draining = False
        self.sip_port = 0
        """UDP port on 127.0.0.1 where the stack listens; known after `start`."""
        self.max_calls = 0
        """Calls that the build of the library can carry at once; known after `start`."""
        self.frames_in_place = False
        """Whether sound is read and written the quick way, see `sip.frames`."""

    @property
    def calls_free(self) -> int:
        """Calls that could be taken now."""
        return self.max_calls - len(self._calls)

    @property
    def lines(self) -> list[PhoneLine]:
        """The lines of all live calls."""
        return [line for _, line in self._calls.values()]

    def start(self) -> None:
        """Bring the stack up, tell the edge, and serve until `stop`.

        Raises:
            pj.Error: The library could not start, for instance because no port was free.
        """
        sys.setswitchinterval(self._settings.switch_interval_s)
        gc.set_threshold(700, 10, _NEVER)  # a full collection stops the media clock: see collect_when_idle
        stack = self._stack = _Stack(self._rejected)
        with _quiet_stdout():
            stack.libCreate()
        stack.libInit(_stack_config())
        transport = pj.TransportConfig()
        transport.boundAddress = "127.0.0.1"
        number = stack.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self.sip_port = int(stack.transportGetInfo(number).localAddress.rpartition(":")[2])
        stack.libStart()
        stack.audDevManager().setNullDev()
        _choose_codecs(stack)
        self.max_calls = calls_allowed()
        clock = MediaClock(self._loop)
        self._free_ports, self.frames_in_place = make_ports(self.max_calls, clock)
        if not self.frames_in_place:
            log.warning("media_frames_by_the_book")
        self._account = _Account(self._incoming)
        self._account.create(_account_config(self._settings, self.sip_port))
        self._sip_socket = _udp_socket_on(self.sip_port)
        self._loop.add_reader(self._sip_socket, self._pump)
        self._tick()

    async def stop(self) -> None:
        """Hang up all calls, let the stack finish, and take it down. The process may then exit in any way."""
        self._draining = True
        self._announce()
        for line in self.lines:
            line.hang_up()
        await asyncio.sleep(DRAIN_S)
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sip_socket)
        for _, line in list(self._calls.values()):  # those whose peer never answered our BYE
            line.disconnected(408)
        self._calls.clear()
        stack, self._stack, self._account = self._stack, None, None
        if stack is not None:
            stack.audDevManager().setNoDev()  # stops the media clock, so that its ports may go
            self._free_ports.clear()
            gc.collect()  # a media object that outlived the library would abort the process
            stack.libDestroy(pj.PJSUA_DESTROY_NO_RX_MSG | pj.PJSUA_DESTROY_NO_TX_MSG)
        self._control.close()

    def drain(self) -> None:
        """Ask the edge for no further call; those that run go on."""
        self._draining = True
        self._announce()

    def collect_when_idle(self) -> None:
        """Free what finished calls left, if there is no call that would hear the pause. Called on every timer tick."""
        quiet = not self._calls and self._loop.time() - self._quiet_since >= QUIET_BEFORE_COLLECTION_S
        if self._ended_since_collection >= (CALLS_PER_COLLECTION if quiet else MOST_UNCOLLECTED_CALLS):
            self._ended_since_collection = 0
            gc.collect()

    # --- a pool of ports for the lines --------------------------------------------------------------------------------

    def borrow_port(self) -> MediaPort | None:
        """A port that no call uses."""
        return self._free_ports.pop() if self._free_ports else None

    def return_port(self, port: MediaPort) -> None:
        """Back into the pool."""
        port.give_back()
        self._free_ports.append(port)

    # --- the stack's callbacks ----------------------------------------------------------------------------------------

    def _incoming(self, account: Any, event: Any) -> None:
        message = self._last_invite = str(event.rdata.wholeMsg)
        invite = read_invite(message)
        line = PhoneLine(invite, self, media_lost_seconds=self._settings.rtp_inactivity_s)
        sip = SipCall(account, event.callId, line, self._ended)
        line.attach(sip)
        self._calls[id(sip)] = (sip, line)
        line.message_seen("in", "INVITE")
        if not self._is_the_edge(str(event.rdata.srcAddress)):
            log.warning("invite_past_the_edge", sip_call=line_name(line.sip_call_id))
            line.refuse(403, "Forbidden")
        elif self._draining:
            line.refuse(503, "Service Unavailable")
        else:
            try:
                self._on_line(line)
            except Exception:  # a call that cannot be taken must not stay unanswered
                log.exception("line_not_taken", sip_call=line_name(line.sip_call_id))
                line.refuse(500, "Server Internal Error")

    def _ended(self, sip: SipCall, line: PhoneLine) -> None:
        self._calls.pop(id(sip), None)
        self._ended_since_collection += 1
        self._quiet_since = self._loop.time()
        self._control.send(CallEnded(index=self._settings.index, sip_call_id=line.sip_call_id))

    def _rejected(self, message: str) -> None:
        """The stack refused an INVITE by itself; unless it had offered it to us before, no line ever was."""
        if message == self._last_invite:
            return
        self._control.send(CallEnded(index=self._settings.index, sip_call_id=read_invite(message).sip_call_id))

    def _is_the_edge(self, source: str) -> bool:
        host, port = self._settings.edge_address
        return source == f"{host}:{port}" or (port == 0 and source.rpartition(":")[0] == host)

    # --- the loop's part ----------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        if self._stack is not None:
            handle = self._stack.libHandleEvents
            for _ in range(64):
                if handle(0) <= 0:
                    break

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._pump()
        now = self._loop.time()
        if now >= self._watch_at:
            self._watch_at = now + WATCH_EVERY_S
            for line in self.lines:
                line.watch()
        if now >= self._announce_at:
            self._announce()
        self.collect_when_idle()

    def _announce(self) -> None:
        self._announce_at = self._loop.time() + ANNOUNCE_EVERY_S
        self._control.send(
            WorkerReady(
                index=self._settings.index,
                sip_port=self.sip_port,
                slots=0 if self._draining else self.max_calls,
                live_calls=tuple(line.sip_call_id for line in self.lines),
            )
        )


class _Stack(pj.Endpoint):  # type: ignore[misc]  # the binding has no types
    """The library's endpoint, for the one callback of its that matters here."""

    def __init__(self, rejected: Callable[[str], None]) -> None:
        super().__init__()
        self._rejected = rejected

    def onRejectedIncomingCall(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """An INVITE that the stack refused itself: no codec in common, no slot, a bad extension."""
        try:
            self._rejected(str(event.rdata.wholeMsg))
        except Exception:  # the binding would print and forget it
            log.exception("sip_callback_failed")


class _Account(pj.Account):  # type: ignore[misc]  # the binding has no types
    """The account that all calls come in on."""

    def __init__(self, incoming: Callable[[Any, Any], None]) -> None:
        super().__init__()
        self._incoming = incoming

    def onIncomingCall(self, event: Any) -> None:  # noqa: N802  # pjsua2's name
        """A new INVITE with media that can be agreed on."""
        try:
            self._incoming(self, event)
        except Exception:  # the binding would print and forget it
            log.exception("sip_callback_failed")


def _stack_config() -> Any:
    config = pj.EpConfig()
    config.logConfig.level = config.logConfig.consoleLevel = 0
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.maxCalls = CALLS_ASKED_FOR
    config.uaConfig.userAgent = "Aitelier"
    media = config.medConfig
    media.threadCnt = 1
    media.clockRate = media.sndClockRate = 8_000
    media.audioFramePtime = 20
    media.noVad = True
    media.ecTailLen = 0
    # No packet late at 40 ms of jitter and 2 % of loss, some 44 ms above the network's delay; less on a clean line.
    media.jbInit, media.jbMinPre, media.jbMaxPre, media.jbMax = JITTER_BUFFER_MS, JITTER_BUFFER_MS, 80, 200
    return config


def _account_config(settings: WorkerSettings, sip_port: int) -> Any:
    config = pj.AccountConfig()
    config.idUri = f"sip:agent@127.0.0.1:{sip_port}"
    config.callConfig.prackUse = pj.PJSUA_100REL_OPTIONAL
    config.callConfig.timerUse = pj.PJSUA_SIP_TIMER_OPTIONAL
    media = config.mediaConfig
    media.transportConfig.port = settings.rtp_first_port
    media.transportConfig.portRange = settings.rtp_last_port - settings.rtp_first_port
    bound = "" if ipaddress.ip_address(settings.rtp_bind).is_unspecified else settings.rtp_bind
    media.transportConfig.boundAddress = bound
    media.transportConfig.publicAddress = settings.rtp_public or bound  # empty: the stack finds the machine's own
    media.transportConfig.qosType = pj.PJ_QOS_TYPE_VOICE
    media.srtpUse = pj.PJMEDIA_SRTP_OPTIONAL  # the edge refuses what a trunk's policy forbids
    media.srtpSecureSignaling = 0  # the leg between edge and worker is loopback
    for name in SRTP_SUITES:
        suite = pj.SrtpCrypto()
        suite.name = name
        media.srtpOpt.cryptos.append(suite)
    media.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    return config


def _choose_codecs(stack: Any) -> None:
    for codec in stack.codecEnum2():
        stack.codecSetPriority(codec.codecId, CODECS.get(codec.codecId.split("/")[0], 0))


def calls_allowed() -> int:
    """Calls that the library, once it is up, can carry at once."""
    library = ctypes.PyDLL(sys.modules[pj.Call.__module__]._pjsua2.__file__)  # noqa: SLF001  # where the C functions are
    count = library.pjsua_call_get_max_count
    count.restype = ctypes.c_uint
    return int(count())


def _udp_socket_on(port: int) -> int:
    """The descriptor of the library's SIP socket, which it does not tell."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as candidate:
            is_udp = candidate.family == socket.AF_INET and candidate.type == socket.SOCK_DGRAM
            if is_udp and candidate.getsockname()[1] == port:
                return int(entry.name)
    raise RuntimeError("the library's SIP socket is not to be found")


@contextlib.contextmanager
def _quiet_stdout() -> Iterator[None]:
    """The library greets on standard output before it can be told not to."""
    sys.stdout.flush()
    kept, void = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(void, 1)
        yield
        ctypes.PyDLL(None).fflush(None)  # it waits in C's buffer, which knows nothing of descriptors
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(void)

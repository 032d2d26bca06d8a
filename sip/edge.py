"""The edge: the one process that the telephone network can reach. It routes; no tenant's secret is in it.

Peers' messages come through `sip.doors` and are judged in `sip.inbound`; workers' messages come over loopback and go
out through `sip.outbound`. What belongs to a dialog travels sealed inside its messages (`sip.tokens`), so that calls
over UDP outlive a restart of this process. Workers and supervisor speak to it over `<run>/edge.sock` (`sip.control`).
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterable
from functools import partial
from typing import Literal

import msgspec
import structlog

from policies.line_events import line_name
from sip.calls import Call, Repeater, Stage
from sip.control import (
    CONTROL_NAME,
    LONGEST_DATAGRAM,
    CallEnded,
    CertificatesRenewed,
    ControlMessage,
    DrainOrdered,
    EdgeReport,
    ReportRequested,
    TrunksPublished,
    WorkerDied,
    WorkerReady,
    decode,
    encode,
)
from sip.counters import Counters
from sip.doors import Doors, NoDoorError
from sip.exchange import GRACE_S, Exchange
from sip.inbound import Inbound
from sip.outbound import Outbound
from sip.pool import Pool
from sip.settings import EdgeSettings
from sip.tokens import Flow, Sealer, load_secret
from sip.trunks import TRUNKS_NAME, BadTrunksError, Trunk, TrunkTable, read_trunks
from sip.writing import answer

_log = structlog.get_logger()

_SECRET_NAME = "edge.secret"  # noqa: S105 - the name of a file
_DATAGRAMS_A_TURN = 64
_RECEIVE_BUFFER_BYTES = 4 << 20
_SWEEP_S = 0.5
_FORGET_S = 40.0
"""How long a finished call is remembered, for late retransmissions (64*T1 is 32 s)."""
_CREDENTIALS = struct.Struct("3i")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_CREDENTIALS.size)
_RETRY = "Retry-After: 2"


class Edge:
    """One edge process. `await run()` serves until `stop()`; all other methods are called on the same loop.

    Raises, from `run`, `NoDoorError` when an address or certificate is not usable and `OSError` when the run folder is
    not.
    """

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        self._stopped = asyncio.Event()
        self.started = asyncio.Event()
        """Set once all doors are open."""
        self._counters = Counters()
        self._doors = Doors(settings, self._counters)
        inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._exchange = Exchange(
            settings=settings,
            sealer=Sealer(load_secret(settings.run_folder / _SECRET_NAME)),
            doors=self._doors,
            pool=Pool(settings.max_calls, settings.limits.cooling_s),
            counters=self._counters,
            repeater=Repeater(self._doors.send),
            inside=inside,
            started_s=0.0,
        )
        self._inbound = Inbound(self._exchange)
        self._outbound = Outbound(self._exchange)
        self._doors.on_message = self._inbound.message
        self._doors.on_unframed = self._inbound.unframed
        self._doors.on_turned_away = self._turned_away
        self._doors.tls_floor = self._tls_floor
        self._doors.in_use = self._in_use
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sweeper: asyncio.TimerHandle | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Open all doors and serve until `stop` or cancellation, then close everything."""
        loop = asyncio.get_running_loop()
        exchange = self._exchange
        try:
            exchange.inside.setblocking(False)
            exchange.inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
            exchange.inside.bind(("127.0.0.1", self._settings.inner_port))
            exchange.inner = "{}:{}".format(*exchange.inside.getsockname())
            exchange.started_s = loop.time()
            self._open_control()
            self._doors.open()
            self._read_trunks()
            loop.add_reader(exchange.inside, self._read_inside)
            loop.add_reader(self._control, self._read_control)
            self._sweep()
            _log.info("sip_edge_open", addresses=self._doors.addresses())
            self.started.set()
            await self._stopped.wait()
        finally:
            self._close()

    def stop(self) -> None:
        """Let `run` return."""
        self._stopped.set()

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for opened in (self._exchange.inside, self._control):
            if opened.fileno() >= 0:
                loop.remove_reader(opened)
                opened.close()
        self._exchange.repeater.close()
        self._doors.close()

    def _open_control(self) -> None:
        path = self._settings.run_folder / CONTROL_NAME
        path.unlink(missing_ok=True)  # a predecessor's; the supervisor never runs two
        self._control.setblocking(False)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._control.bind(str(path))
        path.chmod(0o666)  # who may say what is decided by the sender's credentials, which the kernel vouches for

    # --- what the supervisor does ------------------------------------------------------------------------------------

    @property
    def inner_address(self) -> tuple[str, int]:
        """Where workers send their SIP messages; known once started."""
        host, _, port = self._exchange.inner.partition(":")
        return host, int(port or 0)

    def port(self, transport: str) -> int:
        """Port of the first door of "udp", "tcp" or "tls"; 0 when there is none."""
        return self._doors.port("udp" if transport == "udp" else "tcp" if transport == "tcp" else "tls")

    def set_trunks(self, trunks: Iterable[Trunk]) -> None:
        """From now on only these, and loopback, may call. Raises `BadTrunksError`; the old ones stay then."""
        self._exchange.trunks = TrunkTable(trunks)
        self._doors.set_lowest_tls(self._exchange.trunks.lowest_tls)

    def drain(self, retry_after_s: int = 30) -> None:
        """Take no new call; those that run go on."""
        self._exchange.draining_retry_s = retry_after_s

    def reload_certificates(self) -> None:
        """Read certificate and key again. Raises `NoDoorError`; the old ones stay then."""
        self._doors.reload_certificates()

    def worker_died(self, index: int) -> None:
        """End a dead worker's calls towards their callers: BYE where there is a dialog, 503 where there is none."""
        worker = self._exchange.pool.remove(index)
        if worker is None:
            return
        self._counters.worker_deaths.inc()
        if self._exchange.now_s() - self._exchange.started_s < GRACE_S:
            self._exchange.dead_seats.add(worker.sip_port)
        ended = 0
        for call in self._exchange.calls.values():
            if call.worker == index and call.seat == worker.sip_port and not call.over:
                self._end_towards_peer(call)
                ended += 1
        _log.warning("sip_worker_lost", worker=index, calls=ended)

    def report(self) -> EdgeReport:
        """How the edge is."""
        exchange, now_s = self._exchange, self._exchange.now_s()
        free = exchange.pool.free_slots(now_s)
        self._counters.calls.set(exchange.pool.calls)
        self._counters.free_slots.set(free)
        self._counters.workers_up.set(exchange.pool.up(now_s))
        return EdgeReport(
            ready=free > 0 and exchange.draining_retry_s is None,
            draining=exchange.draining_retry_s is not None,
            workers_up=exchange.pool.up(now_s),
            calls=exchange.pool.calls,
            free_slots=free,
            connections=self._doors.connections,
            addresses=self._doors.addresses(),
            refusals=exchange.refusals.listed(),
            metrics=self._counters.text(),
        )

    # --- control socket ----------------------------------------------------------------------------------------------

    def _read_control(self) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                data, ancillary, _, sender = self._control.recvmsg(
                    LONGEST_DATAGRAM, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except OSError:  # nothing more to read
                return
            pid, uid = 0, -1
            for level, kind, content in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
                    pid, uid, _ = _CREDENTIALS.unpack(content)
            try:
                message = decode(data)
            except msgspec.DecodeError:
                self._counters.dropped("a control message that is none")
                continue
            self._controlled(message, pid, uid, sender)

    def _controlled(self, message: ControlMessage, pid: int, uid: int, sender: bytes | str | None) -> None:
        trusted = uid in {0, os.geteuid()}
        if isinstance(message, WorkerReady | CallEnded):
            if trusted or uid == self._settings.worker_uid:
                self._from_worker(message, pid)
                return
        elif trusted:
            self._ordered(message, sender)
            return
        self._counters.dropped("a control message of a user who may not")
        _log.warning("sip_control_refused", kind=type(message).__name__, uid=uid)

    def _from_worker(self, message: WorkerReady | CallEnded, pid: int) -> None:
        pool, now_s = self._exchange.pool, self._exchange.now_s()
        if self._settings.workers is not None and not 0 <= message.index < self._settings.workers:
            self._counters.dropped("a worker that there is not")
            return
        known = pool.worker(message.index)
        if known is not None and known.pid != pid:
            if _lives(known.pid):
                self._counters.dropped("a worker that speaks for another")
                _log.warning("sip_worker_impostor", worker=message.index, pid=pid)
                return
            self.worker_died(message.index)
        if isinstance(message, WorkerReady):
            if pool.announced(message, pid, now_s) and known is None:
                _log.info("sip_worker_up", worker=message.index, slots=message.slots)
            return
        pool.release(message.index, message.sip_call_id, now_s)
        call = self._exchange.calls.get(message.sip_call_id)
        if call is not None and call.worker == message.index:
            call.ended_s = call.ended_s or now_s

    def _ordered(self, message: ControlMessage, sender: bytes | str | None) -> None:
        match message:
            case WorkerDied(index=index):
                self.worker_died(index)
            case TrunksPublished():
                self._read_trunks()
            case DrainOrdered(retry_after_s=retry_after_s):
                self.drain(retry_after_s)
            case CertificatesRenewed():
                try:
                    self.reload_certificates()
                except NoDoorError as error:
                    _log.error("sip_certificates_unusable", reason=str(error))
            case ReportRequested() if sender:
                with contextlib.suppress(OSError):  # who asked has gone
                    self._control.sendto(encode(self.report()), sender)

    def _read_trunks(self) -> None:
        try:
            self.set_trunks(read_trunks(self._settings.run_folder / TRUNKS_NAME))
        except BadTrunksError as error:
            _log.error("sip_trunks_unusable", reason=str(error))

    def _turned_away(self, flow: Flow, why: str) -> None:
        self._exchange.note_refusal(flow, "TLS", 0, why)

    def _tls_floor(self, ip: str) -> Literal["1.2", "1.3"]:
        trunk = self._exchange.trunks.find(ip)
        return trunk.min_tls if trunk is not None else "1.3"

    def _in_use(self, connection: int) -> bool:
        return any(call.flow.connection == connection and not call.over for call in self._exchange.calls.values())

    # --- inside ------------------------------------------------------------------------------------------------------

    def _read_inside(self) -> None:
        for _ in range(_DATAGRAMS_A_TURN):
            try:
                data, address = self._exchange.inside.recvfrom(65_535)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier datagram
                continue
            self._outbound.message(data, address[1])

    # --- what time brings --------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        now_s, limits = self._exchange.now_s(), self._settings.limits
        for call_id, call in list(self._exchange.calls.items()):
            if call.ended_s is not None:
                if now_s - call.ended_s > _FORGET_S:
                    del self._exchange.calls[call_id]
            elif not call.final:
                patience_s = limits.silent_worker_s if call.stage is Stage.HANDED_OVER else limits.unanswered_s
                if now_s - call.since_s > patience_s:
                    self._give_up(call, "CANCEL")
            elif not call.acknowledged and now_s - (call.answered_s or now_s) > limits.unacknowledged_s:
                self._give_up(call, "BYE")
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)

    def _give_up(self, call: Call, method: str) -> None:
        """End a call that hangs, on both sides. Its slot is free when the worker says so."""
        name = line_name(call.request.call_id)
        _log.warning("sip_call_given_up", sip_call=name, stage=call.stage.name.lower(), worker=call.worker)
        invite = method == "CANCEL"
        branch = self._exchange.inner_branch(call.request) if invite else self._exchange.branch("end", call.top_via)
        self._exchange.to_worker(call.seat, call.to_worker(method, self._exchange.inner, branch))
        self._end_towards_peer(call)

    def _end_towards_peer(self, call: Call) -> None:
        exchange, call_id = self._exchange, call.request.call_id
        call.ended_s, call.taken_over = exchange.now_s(), True
        if call.stage is Stage.ANSWERED:
            branch = exchange.branch("BYE", call_id)
            message = call.bye_to_peer(self._doors.our_address(call.flow), branch)
            if not exchange.repeater.start(branch, call.flow, message):
                exchange.call_back(call, message, partial(self._counters.dropped, "a BYE that reached no one"))
            self._counters.message("out", "BYE")
            return
        call.stage = Stage.REFUSED
        tag = exchange.sealer.digest("tag", call_id)
        refusal = answer(call.request.raw, 503, _RETRY, to_tag=tag, top_via=call.top_via)
        self._counters.refused(503, "the worker was lost")
        if refusal is not None:
            exchange.repeater.start(f"final {call_id}", call.flow, refusal)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

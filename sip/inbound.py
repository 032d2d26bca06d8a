"""Messages from peers: judged, refused by the edge itself, or taken to the worker that holds or gets the call."""

from sip.bodies import ACCEPT, body_for_worker
from sip.calls import Call, Stage
from sip.exchange import Exchange
from sip.headers import ALLOW, LONGEST_URI, SUPPORTED, check_extensions, contact_of, for_worker, routes_of
from sip.limits import SourceBuckets, source_of
from sip.message import (
    RawMessage,
    RefusedError,
    Request,
    UnreadableError,
    Via,
    read,
    understood,
    uri_of,
    via_of,
)
from sip.tokens import BadTokenError, Flow
from sip.trunks import STRANGER, Trunk, transport_refusal
from sip.writing import answer, written

_USED = frozenset({"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "PRACK", "UPDATE", "INFO", "NOTIFY"})
_LONGEST_USER = LONGEST_URI - len("sip:@127.0.0.1:65535")
_RETRY_AFTER_S = 2
"""A slot cools for 0.7 s and calls end all the time."""


class Inbound:
    """Takes whole messages from the doors."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        limits = exchange.settings.limits
        self._invites = SourceBuckets(limits.invites_per_s, limits.invites_burst)

    def message(self, data: bytes, flow: Flow) -> None:
        """Deal with one message; never raises, whatever it holds."""
        try:
            raw = read(data)
            if raw.is_request:
                self._request(raw, flow)
            else:
                self._response(raw, flow)
        except UnreadableError:
            self._exchange.counters.dropped("not SIP, or nothing to answer to")
        except (BadTokenError, RefusedError):
            self._exchange.counters.dropped("a response that belongs to no request of ours")
        except Exception:  # noqa: BLE001 - a door that a message can break is no door
            self._exchange.failed()

    def unframed(self, head: bytes, why: str, flow: Flow) -> None:
        """A connection's stream was lost within this message: answer 400 if it can be answered."""
        self._exchange.counters.dropped(why)
        if self._exchange.trunks.find(flow.ip) is None:
            return
        try:
            raw = read(head + b"\r\n")
        except UnreadableError:
            return
        if raw.is_request and raw.method != "ACK":
            self._refuse(raw, flow, RefusedError(400, why))

    # --- requests ----------------------------------------------------------------------------------------------------

    def _request(self, raw: RawMessage, flow: Flow) -> None:
        self._exchange.counters.message("in", raw.method)
        trunk = self._exchange.trunks.find(flow.ip)
        try:
            request = understood(raw)
            self._dispatch(request, flow, _admitted(trunk, flow))
        except RefusedError as refusal:
            if raw.method == "ACK":
                self._exchange.counters.dropped("an ACK that fits nothing")
            elif trunk is None and refusal.status != 403:
                self._exchange.counters.dropped("malformed, from a stranger")
            else:
                self._refuse(raw, flow, refusal)

    def _dispatch(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        method = request.method
        if method not in _USED:
            raise RefusedError(405, "the product does not use this method", ALLOW, detail=method[:32])
        uri_of(request.uri)
        if method == "ACK":
            self._ack(request, flow, trunk)
            return
        if method == "CANCEL":
            self._cancel(request, flow)
            return
        check_extensions(request.raw.headers)
        if method == "OPTIONS" and not request.in_dialog:
            self._options(request, flow)
            return
        if request.max_forwards == 0:
            raise RefusedError(483, "too many hops")
        if request.in_dialog:
            self._in_dialog(request, flow, trunk)
        elif method == "INVITE":
            self._invite(request, flow, trunk)
        else:
            raise RefusedError(481, "outside of any dialog", detail=method)

    def _options(self, request: Request, flow: Flow) -> None:
        lines = (
            ALLOW,
            ACCEPT,
            "Accept-Encoding: identity",
            "Accept-Language: en",
            f"Supported: {', '.join(SUPPORTED)}",
        )
        self._answer(request.raw, flow, 200, *lines)

    def _invite(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        exchange = self._exchange
        earlier = exchange.calls.get(request.call_id)
        if earlier is not None and not self._is_new(request, earlier):
            if not earlier.final and earlier.forwarded:
                exchange.to_worker(earlier.seat, earlier.forwarded)  # a retransmission
            return
        if request.caller.tag is None:
            raise RefusedError(400, "From has no tag")
        contact = contact_of(request.raw.headers)
        if contact is None:
            raise RefusedError(400, "an INVITE without Contact")
        if len(uri_of(request.uri).safe_user) > _LONGEST_USER:
            raise RefusedError(414, "the dialled user is too long")
        kind, body = body_for_worker(request.raw, "INVITE", trunk.srtp)
        lines = for_worker(request.raw)
        now_s = exchange.now_s()
        if exchange.draining_retry_s is not None:
            raise RefusedError(503, "the server is shutting down", f"Retry-After: {exchange.draining_retry_s}")
        if not self._invites.take(source_of(flow.ip), now_s):
            raise RefusedError(503, "more new calls than one source may make", f"Retry-After: {_RETRY_AFTER_S}")
        worker = exchange.pool.pick(now_s)
        if worker is None:
            raise RefusedError(503, "no free line", f"Retry-After: {_RETRY_AFTER_S}")
        routes = routes_of(request.raw.headers)
        back = answer_flow(request.via, flow)
        call = Call(
            request,
            back,
            trunk.id,
            worker.index,
            worker.sip_port,
            now_s,
            contact.uri,
            routes,
            self._top_via(request.raw, flow),
        )
        ours = f"<sip:{exchange.sealer.seal_flow(back, request.call_id)}@{exchange.inner};lr>"
        lines += [f"Record-Route: {route}" for route in (ours, *routes)]
        lines += [f"X-Aitelier-Trunk: {trunk.id}", f"X-Aitelier-Source: {flow}"]
        call.forwarded = self._forwarded(request, flow, worker.sip_port, lines, (kind, body))
        exchange.pool.take(worker, request.call_id, now_s)
        exchange.calls[request.call_id] = call
        exchange.to_worker(call.seat, call.forwarded)

    @staticmethod
    def _is_new(request: Request, earlier: Call) -> bool:
        """Whether this INVITE starts another call than the one with the same Call-ID; 482 where it may not."""
        first = earlier.request
        if request.caller.tag == first.caller.tag and request.cseq == first.cseq:
            if request.via.branch == first.via.branch:
                return False
        elif earlier.over or earlier.stage is Stage.REFUSED:
            return True
        raise RefusedError(482, "the same call came twice, by two ways")

    def _in_dialog(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        seat = self._seat(request)
        if seat is None or not self._exchange.reachable(seat):
            raise RefusedError(481, "no such dialog")
        self._keep_in_step(request, flow, trunk)
        kind, body = body_for_worker(request.raw, request.method, trunk.srtp)
        lines = for_worker(request.raw)
        self._exchange.to_worker(seat, self._forwarded(request, flow, seat, lines, (kind, body)))

    def _keep_in_step(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        """The peer may have moved: its last address is where our own requests go."""
        call = self._exchange.calls.get(request.call_id)
        if call is None or call.trunk != trunk.id:
            return
        call.flow = answer_flow(request.via, flow)
        if request.method in {"INVITE", "UPDATE"} and (contact := contact_of(request.raw.headers)):
            call.target = contact.uri
        if request.method == "BYE":
            call.ended_s = call.ended_s or self._exchange.now_s()

    def _ack(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        exchange = self._exchange
        call = exchange.calls.get(request.call_id)
        if call is not None and request.cseq == call.request.cseq:
            call.acknowledged = True
            exchange.repeater.stop(f"final {request.call_id}")
        seat = self._seat(request)
        if seat is None or not exchange.reachable(seat) or request.max_forwards == 0:
            exchange.counters.dropped("an ACK that fits nothing")
            return
        try:
            kind, body = body_for_worker(request.raw, "ACK", trunk.srtp)
        except RefusedError:
            kind, body = "", b""  # an ACK cannot be refused; without an answer the worker ends the call
        lines = for_worker(request.raw)
        exchange.to_worker(seat, self._forwarded(request, flow, seat, lines, (kind, body)))

    def _cancel(self, request: Request, flow: Flow) -> None:
        call = self._exchange.calls.get(request.call_id)
        first = call.request if call else None
        if call is None or first is None or first.cseq != request.cseq or first.caller.tag != request.caller.tag:
            raise RefusedError(481, "CANCEL of no INVITE")
        if call.final or not self._exchange.reachable(call.seat):
            self._answer(request.raw, flow, 200)
            return
        lines = for_worker(request.raw)
        self._exchange.to_worker(call.seat, self._forwarded(request, flow, call.seat, lines, ("", b"")))

    def _seat(self, request: Request) -> int | None:
        """The worker that a request belongs to: by the token in its target, else by the INVITE that we remember."""
        try:
            return self._exchange.sealer.open_seat(uri_of(request.uri).user, request.call_id)
        except BadTokenError:
            call = self._exchange.calls.get(request.call_id)
            return call.seat if call is not None else None

    def _forwarded(
        self, request: Request, flow: Flow, seat: int, lines: list[str], content: tuple[str, bytes]
    ) -> bytes:
        exchange = self._exchange
        via = request.via
        token = exchange.sealer.seal_flow(answer_flow(via, flow), request.call_id)
        ours = f"SIP/2.0/UDP {exchange.inner};branch={exchange.inner_branch(request)};f={token}"
        headers = [f"Via: {value}" for value in (ours, self._top_via(request.raw, flow), *request.other_vias)]
        headers += [f"Max-Forwards: {max(0, request.max_forwards - 1)}", *lines]
        kind, body = content
        if kind:
            headers.append(f"Content-Type: {kind}")
        target = uri_of(request.uri)
        user = f"{target.safe_user}@" if target.user and not request.in_dialog else ""
        if request.method in {"ACK", "CANCEL"} and (call := exchange.calls.get(request.call_id)) is not None:
            first = uri_of(call.request.uri).safe_user
            user = f"{first}@" if first else ""
        return written(f"{request.method} sip:{user}127.0.0.1:{seat} SIP/2.0", headers, body)

    # --- responses ---------------------------------------------------------------------------------------------------

    def _response(self, raw: RawMessage, flow: Flow) -> None:
        exchange = self._exchange
        if exchange.trunks.find(flow.ip) is None:
            exchange.counters.dropped("a response from a stranger")
            return
        vias = raw.headers.get("via")
        via = via_of(vias[0]) if vias else None
        call_id = raw.headers.get_first("call-id") or ""
        if via is None:
            raise UnreadableError("no Via")
        if raw.status >= 200 and exchange.repeater.stop(via.branch):
            return
        seat = exchange.sealer.open_seat(via.parameters.get("w") or "", call_id)
        exchange.counters.message("in", str(raw.status))
        if not exchange.reachable(seat):
            return
        method = (raw.headers.get_first("cseq") or "").rpartition(" ")[2]
        try:
            trunk = exchange.trunks.find(flow.ip)
            kind, body = body_for_worker(raw, method, trunk.srtp if trunk else "off")
        except RefusedError:
            kind, body = "", b""
        lines = [f"Via: SIP/2.0/UDP 127.0.0.1:{seat};rport;branch={via.parameters.get('b')}", *for_worker(raw)]
        if kind:
            lines.append(f"Content-Type: {kind}")
        exchange.to_worker(seat, written(f"SIP/2.0 {raw.status} Reported", lines, body))

    # --- answers of our own ------------------------------------------------------------------------------------------

    def _refuse(self, raw: RawMessage, flow: Flow, refusal: RefusedError) -> None:
        exchange = self._exchange
        exchange.counters.refused(refusal.status, refusal.why)
        why = f"{refusal.why}: {refusal.detail}" if refusal.detail else refusal.why
        exchange.note_refusal(flow, raw.method, refusal.status, why, called=_dialled(raw))
        self._answer(raw, flow, refusal.status, *refusal.headers)

    def _answer(self, raw: RawMessage, flow: Flow, status: int, *headers: str) -> None:
        exchange = self._exchange
        tag = exchange.sealer.digest("tag", raw.headers.get_first("call-id") or "")
        top_via = self._top_via(raw, flow) if raw.headers.get("via") else None
        message = answer(raw, status, *headers, to_tag=tag, top_via=top_via)
        if message is None:
            exchange.counters.dropped("not SIP, or nothing to answer to")
            return
        exchange.to_peer(answer_flow(via_of(raw.headers.get("via")[0]), flow), message, str(status))

    @staticmethod
    def _top_via(raw: RawMessage, flow: Flow) -> str:
        """The sender's Via with what we saw of it (RFC 3261 section 18.2.1, RFC 3581 section 4)."""
        value = raw.headers.get("via")[0]
        via = via_of(value)
        if via is None:
            return value
        if "rport" in via.parameters or via.host.strip("[]") != flow.ip:
            via.parameters["received"] = flow.ip
        if "rport" in via.parameters:
            via.parameters["rport"] = str(flow.port)
        return str(via)


def _admitted(trunk: Trunk | None, flow: Flow) -> Trunk:
    if trunk is None:
        raise RefusedError(STRANGER.status, STRANGER.reason)
    broken = transport_refusal(trunk, flow.transport)
    if broken is not None:
        raise RefusedError(broken.status, broken.reason, detail=flow.transport)
    return trunk


def _dialled(raw: RawMessage) -> str:
    """What a call was for, as far as it can be read."""
    try:
        return uri_of(raw.uri).safe_user if raw.method == "INVITE" else ""
    except RefusedError:
        return ""


def answer_flow(via: Via | None, flow: Flow) -> Flow:
    """Where answers go (RFC 3261 section 18.2.2): over UDP the port that Via names, unless it asks for rport."""
    if via is None or flow.transport != "udp" or "rport" in via.parameters:
        return flow
    return flow._replace(port=via.port or 5060)

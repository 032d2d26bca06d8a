"""Messages from workers: routed by their tokens to the peer, with nothing of the inner side left in them."""

from functools import partial

from sip.calls import Call, Stage
from sip.exchange import Exchange
from sip.headers import for_peer
from sip.message import (
    RawMessage,
    RefusedError,
    UnreadableError,
    party_of,
    read,
    uri_of,
    via_of,
)
from sip.tokens import BadTokenError, Flow
from sip.writing import answer, written

_CANCELLED = 487
"""The caller hung up before the answer (RFC 3261 section 15.1.2): nobody was refused."""
_LONGEST_REASON = 100


class Outbound:
    """Takes datagrams from the inner socket."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def message(self, data: bytes, seat: int) -> None:
        """Deal with one message from the worker at this port; never raises."""
        if not self._exchange.reachable(seat):
            self._exchange.counters.dropped("from inside, by no worker")
            return
        try:
            raw = read(data)
            if raw.is_request:
                self._request(raw, seat)
            else:
                self._response(raw, seat)
        except (UnreadableError, RefusedError, BadTokenError, ValueError):
            self._exchange.counters.dropped("from a worker, without our token")
        except Exception:  # noqa: BLE001 - one worker's message may not end the edge
            self._exchange.failed()

    def _request(self, raw: RawMessage, seat: int) -> None:
        exchange = self._exchange
        call_id = raw.headers.get("call-id")[0] if raw.headers.get("call-id") else ""
        vias, routes = raw.headers.get("via"), raw.headers.get("route")
        first = via_of(vias[0]) if vias else None
        party = party_of(routes[0]) if routes else None
        if first is None or party is None:
            raise UnreadableError("a worker's request without Via or Route")
        flow = exchange.sealer.open_flow(uri_of(party.uri).user, call_id)
        call = exchange.calls.get(call_id)
        if call is not None:
            flow = call.flow
            self._note(raw, call)
        ours = (
            f"SIP/2.0/{flow.transport.upper()} {exchange.doors.our_address(flow)}"
            f";branch={exchange.branch(first.branch, call_id)};rport;w={exchange.sealer.seal_seat(seat, call_id)}"
            f";b={first.branch}"  # all of the worker's own Via that its answer needs
        )
        headers = [f"Via: {ours}"]
        headers += [f"Route: {route}" for route in routes[1:]]
        headers += [*self._contact(raw, flow, seat, call_id), *for_peer(raw), *_content_type(raw)]
        message = written(f"{raw.method} {raw.uri} SIP/2.0", headers, raw.body)
        if exchange.to_peer(flow, message, raw.method) or raw.method == "ACK":
            return
        gone = answer(raw, 481, to_tag=exchange.sealer.digest("tag", call_id)) or b""
        if call is None:
            exchange.to_worker(seat, gone)
        else:
            exchange.call_back(call, message, partial(exchange.to_worker, seat, gone))

    def _note(self, raw: RawMessage, call: Call) -> None:
        number = (raw.headers.get_first("cseq") or "").partition(" ")[0]
        if number.isdigit():
            call.last_cseq = max(call.last_cseq, int(number))
        if raw.method == "BYE":
            call.ended_s = call.ended_s or self._exchange.now_s()

    def _response(self, raw: RawMessage, seat: int) -> None:
        exchange = self._exchange
        vias = raw.headers.get("via")
        via = via_of(vias[0]) if vias else None
        call_id = raw.headers.get_first("call-id") or ""
        if via is None or len(vias) < 2:
            return  # the answer to a CANCEL or BYE of the edge's own
        flow = exchange.sealer.open_flow(via.parameters.get("f") or "", call_id)
        call = exchange.calls.get(call_id)
        if call is not None and raw.headers.get_first("cseq") == f"{call.request.cseq} INVITE":
            if call.taken_over:
                return
            self._follow(raw, call)
        headers = [f"Via: {value}" for value in vias[1:]]
        headers += [f"Record-Route: {route}" for route in raw.headers.get("record-route") if not self._ours(route)]
        headers += [*self._contact(raw, flow, seat, call_id), *for_peer(raw), *_content_type(raw)]
        exchange.to_peer(flow, written(f"SIP/2.0 {raw.status} {raw.phrase}", headers, raw.body), str(raw.status))

    def _follow(self, raw: RawMessage, call: Call) -> None:
        """Keep the record of an INVITE in step with the worker's answers to it."""
        if raw.status < 200:
            if call.stage is Stage.HANDED_OVER:
                call.stage = Stage.PROCEEDING
            return
        if call.final:
            return
        now_s = self._exchange.now_s()
        call.to_with_tag = raw.headers.get("to")[0]
        call.forwarded = b""
        if raw.status < 300:
            call.stage, call.answered_s = Stage.ANSWERED, now_s
        else:
            call.stage, call.ended_s = Stage.REFUSED, now_s
            self._exchange.pool.release(call.worker, call.request.call_id, now_s)
            if raw.status != _CANCELLED:
                called = uri_of(call.request.uri).safe_user
                why = raw.phrase[:_LONGEST_REASON]
                self._exchange.note_refusal(call.flow, "INVITE", raw.status, why, called=called)

    def _ours(self, route: str) -> bool:
        return f"@{self._exchange.inner}" in route

    def _contact(self, raw: RawMessage, flow: Flow, seat: int, call_id: str) -> list[str]:
        """Our Contact in place of the worker's: the peer's requests come back with the worker sealed in them."""
        if not raw.headers.get("contact"):
            return []
        transport = "" if flow.transport == "udp" else f";transport={flow.transport}"
        token = self._exchange.sealer.seal_seat(seat, call_id)
        return [f"Contact: <sip:{token}@{self._exchange.doors.our_address(flow)}{transport}>"]


def _content_type(raw: RawMessage) -> list[str]:
    kind = raw.headers.get_first("content-type")
    return [f"Content-Type: {kind}"] if kind and raw.body else []

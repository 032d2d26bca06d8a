"""Responses of the edge's own, and messages put together for the wire."""

from sip.message import RawMessage, party_of

PHRASES = {
    100: "Trying",
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    405: "Method Not Allowed",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    488: "Not Acceptable Here",
    503: "Service Unavailable",
    505: "Version Not Supported",
}


def answer(raw: RawMessage, status: int, *headers: str, to_tag: str, top_via: str | None = None) -> bytes | None:
    """A response of the edge's own to a request (RFC 3261 section 8.2.6); None when it lacks what one is made of."""
    vias, call_id = raw.headers.get("via"), raw.headers.get_first("call-id")
    caller, called = raw.headers.get_first("from"), raw.headers.get_first("to")
    cseq = raw.headers.get_first("cseq")
    if not (vias and call_id and caller and called and cseq):
        return None
    party = party_of(called)
    if status != 100 and (party is None or party.tag is None) and "tag=" not in called:
        called = f"{called};tag={to_tag}"
    lines = [f"SIP/2.0 {status} {PHRASES[status]}"]
    lines += [f"Via: {value}" for value in (top_via or vias[0], *vias[1:])]
    lines += [f"From: {caller}", f"To: {called}", f"Call-ID: {call_id}", f"CSeq: {cseq}", *headers]
    lines += ["Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


def written(start: str, headers: list[str], body: bytes) -> bytes:
    """A message for the wire, with its Content-Length."""
    return "\r\n".join((start, *headers, f"Content-Length: {len(body)}", "", "")).encode() + body

"""Which headers pass the edge, and in what shape.

Towards a worker, only headers that the product uses, written anew from what was understood: the C stack never sees a
header that no one needs. Towards a peer, everything but what is ours alone.
"""

import contextlib
import re
from collections.abc import Callable

from aiosipua.headers import CaseInsensitiveDict, prettify_header_name

from sip.message import Party, RawMessage, RefusedError, has_control, option_tags, party_of, safe_uri

SUPPORTED = ("100rel", "timer")
"""Option tags that the workers understand (RFC 3262, RFC 4028)."""
ALLOW = "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, NOTIFY"

LONGEST_URI = 255
"""PJSIP's PJSIP_MAX_URL_SIZE is 256."""
_LONGEST_VALUE = 2_048
_OURS = re.compile(r"x-aitelier-", re.IGNORECASE | re.ASCII)
_COMPACT = {"session-expires": "x", "event": "o"}
_SHAPES: dict[str, re.Pattern[str]] = {
    "Session-Expires": re.compile(r"(\d{1,9})\s*(?:;\s*refresher\s*=\s*(uac|uas))?\Z", re.IGNORECASE | re.ASCII),
    "Min-SE": re.compile(r"(\d{1,9})(?:\s*;.*)?\Z", re.ASCII),
    "RAck": re.compile(r"(\d{1,10})\s+(\d{1,10})\s+([A-Z]{1,16})\Z", re.ASCII),
    "RSeq": re.compile(r"(\d{1,10})\Z", re.ASCII),
    "Event": re.compile(r"(refer)\s*(?:;\s*id\s*=\s*(\d{1,10}))?\Z", re.IGNORECASE | re.ASCII),
    "Subscription-State": re.compile(r"(active|pending|terminated)\b.*\Z", re.IGNORECASE | re.ASCII),
    "Privacy": re.compile(r"([a-z;]{1,64})\Z", re.ASCII),
    "Retry-After": re.compile(r"(\d{1,9})\b.*\Z", re.ASCII),
}
_WRITTEN: dict[str, Callable[[re.Match[str]], str]] = {
    "Session-Expires": lambda match: match[1] + (f";refresher={match[2].lower()}" if match[2] else ""),
    "RAck": lambda match: f"{match[1]} {match[2]} {match[3]}",
    "Event": lambda match: "refer" + (f";id={match[2]}" if match[2] else ""),
    "Subscription-State": lambda match: match[1].lower(),
}
_PARTIES = ("P-Asserted-Identity", "Diversion")
_NOT_FOR_PEERS = frozenset({"via", "route", "record-route", "contact", "content-length", "content-type", "warning"})


def contact_of(headers: CaseInsensitiveDict) -> Party | None:
    """The one Contact of an INVITE or an answer; None when it has none.

    Raises `RefusedError` with 400 for more than one, or one that is no SIP URI: the dialog's target hangs on it.
    """
    values = headers.get("contact")
    if not values:
        return None
    if len(values) > 1:
        raise RefusedError(400, "more than one Contact")
    return _party("Contact", values[0])


def _party(name: str, value: str) -> Party:
    party = party_of(value)
    if party is None or len(value) > _LONGEST_VALUE or has_control(value):
        raise RefusedError(400, f"{name} is malformed")
    try:
        safe = safe_uri(party.uri)
    except RefusedError as error:
        raise RefusedError(400, f"{name} has no SIP or tel URI") from error
    if name == "Contact" and len(safe) > LONGEST_URI:
        raise RefusedError(400, "Contact is too long")
    return party


def routes_of(headers: CaseInsensitiveDict) -> list[str]:
    """The Record-Route of an INVITE, written anew. Raises `RefusedError` with 400."""
    return [str(_party("Record-Route", value)) for value in headers.get("record-route")]


def check_extensions(headers: CaseInsensitiveDict) -> None:
    """Refuse what the sender insists on and we do not have (RFC 3261 section 8.2.2.3): 420."""
    wanted = [*option_tags(headers, "require"), *option_tags(headers, "proxy-require")]
    unknown = [tag for tag in wanted if tag not in SUPPORTED]
    if unknown:
        raise RefusedError(420, "an extension is required that we do not have", f"Unsupported: {', '.join(unknown)}")


def for_worker(raw: RawMessage) -> list[str]:
    """The headers of a message from outside that its worker may see; Via, routes and body's headers are not among them.

    Raises `RefusedError` with 400 where a value that must pass could harm.
    """
    headers = raw.headers
    lines: list[str] = []
    lines += [f"{name}: {_party(name, headers.get(name)[0])}" for name in ("From", "To")]
    lines += [f"{name}: {headers.get(name)[0]}" for name in ("Call-ID", "CSeq")]
    contact = contact_of(headers)
    if contact is not None:
        lines.append(f"Contact: <{safe_uri(contact.uri)}>")
    for name in ("Supported", "Require"):
        tags = [tag for tag in option_tags(headers, name) if tag in SUPPORTED]
        if tags:
            lines.append(f"{name}: {', '.join(tags)}")
    for name, shape in _SHAPES.items():
        value = headers.get_first(name) or headers.get_first(_COMPACT.get(name.lower(), name)) or ""
        match = shape.match(value.strip()) if value else None
        if match is not None:
            lines.append(f"{name}: {_WRITTEN[name](match) if name in _WRITTEN else match[1]}")
    for name in _PARTIES:
        for claimed in headers.get(name)[:1]:
            with contextlib.suppress(RefusedError):
                lines.append(f"{name}: <{safe_uri(_party(name, claimed).uri)}>")
    return lines


def for_peer(raw: RawMessage) -> list[str]:
    """The headers of a worker's message that go out; Via, routes, Contact and body's headers are not among them."""
    return [
        f"{prettify_header_name(name)}: {value}"
        for name, values in raw.headers.items()
        if name.lower() not in _NOT_FOR_PEERS and not _OURS.match(name)
        for value in values
    ]

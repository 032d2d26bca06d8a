"""What a worker needs to know of an INVITE that the edge handed to it."""

import contextlib
import re
from dataclasses import dataclass
from urllib.parse import unquote

from sip.message import RawMessage, RefusedError, UnreadableError, party_of, read, uri_of

TRUNK_HEADER = "x-aitelier-trunk"
"""Set by the edge, which strips it from what comes from outside."""
LOOPBACK_TRUNK = "loopback"

_EACH_ADDRESS = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",<]*)<[^>]*>[^,]*|[^",<>]+')
"""The values of a list in one header line; a display name or URI may hold commas."""
_WITHHELD = frozenset({"", "anonymous", "unknown", "restricted", "unavailable"})


@dataclass(frozen=True, slots=True)
class Invite:
    """Who is wanted, who says they call, and through which trunk."""

    sip_call_id: str
    called: str
    """User part of the Request-URI, unescaped and without parameters; empty when there is none."""
    caller: str | None
    """User part of P-Asserted-Identity (RFC 3325) or From; None when withheld (RFC 3323)."""
    trunk: str


def read_invite(text: str) -> Invite:
    """The INVITE's facts; parts that cannot be understood stay empty, since the edge has judged the message already."""
    try:
        raw = read(text.encode())
    except UnreadableError:
        return Invite("", "", None, LOOPBACK_TRUNK)
    return Invite(
        sip_call_id=raw.headers.get_first("call-id") or "",
        called=_user(raw.uri) or "",
        caller=_caller(raw),
        trunk=(raw.headers.get_first(TRUNK_HEADER) or LOOPBACK_TRUNK).strip(),
    )


def _caller(raw: RawMessage) -> str | None:
    privacy = {word.strip().lower() for value in raw.headers.get("privacy") for word in re.split("[;,]", value)}
    if privacy & {"id", "user", "header"}:
        return None
    for name in ("p-asserted-identity", "from"):
        values = raw.headers.get(name)
        for value in (part for line in values for part in _EACH_ADDRESS.findall(line)):
            party = party_of(value)
            user = _user(party.uri) if party is not None else None
            if user is not None and user.lower() not in _WITHHELD:
                return user
    return None


def _user(uri: str) -> str | None:
    """The user part without password and parameters; None for an anonymous host or what is no SIP or tel URI."""
    with contextlib.suppress(RefusedError):
        parts = uri_of(uri)
        if not parts.host.lower().endswith("anonymous.invalid"):
            return unquote(parts.user.split(";")[0].split(":")[0])
    return None

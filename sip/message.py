"""SIP messages as the edge reads them (RFC 3261), over aiosipua's parser with its known faults handled.

aiosipua splits headers; what it gets wrong is done here: the start line's version, Via with inner spaces, quoted pairs
in lists, and every structured value. URIs stay raw strings. A message is first `read`; a request is then `understood`,
which raises `RefusedError` with the status that is due.
"""

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from aiosipua.headers import CaseInsensitiveDict
from aiosipua.message import SipMessage

# The parser warns about each odd message: that would let a stranger fill our log.
logging.getLogger("aiosipua").setLevel(logging.ERROR)

_WORD = r"[A-Za-z0-9\-.!%*_+`'~]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_START = re.compile(rf"({_WORD}) (\S+) SIP/(\d{{1,3}}\.\d{{1,3}})\Z", re.ASCII)
_STATUS = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: ([^\r\n]*))?\Z", re.ASCII)
_PAIRED = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[\x09\x20-\x7e])*"'
_VIA = re.compile(
    rf"SIP\s*/\s*2\.0\s*/\s*({_WORD})\s+(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)\s*(?::\s*(\d{{1,5}})\s*)?((?:;.*)?)\Z",
    re.DOTALL | re.ASCII,
)
_PARAMETER = re.compile(rf"\s*;\s*({_WORD})(?:\s*=\s*({_PAIRED}|\[[0-9A-Fa-f:.]+\]|{_WORD}))?\s*", re.ASCII)
_NAME_ADDR = re.compile(rf"({_QUOTED}\s*+|[^\"<>,;]*+)<([^<>\"\s]+)>((?:\s*;.*)?)\Z", re.DOTALL | re.ASCII)
_ADDR_SPEC = re.compile(r"()([^\s<>\",;?]+)((?:\s*;.*)?)\Z", re.DOTALL | re.ASCII)
_DISPLAY = re.compile(rf"(?:{_PAIRED}|{_WORD}(?:\s+{_WORD})*)\Z", re.ASCII)
_CSEQ = re.compile(rf"(\d{{1,10}})\s+({_WORD})\Z", re.ASCII)
_CALL_ID = re.compile(r"[!-~]{1,256}\Z")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.*)\Z", re.DOTALL | re.ASCII)
_URI_PARAMETERS = r"((?:;[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]+(?:=[A-Za-z0-9\-_.!~*'()%\[\]/:&+$]+)?)*)"
_SIP_USER = r"[^@:<>\"\s]+(?::[^@<>\"\s]*[^@:<>\"\s])?"
_SIP_URI = re.compile(
    rf"(?:({_SIP_USER})@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::(\d{{1,5}}))?{_URI_PARAMETERS}\Z", re.ASCII
)
_TEL_URI = re.compile(rf"(\+?[0-9A-Fa-f*#().\-]+){_URI_PARAMETERS}\Z", re.ASCII)
_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN_USER = re.compile(r"[A-Za-z0-9\-_.+*]*\Z")
_USER_SAFE = "-_.!~*'()&=+$,;?/%"
_QUOTED_PAIR = re.compile(r"\\([\x00-\x7f])")
_HIDDEN_PAIR = re.compile("[\ue000-\ue07f]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type", "content-encoding")
_REQUIRED = ("via", "from", "to", "call-id", "cseq")
_REMEMBERED = 512
"""Values that come again in each message of a dialog are not taken apart again."""
_LONGEST_NUMBER = 2**31 - 1


class UnreadableError(Exception):
    """Not a SIP message, or one that cannot even be refused: to be dropped without an answer."""


class RefusedError(Exception):
    """A request that gets a final answer from the edge itself.

    `status` is the SIP status, `why` plain and constant words (they are a metric's label), `detail` what in particular,
    `headers` what the answer has to carry besides.
    """

    def __init__(self, status: int, why: str, *headers: str, detail: str = "") -> None:
        super().__init__(f"{status} {why}")
        self.status = status
        self.why = why
        self.detail = detail
        self.headers = headers


@dataclass(slots=True)
class RawMessage:
    """A message with its headers split and nothing judged yet."""

    headers: CaseInsensitiveDict
    body: bytes
    method: str
    """Empty for a response."""
    uri: str
    version: str
    status: int
    """0 for a request."""
    phrase: str
    declared_body: int | None
    """Content-Length, when there is one that is a number."""

    @property
    def is_request(self) -> bool:
        """Whether this is a request."""
        return self.status == 0


@dataclass(slots=True)
class Via:
    """One Via value (RFC 3261 section 20.42)."""

    transport: str
    host: str
    port: int | None
    parameters: dict[str, str | None]

    @property
    def branch(self) -> str:
        """The branch, empty for an RFC 2543 element."""
        return self.parameters.get("branch") or ""

    def __str__(self) -> str:
        port = f":{self.port}" if self.port is not None else ""
        return f"SIP/2.0/{self.transport} {self.host}{port}{joined(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Party:
    """A From, To or Contact value: its URI as written, its tag, and how it may be written on."""

    uri: str
    tag: str | None
    display: str
    """Display name with its quotes; empty when there is none, or one that no strict parser would take."""
    parameters: dict[str, str | None]

    def __str__(self) -> str:
        return f"{self.display} <{safe_uri(self.uri)}>{joined(self.parameters)}".lstrip()


@dataclass(slots=True)
class Request:
    """A request whose mandatory parts were understood."""

    raw: RawMessage
    method: str
    uri: str
    via: Via
    other_vias: list[str]
    call_id: str
    caller: Party
    """From."""
    called: Party
    """To; has a tag inside a dialog."""
    cseq: int
    max_forwards: int

    @property
    def in_dialog(self) -> bool:
        """Whether To carries a tag."""
        return self.called.tag is not None


def read(data: bytes) -> RawMessage:
    """Split one whole message into start line, headers and body.

    Raises `UnreadableError` for what is not SIP, for instance a start line that is neither request nor response.
    """
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        head, _, body = data.partition(b"\n\n")
    text = head.decode("utf-8", errors="replace")
    start, _, rest = text.replace("\r\n", "\n").partition("\n")
    status = _STATUS.match(start)
    request = _START.match(start) if status is None else None
    if status is None and request is None:
        return _misshapen(start, rest)
    hidden = "\\" in rest
    if hidden:
        rest = _QUOTED_PAIR.sub(lambda pair: chr(0xE000 + ord(pair[1])), rest)
    headers = _headers(rest)
    if hidden:
        for values in headers._store.values():  # noqa: SLF001 - aiosipua has no way to change values in place
            values[:] = [_HIDDEN_PAIR.sub(lambda pair: "\\" + chr(ord(pair[0]) - 0xE000), value) for value in values]
    declared = headers.get_first("content-length")
    length = int(declared) if declared is not None and declared.isascii() and declared.isdigit() else None
    if length is not None:
        body = body[:length]
    if status is not None:
        return RawMessage(headers, body, "", "", "2.0", int(status[1]), status[2] or "", length)
    assert request is not None  # noqa: S101 - one of the two matched, see above
    return RawMessage(headers, body, request[1], request[2], request[3], 0, "", length)


def _misshapen(start: str, rest: str) -> RawMessage:
    """A request whose first line is broken but ends as one (spaces in the URI, two spaces): it is owed a 400."""
    words = start.split()
    if len(words) < 3 or not words[-1].startswith("SIP/") or words[0].startswith("SIP/"):
        raise UnreadableError("the first line is neither a request's nor a response's")
    return RawMessage(_headers(rest), b"", words[0], "", "2.0", 0, "", 0)


def _headers(text: str) -> CaseInsensitiveDict:
    try:
        return SipMessage.parse(f"OPTIONS sip:a SIP/2.0\n{text}\n\n").headers
    except (ValueError, IndexError, KeyError) as error:
        raise UnreadableError(f"headers cannot be split: {error}") from error


def understood(raw: RawMessage) -> Request:
    """Judge the mandatory parts of a request (RFC 3261 sections 8.1.1, 8.2 and 16.3).

    Raises `RefusedError` with 505 or 400, `UnreadableError` where not even a 400 could be addressed.
    """
    headers = raw.headers
    missing = [name for name in _REQUIRED if not headers.get(name)]
    if missing:
        raise UnreadableError(f"no {', '.join(missing)}")
    if raw.version != "2.0":
        raise RefusedError(505, "SIP version is not 2.0", detail=raw.version)
    if not raw.uri:
        raise RefusedError(400, "the request line is malformed")
    for name in _ONCE:
        if len(headers.get(name)) > 1:
            raise RefusedError(400, f"more than one {name}")
    via = _via(headers.get("via"))
    caller, called = _party(headers, "from"), _party(headers, "to")
    call_id = headers.get("call-id")[0]
    if not _CALL_ID.match(call_id):
        raise RefusedError(400, "Call-ID is malformed")
    cseq = _CSEQ.match(headers.get("cseq")[0])
    if cseq is None or int(cseq[1]) > _LONGEST_NUMBER:
        raise RefusedError(400, "CSeq is malformed")
    if cseq[2] != raw.method:
        raise RefusedError(400, "CSeq names another method than the request line")
    _check_length(raw)
    return Request(
        raw=raw,
        method=raw.method,
        uri=raw.uri,
        via=via,
        other_vias=list(headers.get("via")[1:]),
        call_id=call_id,
        caller=caller,
        called=called,
        cseq=int(cseq[1]),
        max_forwards=_max_forwards(headers),
    )


def _via(values: list[str]) -> Via:
    vias = [via_of(value) for value in values]
    if vias[0] is None or None in vias:
        raise RefusedError(400, "Via is malformed")
    return vias[0]


def _party(headers: CaseInsensitiveDict, name: str) -> Party:
    party = party_of(headers.get(name)[0])
    if party is None:
        raise RefusedError(400, f"{name.capitalize()} is malformed")
    return party


def _check_length(raw: RawMessage) -> None:
    written = raw.headers.get_first("content-length")
    if written is not None and raw.declared_body is None:
        raise RefusedError(400, "Content-Length is not a number")
    if raw.declared_body is not None and raw.declared_body > len(raw.body):
        raise RefusedError(400, "the body is shorter than Content-Length")


def _max_forwards(headers: CaseInsensitiveDict) -> int:
    written = headers.get_first("max-forwards", "70") or "70"
    if not (written.isascii() and written.isdigit() and len(written) <= 6 and int(written) <= 255):
        raise RefusedError(400, "Max-Forwards is not a number up to 255")
    return int(written)


def via_of(value: str) -> Via | None:
    """The Via value taken apart; None when malformed."""
    match = _VIA.match(value.strip())
    if match is None:
        return None
    parameters = parameters_of(match[4])
    port = int(match[3]) if match[3] else None
    if parameters is None or (port is not None and not 0 < port < 65536):
        return None
    return Via(match[1].upper(), match[2], port, parameters)


def parameters_of(text: str) -> dict[str, str | None] | None:
    """`;name=value` parameters, names in lower case; None when malformed."""
    found: dict[str, str | None] = {}
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            return None
        found[match[1].lower()] = match[2]
        at = match.end()
    return found


def joined(parameters: dict[str, str | None]) -> str:
    """Parameters as written in a header."""
    return "".join(f";{name}" if value is None else f";{name}={value}" for name, value in parameters.items())


@lru_cache(maxsize=_REMEMBERED)
def party_of(value: str) -> Party | None:
    """A From, To or Contact value taken apart; None when malformed. The URI is not judged."""
    match = _NAME_ADDR.match(value.strip()) or _ADDR_SPEC.match(value.strip())
    if match is None or not _SCHEME.match(match[2]):
        return None
    parameters = parameters_of(match[3])
    if parameters is None:
        return None
    display = match[1].strip()
    return Party(match[2], parameters.get("tag"), display if _DISPLAY.match(display) else "", parameters)


@dataclass(frozen=True, slots=True)
class Uri:
    """A SIP, SIPS or tel URI. `user` is raw: escapes and parameters such as `;phone-context=` are still in it."""

    scheme: str
    user: str
    host: str
    port: int | None
    parameters: str = ""
    """As written, with the first semicolon; a tel URI's are part of `user`."""

    @property
    def safe_user(self) -> str:
        """The user with every character escaped that a strict parser would stumble over."""
        if _PLAIN_USER.match(self.user):
            return self.user
        name, colon, password = _BARE_PERCENT.sub("%25", self.user).partition(":")
        return quote(name, safe=_USER_SAFE) + colon + quote(password, safe=_USER_SAFE)


@lru_cache(maxsize=_REMEMBERED)
def uri_of(text: str) -> Uri:
    """The URI of a request line taken apart.

    Raises `RefusedError`: 416 for a scheme that is not ours, 400 for one that is malformed.
    """
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise RefusedError(400, "the Request-URI is malformed")
    name = scheme[1].lower()
    if name == "tel":
        tel = _TEL_URI.match(scheme[2])
        if tel is None:
            raise RefusedError(400, "the Request-URI is malformed")
        return Uri("tel", tel[1] + tel[2], "", None)
    if name not in {"sip", "sips"}:
        raise RefusedError(416, "URI scheme is not sip, sips or tel", detail=name[:32])
    match = _SIP_URI.match(scheme[2])
    if match is None or (match[3] and not 0 < int(match[3]) < 65536):
        raise RefusedError(400, "the Request-URI is malformed")
    return Uri(name, match[1] or "", match[2], int(match[3]) if match[3] else None, match[4])


@lru_cache(maxsize=_REMEMBERED)
def safe_uri(text: str) -> str:
    """A URI written anew for a strict parser. Raises `RefusedError` like `uri_of`."""
    uri = uri_of(text)
    if uri.scheme == "tel":
        return f"tel:{uri.user}"
    user = f"{uri.safe_user}@" if uri.user else ""
    port = f":{uri.port}" if uri.port is not None else ""
    return f"{uri.scheme}:{user}{uri.host}{port}{uri.parameters}"


def has_control(text: str) -> bool:
    """Whether the text carries control characters, which the C stack behind us must never see."""
    return _CONTROL.search(text) is not None


def option_tags(headers: CaseInsensitiveDict, name: str) -> list[str]:
    """The option tags of Require, Proxy-Require or Supported, lower case."""
    return [tag.strip().lower() for value in headers.get(name) for tag in value.split(",") if tag.strip()]

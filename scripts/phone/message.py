"""SIP messages as a telephone needs them (RFC 3261): a start line, headers in order, a body."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
    "c": "content-type",
}
_ADDRESS = re.compile(r"<([^>]+)>")
_TAG = re.compile(r";\s*tag=([^;>\s]+)")


@dataclass
class Message:
    """One request or response."""

    start: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def is_request(self) -> bool:
        """Whether this asks for something."""
        return not self.start.startswith("SIP/2.0")

    @property
    def method(self) -> str:
        """Of a request its method, of a response the method it answers."""
        return self.start.split(" ", 1)[0] if self.is_request else self.first("cseq").split()[-1]

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.start.split(" ", 2)[1])

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name]

    def first(self, name: str) -> str:
        """The first value of a header, empty when there is none."""
        return next(iter(self.all(name)), "")

    def encode(self) -> bytes:
        """As it goes on the wire."""
        lines = [self.start, *(f"{key}: {value}" for key, value in self.headers)]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body


def parse(content: bytes) -> Message:
    """Read one whole message; trusts the server to send sane ones, and fails loudly if it does not."""
    head, _, body = content.partition(b"\r\n\r\n")
    start, *lines = head.decode().split("\r\n")
    headers = []
    for line in lines:
        name, _, value = line.partition(":")
        key = _COMPACT.get(name.strip().lower(), name.strip().lower())
        headers.append((key, value.strip()))
    return Message(start, headers, body)


def address(header: str) -> str:
    """The URI of a From, To, Contact or route."""
    found = _ADDRESS.search(header)
    return found.group(1) if found else header.split(";", 1)[0].strip()


def tag(header: str) -> str:
    """The tag of a From or To, empty when there is none."""
    found = _TAG.search(header)
    return found.group(1) if found else ""


def answer(request: Message, status: str, extra: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Message:
    """The response to a request of the other side, such as "200 OK"."""
    kept = [(k, v) for k, v in request.headers if k in {"via", "from", "to", "call-id", "cseq", "record-route"}]
    return Message(f"SIP/2.0 {status}", [*kept, *extra], body)

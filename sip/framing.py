"""Cutting a byte stream into SIP messages (RFC 3261 section 18.3) and keep-alives (RFC 5626 section 4.4.1). No I/O."""

import re
from dataclasses import dataclass, field

_LENGTH = re.compile(rb"(?:^|\n)(?:content-length|l)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]*)", re.IGNORECASE)
_NUMBER = re.compile(rb"\d{1,9}\Z")

_LINE_ENDS = b"\r\n"

PING = b"\r\n\r\n"
PONG = b"\r\n"


class FramingError(Exception):
    """The stream cannot be followed any further. `head` is the message where it was lost, as far as it came."""

    def __init__(self, why: str, head: bytes = b"") -> None:
        super().__init__(why)
        self.why = why
        self.head = head


@dataclass(slots=True)
class StreamCutter:
    """Collects the bytes of one connection and gives back whole messages."""

    message_bytes: int
    header_bytes: int
    _held: bytearray = field(default_factory=bytearray)
    _searched: int = 0
    """How much of `_held` is known not to hold the end of a header block: a slow sender is not searched twice."""

    @property
    def partial(self) -> bool:
        """Whether a message has begun that is not whole yet."""
        return bool(self._held) and not PING.startswith(self._held)

    @property
    def held(self) -> bytes:
        """What has come of the message that is not whole."""
        return bytes(self._held)

    def feed(self, data: bytes) -> tuple[list[bytes], int]:
        """Take bytes; returns the messages that became whole and the number of keep-alive pings.

        Raises `FramingError` when header or message are too long, or Content-Length is missing, unclear or no number.
        """
        self._held += data
        messages: list[bytes] = []
        pings = 0
        while self._held:
            pings += self._skip_line_ends()
            length = self._whole_length() if self.partial else None
            if length is None:
                break
            messages.append(bytes(self._held[:length]))
            del self._held[:length]
            self._searched = 0
        return messages, pings

    def _skip_line_ends(self) -> int:
        """Drop line ends between messages; CRLF twice is a ping."""
        pings = 0
        while self._held[:4] == PING:
            pings += 1
            del self._held[:4]
        while self._held and self._held[0] in _LINE_ENDS and not PING.startswith(self._held):
            del self._held[:1]
        return pings

    def _whole_length(self) -> int | None:
        end = self._held.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._searched = len(self._held)
            if len(self._held) > self.header_bytes:
                raise FramingError("the headers are too long")
            return None
        if end > self.header_bytes:
            raise FramingError("the headers are too long")
        head = bytes(self._held[: end + 2])
        found = {value.strip() for value in _LENGTH.findall(head)}
        if len(found) > 1:
            raise FramingError("more than one Content-Length", head)
        value = found.pop() if found else b"0"
        if not _NUMBER.match(value):
            raise FramingError("Content-Length is not a number", head)
        length = end + 4 + int(value)
        if length > self.message_bytes:
            raise FramingError("the message is too long", head)
        return length if len(self._held) >= length else None

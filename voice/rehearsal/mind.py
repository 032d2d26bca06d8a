"""What a mind is: it hears a caller's turn, and it decides in steps what a response does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from voice.rehearsal.conversation import Item


@dataclass(frozen=True)
class Say:
    """Speak a sentence with the local voice."""

    text: str
    language: str = "en"
    stall_after_ms: int | None = None
    """Stop sending in the middle, once so much sound has gone out ..."""
    stall_seconds: float = 0.0
    """... and go on so much later."""


@dataclass(frozen=True)
class Sound:
    """Send exactly these bytes, which are in the session's output format, such as a click or a tone."""

    encoded: bytes
    text: str = ""
    """What the transcript says of it."""
    stall_after_ms: int | None = None
    stall_seconds: float = 0.0


@dataclass(frozen=True)
class CallTool:
    """Call a function of the client. A string is sent as it is, so that a test can send arguments that are no JSON."""

    name: str
    arguments: dict[str, Any] | str = field(default_factory=dict)
    call_id: str | None = None


@dataclass(frozen=True)
class Wait:
    """Do nothing for a while: thinking, or, with a long time, a model that has gone silent."""

    seconds: float


@dataclass(frozen=True)
class WaitForSpeech:
    """Do nothing until the caller next begins to speak."""


@dataclass(frozen=True)
class Fail:
    """End the response with status "failed"."""

    code: str = "server_error"
    message: str = "The server had an error while processing your request."
    kind: str = "server_error"


@dataclass(frozen=True)
class SendError:
    """Send an `error` event that no client event caused; the session goes on."""

    code: str | None = "server_error"
    message: str = "The server had an error while processing your request."
    kind: str = "server_error"


@dataclass(frozen=True)
class Drop:
    """End the connection: without a word when `close_code` is None, as a crashed server does, else properly."""

    close_code: int | None = None
    reason: str = ""


Step = Say | Sound | CallTool | Wait | WaitForSpeech | Fail | SendError | Drop


@dataclass(frozen=True)
class Request:
    """What a response is asked for with."""

    session: dict[str, Any]
    """The session as `session.updated` shows it."""
    overrides: dict[str, Any]
    """The `response` member of response.create; empty when a turn's end asked for it."""
    items: tuple[Item, ...]
    """The conversation so far, oldest first."""

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The functions on offer."""
        return list(self.overrides.get("tools", self.session["tools"]) or ())


class Mind(Protocol):
    """One session's brain."""

    async def transcribe(self, s16: bytes, samples_per_second: int, session: dict[str, Any]) -> str:
        """What the caller said in a turn that is over; empty when nothing was understood."""

    def respond(self, request: Request) -> AsyncIterator[Step]:
        """The steps of one response, asked for as they are carried out."""

    def meanwhile(self) -> AsyncIterator[Step]:
        """Steps of the session itself, beside its responses. Only Wait, WaitForSpeech, SendError and Drop."""

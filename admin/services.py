"""What handlers work with. Made by the composition root, found in the application."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from aiohttp import web

from admin.auth.failed_codes import FailedCodes
from admin.browser_calls import BrowserCalls
from admin.live_feed import LiveFeed
from admin.telephone import NO_TELEPHONE, Telephone
from policies.subprocessors import Place
from store.blobs import Blobs
from store.engine import Database
from voice.waist.messages import AnyMessage, Message

_Reply = TypeVar("_Reply", bound=Message)


class AskDesk(Protocol):
    """One question to the desk of this machine."""

    def __call__(self, message: AnyMessage, reply: type[_Reply], /, *, seconds: float = 5.0) -> Awaitable[_Reply]:
        """The desk's answer.

        Raises:
            voice.waist.messages.DeskAwayError: There is none.
        """


KeptAt = Callable[[], Awaitable[Sequence[Place]]]
"""Other machines where this server keeps everything: its database, its objects, and its mail.

Raises `store.bounds.BoundsRefusedError` where one of them must not be used.
"""


async def _nobody_said() -> Sequence[Place]:
    raise RuntimeError("this server was not told where it keeps its data")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The store, the desk, and where the server is reached."""

    database: Database
    blobs: Blobs
    ask_desk: AskDesk
    base_url: str
    """Under which people reach the server: `https://host[:port]`, or `http://127.0.0.1:port`; no slash at the end."""
    is_public: bool
    """Whether it is reached from other machines, so over TLS only."""
    unix_time: Callable[[], float]
    """The clock."""
    kept_at: KeptAt = _nobody_said
    """Needed to hold a project's bounds against it."""
    live: LiveFeed | None = None
    """The calls that are up on this machine; None where none are taken."""
    browser_calls: BrowserCalls | None = None
    """Calls from browsers; None where this machine has no telephone line that they could use."""
    failed_codes: FailedCodes = field(default_factory=FailedCodes)
    telephone: Telephone = NO_TELEPHONE
    own_hosts: Mapping[str, str] = field(default_factory=dict)
    """Country (ISO 3166-1 alpha-2) by host, of machines that the operator runs itself."""


SERVICES: Final = web.AppKey[Services]("services")

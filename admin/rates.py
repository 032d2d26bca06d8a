"""How many requests the HTTP API takes from one key or person within a minute, and how it tells them.

Headers are those of draft-ietf-httpapi-ratelimit-headers-10. Each process counts for itself and in memory: a limit
keeps a program that has run wild from harming others, and is no bound that anything else relies on.
"""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from aiohttp import web

from admin.problems import ProblemError

EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
"""The problem's type, as the draft registers it."""
_REMEMBERED: Final = 20_000
"""How many are counted at once; whoever has not been seen for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests within so long."""

    name: str
    requests: int
    window_s: int = 60

    @property
    def policy(self) -> str:
        """For the header `RateLimit-Policy`."""
        return f'"{self.name}";q={self.requests};w={self.window_s}'


API: Final = Limit("api", 1200)
"""Of one API key, or one person."""
STRANGERS: Final = Limit("strangers", 120)
"""Of requests to the API from one address that come without a good key."""


@dataclass(slots=True)
class _Window:
    ends_at: float
    taken: int


class Rates:
    """Counts requests. A window starts with the first request in it."""

    def __init__(
        self, api: Limit = API, strangers: Limit = STRANGERS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.api = api
        self.strangers = strangers
        self._clock = clock
        self._windows: OrderedDict[tuple[str, str], _Window] = OrderedDict()

    def take(self, limit: Limit, who: str) -> dict[str, str]:
        """Count a request; the headers that tell what is left.

        Raises:
            ProblemError: 429, when nothing was.
        """
        now = self._clock()
        window = self._windows.get((limit.name, who))
        if window is None or window.ends_at <= now:
            window = self._windows[limit.name, who] = _Window(now + limit.window_s, 0)
        self._windows.move_to_end((limit.name, who))
        if len(self._windows) > _REMEMBERED:
            self._windows.popitem(last=False)
        window.taken += 1
        rest_s = max(1, round(window.ends_at - now))
        left = max(0, limit.requests - window.taken)
        headers = {"RateLimit-Policy": limit.policy, "RateLimit": f'"{limit.name}";r={left};t={rest_s}'}
        if window.taken > limit.requests:
            error = ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"More than {limit.requests} requests within {limit.window_s} s.",
                remedy=f"Go on in {rest_s} s",
                kind=EXCEEDED,
            )
            error.headers.update(headers, **{"Retry-After": str(rest_s)})
            raise error
        return headers


def source_of(request: web.Request) -> str:
    """The address a request comes from; of IPv6 the network that one subscriber has (RFC 6177)."""
    try:
        address = ipaddress.ip_address(request.remote or "")
    except ValueError:
        return "?"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


RATES: Final = web.AppKey[Rates]("rates")
RATE_HEADERS: Final = web.RequestKey("rate_headers", dict[str, str])
"""What the answer tells of the limit."""

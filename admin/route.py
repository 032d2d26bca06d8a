"""One URL: its method, its handler, and what somebody needs to get there."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from aiohttp import web

from admin.identity import Identity
from admin.services import Services
from policies.access import Scope


class Open(Enum):
    """What needs no scope in any tenant."""

    ANYONE = "anyone"
    SIGNED_IN = "signed_in"
    """A person's own account: nobody else's is reached by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request about somebody's own account."""

    request: web.Request
    services: Services
    identity: Identity


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Handler = Callable[..., Awaitable[Any]]
"""Takes `web.Request` (anyone), `Visit` (signed in) or `Ask` (a scope); see `admin.door`. An operation takes more."""


@dataclass(frozen=True, slots=True)
class Route:
    """A URL of the web admin, or of the server itself; returns a response."""

    method: Method
    path: str
    """A page of a tenant has `{tenant_id}` in it."""
    handler: Handler
    needs: Scope | Open | None = None
    """None is refused at the start: whoever adds a route says who may come."""

    def __post_init__(self) -> None:
        """Refuse what would be open by mistake."""
        if self.needs is None:
            raise ValueError(f"{self.method} {self.path} names no permission")
        if isinstance(self.needs, Scope) and not self.is_operation and "{tenant_id}" not in self.path:
            raise ValueError(f"{self.method} {self.path} needs a scope, but is of no tenant")

    @property
    def is_operation(self) -> bool:
        """Whether it is of the HTTP API."""
        return False


@dataclass(frozen=True, slots=True)
class Operation(Route):
    """A URL of the HTTP API. Its handler's signature is its contract.

    `async def get_thing(ask: Ask, thing_id: UUID, query: ThingQuery) -> Thing`: a parameter named in the path comes
    from there, `query` from the query string, `body` from JSON; what is returned goes out as JSON, None as 204. Without
    a scope, the first is a `Visit` or a `web.Request`. The first sentence of its docstring is its summary. Structs are
    msgspec's, and are what OpenAPI shows.
    """

    status: int = 200
    """Of a success: 201 where something was made, 202 where it is still being done."""
    problems: tuple[int, ...] = field(default=())
    """Statuses that it may answer besides those of every operation."""
    media_type: str = "application/json"
    """Of the answer; something else where the handler returns a response of its own."""
    takes_range: bool = False
    """Whether a piece of the answer may be asked for (RFC 9110 14.2)."""
    shown_once: bool = False
    """Whether the answer holds a secret: it is not kept for whoever sends the request again (`admin.idempotency`)."""

    @property
    def is_operation(self) -> bool:
        """Whether it is of the HTTP API."""
        return True

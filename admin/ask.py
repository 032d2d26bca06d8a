"""One request of somebody who may make it: what every handler gets."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from aiohttp import web

from admin.problems import NotThereError, ProblemError, RefusedError
from admin.services import Services
from policies.access import Principal, Reader, Refusal, Scope, authorize
from policies.audit_tags import Actor
from store.engine import StoreAwayError
from store.scope import TenantStore

_SHARED: Final[ContextVar[TenantStore | None]] = ContextVar("shared_transaction", default=None)
"""Of the request that is being answered, which has one tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request that has passed the door: `principal` has the scope of the route, somewhere in the tenant.

    Whatever belongs to one project is checked with `check`, or listed within `projects`, by the handler that loads it.
    """

    request: web.Request
    services: Services
    principal: Principal
    scope: Scope
    again: Callable[[], Awaitable[Principal]]
    """Asks the door again, for an answer that goes on. Raises `ProblemError`: nobody, or nothing is granted there."""

    @property
    def tenant_id(self) -> UUID:
        """Whose data this is about."""
        return self.principal.tenant_id

    @property
    def actor(self) -> Actor:
        """Who does it, for the audit log."""
        return self.principal.actor

    @property
    def projects(self) -> frozenset[UUID] | None:
        """The projects in which the scope of the route is granted; None: all of the tenant's."""
        return self.principal.projects_with(self.scope)

    @property
    def reader(self) -> Reader:
        """Who reads what was said, and how much of it they see."""
        return self.principal.reader()

    @property
    def listener(self) -> Reader:
        """Who hears recordings, and which."""
        return self.principal.reader(Scope.RECORDINGS_READ)

    @property
    def now(self) -> datetime:
        """The moment, in UTC."""
        return datetime.fromtimestamp(self.services.unix_time(), UTC)

    @asynccontextmanager
    async def store(self) -> AsyncIterator[TenantStore]:
        """A transaction of the tenant: its own, or the one that the request is in (`in_one_transaction`)."""
        if (shared := _SHARED.get()) is not None:
            yield shared
            return
        async with self.services.database.tenant(self.tenant_id) as store:
            yield store

    @asynccontextmanager
    async def in_one_transaction(self) -> AsyncIterator[None]:
        """Have all that is read meanwhile read in one: beginning and ending each costs as much as a look.

        Only for what waits for one thing after another, and changes nothing that must stay where something else fails.
        """
        async with self.services.database.tenant(self.tenant_id) as store:
            token = _SHARED.set(store)
            try:
                yield
            finally:
                _SHARED.reset(token)

    async def is_still_granted(self) -> bool:
        """Whether what was granted when this was asked is granted now, neither more nor less."""
        try:
            principal = await self.again()
        except (ProblemError, StoreAwayError):
            return False
        return set(principal.grants) == set(self.principal.grants) and bool(authorize(principal, self.scope))

    def check(self, project_id: UUID, scope: Scope | None = None) -> None:
        """Go on only if the scope, by default the route's, is granted on this project.

        Raises:
            ProblemError: 404 where nothing is granted, 403 where something else is.
        """
        verdict = authorize(self.principal, scope or self.scope, project_id)
        if isinstance(verdict, Refusal):
            raise problem_of(verdict)

    def check_whole(self) -> None:
        """Go on only if the scope of the route is granted on all of the tenant.

        Raises:
            ProblemError: 403: it is granted on some projects only.
        """
        if self.projects is not None:
            raise RefusedError(f"This is about the whole tenant, and needs {self.scope.value} on all of it.")

    def may(self, scope: Scope, project_id: UUID | None = None) -> bool:
        """Whether to offer it: the door decides again when it is asked for. A missing step-up does not hide a thing."""
        verdict = authorize(self.principal, scope, project_id)
        return bool(verdict) or (isinstance(verdict, Refusal) and verdict.kind == "step_up")


STEP_UP = "tag:aitelier.org,2026:step-up"
ENROL = "tag:aitelier.org,2026:enrol"
"""Types of problems (RFC 9457) after which the same request can succeed."""


def problem_of(refusal: Refusal) -> ProblemError:
    """How a refusal is answered."""
    match refusal.kind:
        case "unknown":
            return NotThereError()
        case "forbidden":
            return RefusedError(refusal.reason)
        case "step_up":
            return RefusedError(refusal.reason, kind=STEP_UP, remedy="Confirm at /account/confirm, then try again")
        case "enrol":
            return RefusedError(refusal.reason, kind=ENROL, remedy="Set one up at /account/security, then try again")

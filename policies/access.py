"""Who may do what: scopes, the roles that carry them, and the one decision, `authorize`.

A scope is `noun:verb`. Every route names exactly one; a role or an API key is a set of them, granted on one project or
on all of a tenant. What a scope of a whole tenant is about (members, trunks, the log) cannot be granted on one project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from policies.audit_tags import OPERATOR, Actor
from policies.verdict import Allow

STEP_UP_S: Final = 900.0
"""A second factor counts for this long where a step-up is asked for."""


class Scope(StrEnum):
    """What can be allowed, in alphabetical order."""

    AUDIT_EXPORT = "audit:export"
    AUDIT_READ = "audit:read"
    BILLING_WRITE = "billing:write"
    DSAR_READ = "dsar:read"
    DSAR_WRITE = "dsar:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    KNOWLEDGE_WRITE = "knowledge:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    NUMBERS_READ = "numbers:read"
    NUMBERS_WRITE = "numbers:write"
    OUTBOUND_TRIGGER = "outbound:trigger"
    PLUGINS_WRITE = "plugins:write"
    PROJECTS_DELETE = "projects:delete"
    PROJECTS_READ = "projects:read"
    PROJECTS_WRITE = "projects:write"
    RECORDINGS_READ = "recordings:read"
    RETENTION_READ = "retention:read"
    """How long things are kept, and what is held from erasure, and why."""
    RETENTION_WRITE = "retention:write"
    SCENARIOS_READ = "scenarios:read"
    SCENARIOS_WRITE = "scenarios:write"
    SESSIONS_DELETE = "sessions:delete"
    SESSIONS_READ = "sessions:read"
    SESSIONS_WRITE = "sessions:write"
    """To hang up, transfer and pause calls that are up, and to call from the browser."""
    SETTINGS_WRITE = "settings:write"
    TRANSCRIPTS_READ = "transcripts:read"
    TRUNKS_READ = "trunks:read"
    TRUNKS_WRITE = "trunks:write"
    USAGE_READ = "usage:read"
    WEBHOOKS_WRITE = "webhooks:write"


OF_THE_TENANT: Final = frozenset(
    {
        Scope.AUDIT_EXPORT,
        Scope.AUDIT_READ,
        Scope.BILLING_WRITE,
        Scope.KEYS_READ,
        Scope.KEYS_WRITE,
        Scope.MEMBERS_READ,
        Scope.MEMBERS_WRITE,
        Scope.SETTINGS_WRITE,
        Scope.TRUNKS_READ,
        Scope.TRUNKS_WRITE,
    }
)
"""Scopes about what belongs to no project: a grant on one project does not carry them."""

NEEDS_SECOND_FACTOR: Final = frozenset(
    {
        Scope.AUDIT_EXPORT,
        Scope.BILLING_WRITE,
        Scope.DSAR_WRITE,
        Scope.KEYS_WRITE,
        Scope.MEMBERS_WRITE,
        Scope.PROJECTS_DELETE,
        Scope.RETENTION_WRITE,
        Scope.SESSIONS_DELETE,
        Scope.SETTINGS_WRITE,
    }
)
"""People need a second factor of the last quarter of an hour for these, whatever their role."""

Role = Literal["owner", "editor", "viewer"]

_VIEWER: Final = frozenset(
    {
        Scope.NUMBERS_READ,
        Scope.PROJECTS_READ,
        Scope.RECORDINGS_READ,
        Scope.SCENARIOS_READ,
        Scope.SESSIONS_READ,
        Scope.TRANSCRIPTS_READ,
        Scope.TRUNKS_READ,
        Scope.USAGE_READ,
    }
)
_EDITOR: Final = _VIEWER | {
    Scope.DSAR_READ,
    Scope.KNOWLEDGE_WRITE,
    Scope.MEMBERS_READ,
    Scope.NUMBERS_WRITE,
    Scope.OUTBOUND_TRIGGER,
    Scope.PLUGINS_WRITE,
    Scope.PROJECTS_WRITE,
    Scope.RETENTION_READ,
    Scope.SCENARIOS_WRITE,
    Scope.SESSIONS_WRITE,
    Scope.WEBHOOKS_WRITE,
}
SCOPES_OF: Final[Mapping[Role, frozenset[Scope]]] = {
    "viewer": _VIEWER,
    "editor": _EDITOR,
    "owner": frozenset(Scope),
}

Visibility = Literal["all", "redacted", "none"]
"""How much of transcripts the viewers of a project see."""
Projects = frozenset[UUID] | None
"""Some of a tenant's; None: all of them, also those to come."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads what was said in calls, and how much of it. Nothing is opened without one (`store.conversation`)."""

    actor: Actor
    whole: Projects
    """Where all of it is read."""
    as_viewer: Projects
    """Where it is read as the project lets its viewers."""
    answers_caller: bool = False
    """For the caller's own copy, which is owed also while a project is being deleted and nobody else reads it."""

    def visibility(self, project_id: UUID, viewers_see: Visibility) -> Visibility:
        """How much of the calls of a project that lets its viewers see this much."""
        if self.whole is None or project_id in self.whole:
            return "all"
        return viewers_see if self.as_viewer is None or project_id in self.as_viewer else "none"


def reads_all(actor: Actor) -> Reader:
    """Somebody who reads everything."""
    return Reader(actor, whole=None, as_viewer=None)


def answers_caller(actor: Actor) -> Reader:
    """Whoever makes a caller the copy of their calls that they are owed (GDPR Art. 15)."""
    return Reader(actor, whole=None, as_viewer=None, answers_caller=True)


READS_ALL: Final = reads_all(OPERATOR)
"""Whoever has the command line of the machine."""


@dataclass(frozen=True, slots=True)
class Grant:
    """Some scopes on one project, or on all of the tenant where `project_id` is None."""

    scopes: frozenset[Scope]
    project_id: UUID | None = None
    role: Role | None = None
    """None for an API key."""

    def carries(self, scope: Scope) -> bool:
        """Whether this grant is about the scope at all."""
        return scope in self.scopes and (self.project_id is None or scope not in OF_THE_TENANT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who acts in one tenant, and what was granted to them there."""

    actor: Actor
    tenant_id: UUID
    grants: Sequence[Grant]
    second_factor_age_s: float | None = None
    """How long ago a person last showed a second factor; None: not in this sign-in. Of no meaning for a key."""
    must_have_second_factor: bool = False
    """The tenant asks it of everyone, the person is an owner, or has set one up."""

    def projects_with(self, scope: Scope) -> frozenset[UUID] | None:
        """Where the scope is granted; None: on every project of the tenant."""
        carrying = [grant.project_id for grant in self.grants if grant.carries(scope)]
        return None if None in carrying else frozenset(one for one in carrying if one is not None)

    def reader(self, scope: Scope = Scope.TRANSCRIPTS_READ) -> Reader:
        """How much of what was said in calls is read, or heard: of viewers, that is for each project to say."""

        def where(*roles: Role | None) -> Projects:
            granted = [grant for grant in self.grants if grant.carries(scope) and grant.role in roles]
            found = {grant.project_id for grant in granted}
            return None if None in found else frozenset(one for one in found if one is not None)

        return Reader(self.actor, whole=where("owner", "editor", None), as_viewer=where("viewer"))

    def may_pass_on(self, scopes: frozenset[Scope], project_id: UUID | None) -> bool:
        """Whether all of this is granted there, so that it can be given to others: nobody gives more than they have."""
        if project_id is not None:
            scopes -= OF_THE_TENANT
        held = {scope for grant in self.grants if grant.project_id in {None, project_id} for scope in grant.scopes}
        return scopes <= held

    def sees_project(self, project_id: UUID) -> bool:
        """Whether anything at all is granted there: to others it does not exist."""
        return any(grant.project_id in {None, project_id} for grant in self.grants)


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, why, and of what kind. Falsy.

    `unknown`: answered as if the thing did not exist; `forbidden`: it exists, and somebody else may; `step_up`: the
    same person may, after showing a second factor; `enrol`: after setting one up.
    """

    kind: Literal["unknown", "forbidden", "step_up", "enrol"]
    reason: str

    def __bool__(self) -> bool:
        return False


def authorize(principal: Principal, scope: Scope, project_id: UUID | None = None) -> Allow | Refusal:
    """Whether the principal may do this, there; without a project: anywhere in the tenant."""
    if not principal.grants or (project_id is not None and not principal.sees_project(project_id)):
        return Refusal("unknown", "There is no such thing here.")
    carrying = [grant for grant in principal.grants if grant.carries(scope)]
    if not any(project_id is None or grant.project_id in {None, project_id} for grant in carrying):
        return Refusal("forbidden", f"This needs {scope.value}. Ask an owner for it.")
    if principal.actor.kind != "user":
        return Allow()
    if principal.must_have_second_factor and principal.second_factor_age_s is None:
        return Refusal("enrol", "Your account has to be protected by a second factor first.")
    if scope in NEEDS_SECOND_FACTOR and (
        principal.second_factor_age_s is None or principal.second_factor_age_s > STEP_UP_S
    ):
        return Refusal("step_up", "Show your second factor again: it is asked for every quarter of an hour here.")
    return Allow()

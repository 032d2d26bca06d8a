"""Who may do what: every role, every scope, on one's own project, on another, and in the whole tenant."""

from itertools import product
from typing import Literal, get_args
from uuid import UUID

import pytest

from policies.access import SCOPES_OF as GRANTED
from policies.access import (
    STEP_UP_S,
    Grant,
    Principal,
    Reader,
    Refusal,
    Role,
    Scope,
    Visibility,
    authorize,
    reads_all,
)
from policies.audit_tags import Actor

PERSON = Actor("user", "olga")
TENANT, OWN, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
Place = Literal["own project", "other project", "tenant"]

# Written down once more, by hand: who has it (o: owners, e: editors too, v: viewers too), whether it can be had on one
# project, and whether people have to show a second factor of the last quarter of an hour.
TABLE = """
audit:export       o  tenant   fresh
audit:read         o  tenant   -
billing:write      o  tenant   fresh
dsar:read          e  project  -
dsar:write         o  project  fresh
keys:read          o  tenant   -
keys:write         o  tenant   fresh
knowledge:write    e  project  -
members:read       e  tenant   -
members:write      o  tenant   fresh
numbers:read       v  project  -
numbers:write      e  project  -
outbound:trigger   e  project  -
plugins:write      e  project  -
projects:delete    o  project  fresh
projects:read      v  project  -
projects:write     e  project  -
recordings:read    v  project  -
retention:read     e  project  -
retention:write    o  project  fresh
scenarios:read     v  project  -
scenarios:write    e  project  -
sessions:delete    o  project  fresh
sessions:read      v  project  -
sessions:write     e  project  -
settings:write     o  tenant   fresh
transcripts:read   v  project  -
trunks:read        v  tenant   -
trunks:write       o  tenant   -
usage:read         v  project  -
webhooks:write     e  project  -
"""
RULES = {scope: (least, reach, factor) for scope, least, reach, factor in map(str.split, TABLE.strip().splitlines())}
RANK = {"viewer": "v", "editor": "ve", "owner": "veo"}


def person(*grants: Grant, age_s: float | None = 0.0, must: bool = False) -> Principal:
    return Principal(
        actor=PERSON, tenant_id=TENANT, grants=grants, second_factor_age_s=age_s, must_have_second_factor=must
    )


def kind(principal: Principal, scope: Scope, project_id: UUID | None) -> str:
    verdict = authorize(principal, scope, project_id)
    assert bool(verdict) is not isinstance(verdict, Refusal)
    return verdict.kind if isinstance(verdict, Refusal) else "allow"


def test_the_table_has_every_scope() -> None:
    """A scope that nobody has written a rule for fails here."""
    assert list(RULES) == [scope.value for scope in Scope]


@pytest.mark.parametrize(("role", "scope"), list(product(get_args(Role), Scope)))
def test_a_role_on_one_project(role: Role, scope: Scope) -> None:
    """It holds there and nowhere else, and never for what is the whole tenant's."""
    least, reach, _ = RULES[scope.value]
    held = least in RANK[role] and reach == "project"
    principal = person(Grant(GRANTED[role], OWN, role))
    assert kind(principal, scope, OWN) == ("allow" if held else "forbidden")
    assert kind(principal, scope, OTHER) == "unknown"
    assert kind(principal, scope, None) == ("allow" if held else "forbidden")
    assert principal.projects_with(scope) == (frozenset({OWN}) if held else frozenset())


@pytest.mark.parametrize(("role", "scope"), list(product(get_args(Role), Scope)))
def test_a_role_on_the_whole_tenant(role: Role, scope: Scope) -> None:
    """It holds on every project, and for what is of none."""
    held = RULES[scope.value][0] in RANK[role]
    principal = person(Grant(GRANTED[role], None, role))
    for project_id in (OWN, OTHER, None):
        assert kind(principal, scope, project_id) == ("allow" if held else "forbidden")
    assert principal.projects_with(scope) == (None if held else frozenset())


@pytest.mark.parametrize("scope", list(Scope))
def test_who_is_no_member_learns_nothing(scope: Scope) -> None:
    """Not even that there is something."""
    for project_id in (OWN, None):
        assert kind(person(), scope, project_id) == "unknown"


@pytest.mark.parametrize("scope", list(Scope))
def test_a_key_may_what_it_was_made_for(scope: Scope) -> None:
    """Nothing else, whatever it is; and no second factor is asked of it."""
    for granted in Scope:
        key = Principal(actor=Actor("key", "k"), tenant_id=TENANT, grants=(Grant(frozenset({granted}), None),))
        assert kind(key, scope, OWN) == ("allow" if granted is scope else "forbidden")


@pytest.mark.parametrize("scope", list(Scope))
def test_a_second_factor_is_asked_for_where_it_counts(scope: Scope) -> None:
    """Of the last quarter of an hour, to the second, and whatever the role."""
    is_asked = RULES[scope.value][2] == "fresh"
    owner = Grant(GRANTED["owner"], None, "owner")
    assert kind(person(owner, age_s=STEP_UP_S), scope, None) == "allow"
    assert kind(person(owner, age_s=STEP_UP_S + 0.1), scope, None) == ("step_up" if is_asked else "allow")
    assert kind(person(owner, age_s=None), scope, None) == ("step_up" if is_asked else "allow")
    assert kind(person(owner, age_s=None, must=True), scope, None) == "enrol"


def test_roles_add_up() -> None:
    """Who views everything and edits one project may do more there, and not elsewhere."""
    both = person(Grant(GRANTED["viewer"], None, "viewer"), Grant(GRANTED["editor"], OWN, "editor"))
    assert kind(both, Scope.SCENARIOS_WRITE, OWN) == "allow"
    assert kind(both, Scope.SCENARIOS_WRITE, OTHER) == "forbidden"
    assert kind(both, Scope.SCENARIOS_READ, OTHER) == "allow"


PASSING = [
    ("owner", None, frozenset(Scope), None, True),
    ("owner", None, frozenset(Scope), OWN, True),
    ("owner", OWN, GRANTED["owner"], OWN, True),
    ("owner", OWN, GRANTED["viewer"], None, False),
    ("owner", OWN, GRANTED["viewer"], OTHER, False),
    ("editor", None, GRANTED["editor"], None, True),
    ("editor", None, GRANTED["owner"], OWN, False),
    ("viewer", None, GRANTED["editor"], OWN, False),
]


@pytest.mark.parametrize(("role", "where", "scopes", "project_id", "may"), PASSING)
def test_nobody_gives_more_than_they_have(
    role: Role, where: UUID | None, scopes: frozenset[Scope], project_id: UUID | None, *, may: bool
) -> None:
    """Neither more scopes nor in more places."""
    assert person(Grant(GRANTED[role], where, role)).may_pass_on(scopes, project_id) is may


READING: list[tuple[Role | None, UUID | None, Visibility, Visibility, Visibility]] = [
    ("owner", None, "none", "all", "all"),
    ("editor", None, "redacted", "all", "all"),
    ("editor", OWN, "none", "all", "none"),
    ("viewer", None, "all", "all", "all"),
    ("viewer", None, "redacted", "redacted", "redacted"),
    ("viewer", None, "none", "none", "none"),
    ("viewer", OWN, "all", "all", "none"),
    ("viewer", OWN, "redacted", "redacted", "none"),
    (None, OWN, "none", "all", "none"),
]


@pytest.mark.parametrize(("role", "where", "viewers_see", "own", "other"), READING)
def test_how_much_is_read(
    role: Role | None, where: UUID | None, viewers_see: Visibility, own: Visibility, other: Visibility
) -> None:
    """Owners, editors and keys read everything where they may at all; viewers what the project says."""
    scopes = GRANTED[role] if role else frozenset({Scope.TRANSCRIPTS_READ})
    reader = person(Grant(scopes, where, role)).reader()
    assert reader.visibility(OWN, viewers_see) == own
    assert reader.visibility(OTHER, viewers_see) == other


def test_reading_needs_the_scope() -> None:
    """A key that sees calls and hears them reads nothing; who has a better role in one place has it there."""
    key = Principal(
        actor=Actor("key", "k"),
        tenant_id=TENANT,
        grants=(Grant(frozenset({Scope.SESSIONS_READ, Scope.RECORDINGS_READ}), None),),
    )
    assert key.reader().visibility(OWN, "all") == "none"
    assert key.reader(Scope.RECORDINGS_READ).visibility(OWN, "none") == "all"
    both = person(Grant(GRANTED["viewer"], None, "viewer"), Grant(GRANTED["editor"], OWN, "editor")).reader()
    assert (both.visibility(OWN, "none"), both.visibility(OTHER, "none")) == ("all", "none")
    assert reads_all(PERSON).visibility(OTHER, "none") == "all"
    assert Reader(PERSON, whole=frozenset(), as_viewer=frozenset()).visibility(OWN, "all") == "none"

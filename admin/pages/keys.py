"""API keys: made with scopes in plain words, shown once, rotated, revoked."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api import keys as api
from admin.api.keys import ApiKeyListQuery, ApiKeyMade, NewApiKey, RotateApiKey
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.forms import check_typed, chosen
from admin.pages.lists import around, every
from admin.pages.names import names_for
from admin.pages.queries import filled, id_in, query_of
from admin.pages.render import go_to, page
from admin.problems import BadRequestError, ProblemError, RefusedError
from policies.access import NEEDS_SECOND_FACTOR, OF_THE_TENANT, Scope
from policies.api_keys import LONGEST_POWERFUL

WORDS: Final[Mapping[Scope, str]] = {
    Scope.SESSIONS_READ: "See calls: when, how long, from which number",
    Scope.TRANSCRIPTS_READ: "Read what was said in calls",
    Scope.RECORDINGS_READ: "Hear and download recordings",
    Scope.SESSIONS_WRITE: "Hang up, transfer and pause calls that are up",
    Scope.SESSIONS_DELETE: "Erase calls",
    Scope.OUTBOUND_TRIGGER: "Have the agent call somebody",
    Scope.PROJECTS_READ: "See projects and their settings",
    Scope.PROJECTS_WRITE: "Make projects and change their settings",
    Scope.PROJECTS_DELETE: "Delete projects with all their calls",
    Scope.SCENARIOS_READ: "Read scenarios",
    Scope.SCENARIOS_WRITE: "Write and publish scenarios",
    Scope.KNOWLEDGE_WRITE: "Change what the agent knows",
    Scope.PLUGINS_WRITE: "Connect and disconnect plugins",
    Scope.WEBHOOKS_WRITE: "Set where events are sent to",
    Scope.NUMBERS_READ: "See numbers",
    Scope.NUMBERS_WRITE: "Add, point and remove numbers",
    Scope.TRUNKS_READ: "See trunks",
    Scope.TRUNKS_WRITE: "Add, change and remove trunks",
    Scope.DSAR_READ: "See requests of callers about their data",
    Scope.DSAR_WRITE: "Export and erase a caller's data",
    Scope.RETENTION_READ: "See how long things are kept, and what is held",
    Scope.RETENTION_WRITE: "Change how long things are kept, and hold calls",
    Scope.AUDIT_READ: "Read the audit log",
    Scope.AUDIT_EXPORT: "Export the audit log",
    Scope.USAGE_READ: "See usage",
    Scope.BILLING_WRITE: "Change billing",
    Scope.MEMBERS_READ: "See who is a member",
    Scope.MEMBERS_WRITE: "Invite and remove people, change roles",
    Scope.KEYS_READ: "See API keys, never the keys themselves",
    Scope.KEYS_WRITE: "Make and revoke API keys",
    Scope.SETTINGS_WRITE: "Change the tenant's settings and secrets",
}
"""Each scope, in the order of the checklist."""
GROUPS: Final[Sequence[tuple[str, frozenset[str]]]] = (
    ("Calls", frozenset({"sessions", "transcripts", "recordings", "outbound"})),
    ("Receptionists", frozenset({"projects", "scenarios", "knowledge", "plugins", "webhooks"})),
    ("Lines", frozenset({"numbers", "trunks"})),
    ("Privacy", frozenset({"dsar", "retention", "audit"})),
    ("The tenant", frozenset({"usage", "billing", "members", "keys", "settings"})),
)
"""Of the checklist, by the nouns of the scopes."""
LIVES: Final[Sequence[tuple[str, str]]] = (
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
    ("", "Never"),
)


_HEAD: Final = (
    "name", "key", "scopes", "project", "networks", "made", "by", "ends", "last used", "revoked",
)  # fmt: skip  # a line of the file


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the checklist."""

    scope: Scope
    words: str
    ends: bool
    """A key with it ends within ninety days."""
    tenant_only: bool
    """It is not for one project."""
    is_chosen: bool


class KeyForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the form holds besides the checklist."""

    name: str = ""
    project_id: UUID | None = None
    networks: str = ""
    life_days: int | None = None


class RotationForm(msgspec.Struct, frozen=True, kw_only=True):
    """How long the old key goes on."""

    overlap_hours: int = 24


async def keys(ask: Ask) -> web.Response:
    """Every key, newest first."""
    query = query_of(ask.request, ApiKeyListQuery)
    found = await api.list_keys(ask, query)
    return page(
        ask,
        "keys.html",
        keys=found.items,
        **around(ask.request, f"/t/{ask.tenant_id}/keys", found.next_cursor),
        query=query,
        names=await names_for(ask),
        words=WORDS,
        may_change=ask.may(Scope.KEYS_WRITE),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file."""
    names = await names_for(ask)
    query = query_of(ask.request, ApiKeyListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for key in every(partial(api.list_keys, ask), query):
            known = (key.name, f"{key.prefix}…{key.last_four}", " ".join(key.scopes))
            where = "all" if key.project_id is None else names.project(key.project_id)
            made = (" ".join(key.networks), key.made_at, str(key.made_by))
            yield (*known, where, *made, key.expires_at, key.last_used_at, key.revoked_at)

    return await send_csv(ask, "api-keys", _HEAD, rows())


async def new_key(ask: Ask) -> web.Response:
    """The form."""
    return await _form_page(ask, {"life_days": "90"}, ())


async def make_key(ask: Ask) -> web.Response:
    """Make it, and show it this once."""
    form, scopes = await form_of(ask.request), await chosen(ask.request, "scopes")
    try:
        wanted = filled(form, KeyForm)
        made = await api.make_key(
            ask,
            NewApiKey(
                name=wanted.name,
                scopes=tuple(Scope(one) for one in scopes if one in set(Scope)),
                project_id=wanted.project_id,
                networks=tuple(wanted.networks.split()),
                expires_at=None if wanted.life_days is None else ask.now + timedelta(days=min(wanted.life_days, 3650)),
            ),
        )
    except (BadRequestError, RefusedError) as error:
        return await _form_page(ask, form, scopes, error)
    return _shown_once(ask, made)


async def ask_revocation(ask: Ask) -> web.Response:
    """Say what happens when a key is revoked, and ask for its end."""
    return await _revocation_page(ask)


async def revoke_key(ask: Ask) -> web.Response:
    """Revoke it."""
    key = await api.get_key(ask, id_in(ask.request, "key_id"))
    try:
        check_typed(await form_of(ask.request), key.last_four)
    except BadRequestError as error:
        return await _revocation_page(ask, error)
    await api.revoke_key(ask, key.id)
    return go_to(ask.request, f"/t/{ask.tenant_id}/keys", "The key is revoked: it opens nothing any more.")


async def ask_rotation(ask: Ask) -> web.Response:
    """Say what rotating means, and ask how long the old key goes on."""
    key = await api.get_key(ask, id_in(ask.request, "key_id"))
    return page(ask, "key_rotate.html", key=key)


async def rotate_key(ask: Ask) -> web.Response:
    """Rotate it, and show the new one this once."""
    wanted = filled(await form_of(ask.request), RotationForm)
    hours = max(0, min(wanted.overlap_hours, api.LONGEST_OVERLAP_HOURS))
    return _shown_once(ask, await api.rotate_key(ask, id_in(ask.request, "key_id"), RotateApiKey(overlap_hours=hours)))


def _shown_once(ask: Ask, made: ApiKeyMade) -> web.Response:
    return page(ask, "key_made.html", status=201, key=made, words=WORDS, origin=ask.services.base_url)


async def _form_page(
    ask: Ask, form: Mapping[str, str], scopes: Sequence[str], error: ProblemError | None = None
) -> web.Response:
    offered = [scope for scope in WORDS if ask.principal.may_pass_on(frozenset({scope}), None)]
    groups = [
        (
            title,
            [
                Choice(
                    scope=scope,
                    words=WORDS[scope],
                    ends=scope in NEEDS_SECOND_FACTOR,
                    tenant_only=scope in OF_THE_TENANT,
                    is_chosen=scope in scopes,
                )
                for scope in offered
                if scope.partition(":")[0] in nouns
            ],
        )
        for title, nouns in GROUPS
    ]
    names = await names_for(ask)
    return page(
        ask,
        "key_new.html",
        status=200 if error is None else error.status.value,
        groups=[(title, choices) for title, choices in groups if choices],
        where=[("", "All projects, also those to come"), *((str(key), name) for key, name in names.projects.items())],
        lives=LIVES,
        longest_days=LONGEST_POWERFUL.days,
        form=form,
        error=None if error is None else error.problem,
    )


async def _revocation_page(ask: Ask, error: ProblemError | None = None) -> web.Response:
    return page(
        ask,
        "key_revoke.html",
        status=200 if error is None else error.status.value,
        key=await api.get_key(ask, id_in(ask.request, "key_id")),
        error="" if error is None else f"{error.problem.detail} {error.problem.remedy}",
    )

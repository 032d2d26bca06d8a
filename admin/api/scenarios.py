"""Scenarios: written as drafts, published as versions that never change, and gone back to by publishing one again.

Two who write at once do not overwrite each other: whoever changes something says which revision they have read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.shown import Limit, ShownActor, shown_actors
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError
from store import drafts, numbers, projects, scenarios
from store.drafts import NoDraftError
from store.projects import Project
from store.scenario_text import difference, scenario_text
from store.scenarios import NoScenarioError, NoVersionError, Scenario, ScenarioChangedError, ScenarioSummary
from store.scope import TenantStore
from voice.waist.messages import ClipsWanted, DeskAwayError, Done

_RENDERING_S = 20.0
"""How long publishing waits for the voice. A wording that is not ready then is rendered when a call needs it."""
_MOST_NUMBERS = 200

_Revision = Annotated[int, Meta(ge=1, le=2_147_483_647)]
_VersionNumber = Annotated[int, Meta(ge=1, le=2_147_483_647)]
Which = Annotated[str, Meta(pattern="^(draft|published|[1-9][0-9]{0,8})$")]
"""Of a scenario's wordings: the draft, the published one, or a version by its number."""


class ScenarioInList(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario."""

    id: UUID
    project_id: UUID
    name: str
    published_version: int | None
    """None: it answers no call yet."""
    revision: int
    drafted: bool
    """Something is being written that answers no call yet."""


class ScenarioPage(msgspec.Struct, frozen=True, kw_only=True):
    """Scenarios, newest first."""

    items: tuple[ScenarioInList, ...]
    next_cursor: UUID | None


class ScenarioListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which scenarios."""

    project_id: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class ScenarioDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What is being written."""

    content: Scenario
    changed_at: datetime
    by: ShownActor


class ScenarioDetail(ScenarioInList, frozen=True, kw_only=True):
    """One scenario with what it says."""

    published: Scenario | None
    """What answers calls now."""
    draft: ScenarioDraft | None
    answers: tuple[str, ...]
    """The numbers that are answered with it."""


class NewScenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario to begin with."""

    project_id: UUID
    content: Scenario


class DraftWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the draft is to say."""

    revision: _Revision
    """The scenario's, as it was read."""
    content: Scenario


class RevisionQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was read."""

    revision: _Revision


class PublishWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Publish what was read, and nothing that came after it."""

    revision: _Revision


class RollbackWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Go back to a version."""

    revision: _Revision
    version: _VersionNumber


class VersionInList(msgspec.Struct, frozen=True, kw_only=True):
    """One published wording."""

    version: int
    published_at: datetime
    by: ShownActor
    copy_of: int | None
    """The version that was gone back to."""
    is_current: bool
    """It answers calls now."""


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Versions, newest first."""

    items: tuple[VersionInList, ...]
    next_cursor: int | None


class VersionListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which versions."""

    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Published before this moment."""
    cursor: _VersionNumber | None = None
    limit: Limit = 50


class ScenarioWording(msgspec.Struct, frozen=True, kw_only=True):
    """What one version, or the draft, says."""

    of: str
    content: Scenario
    file: str
    """The same as a scenario file (TOML), for `aitelier scenario apply`."""


class DiffQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to compare."""

    old: Which = "published"
    new: Which = "draft"


class ScenarioDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What changed."""

    old: str
    new: str
    diff: str
    """Unified diff of the two scenario files; empty where they say the same."""


async def list_scenarios(ask: Ask, query: ScenarioListQuery) -> ScenarioPage:
    """List scenarios, newest first."""
    if query.project_id is not None:
        ask.check(query.project_id)
    within = ask.projects if query.project_id is None else {query.project_id}
    async with ask.store() as store:
        found = await scenarios.list_scenarios(store, project_ids=within, before=query.cursor, limit=query.limit + 1)
    items = tuple(_in_list(one) for one in found[: query.limit])
    return ScenarioPage(items=items, next_cursor=items[-1].id if len(found) > query.limit else None)


async def create_scenario(ask: Ask, body: NewScenario) -> ScenarioDetail:
    """Begin a scenario as a draft: it answers no call before it is published."""
    ask.check(body.project_id)
    async with ask.store() as store:
        await project_of(store, body.project_id)
        scenario_id = await drafts.begin(store, project_id=body.project_id, content=body.content, actor=ask.actor)
        return await _detail(ask, store, scenario_id)


async def get_scenario(ask: Ask, scenario_id: UUID) -> ScenarioDetail:
    """Show a scenario: what answers calls now, and what is being written."""
    async with ask.store() as store:
        return await _detail(ask, store, scenario_id)


async def save_draft(ask: Ask, scenario_id: UUID, body: DraftWanted) -> ScenarioDetail:
    """Save a draft; calls are answered as before."""
    async with _changing(ask, scenario_id) as store:
        await drafts.save(store, scenario_id, body.content, revision=body.revision, actor=ask.actor)
        return await _detail(ask, store, scenario_id)


async def discard_draft(ask: Ask, scenario_id: UUID, query: RevisionQuery) -> None:
    """Throw the draft away."""
    async with _changing(ask, scenario_id) as store:
        await drafts.discard(store, scenario_id, revision=query.revision, actor=ask.actor)


async def publish_scenario(ask: Ask, scenario_id: UUID, body: PublishWanted) -> ScenarioDetail:
    """Publish the draft: it answers from the next call on, and calls that are up keep what they began with."""
    async with _changing(ask, scenario_id) as store:
        await drafts.publish(store, scenario_id, revision=body.revision, actor=ask.actor)
        detail = await _detail(ask, store, scenario_id)
    await have_rendered(ask)
    return detail


async def roll_back_scenario(ask: Ask, scenario_id: UUID, body: RollbackWanted) -> ScenarioDetail:
    """Go back to a version by publishing it once more, as a new one."""
    async with _changing(ask, scenario_id) as store:
        try:
            await scenarios.roll_back(store, scenario_id, body.version, revision=body.revision, actor=ask.actor)
        except NoVersionError:
            raise BadRequestError(
                "There is no such version.", field="version", remedy="See the versions of the scenario"
            ) from None
        detail = await _detail(ask, store, scenario_id)
    await have_rendered(ask)
    return detail


async def list_versions(ask: Ask, scenario_id: UUID, query: VersionListQuery) -> VersionPage:
    """List what was published: who did it, and when."""
    async with ask.store() as store:
        current = (await summary_of(ask, store, scenario_id)).published_version
        found = await scenarios.versions_of(
            store,
            scenario_id,
            since=query.since,
            until=query.until,
            before=query.cursor,
            limit=query.limit + 1,
        )
    people = await shown_actors(ask, [one.by for one in found])
    items = tuple(
        VersionInList(
            version=one.version,
            published_at=one.published_at,
            by=people[one.by],
            copy_of=one.copy_of,
            is_current=one.version == current,
        )
        for one in found[: query.limit]
    )
    return VersionPage(items=items, next_cursor=items[-1].version if len(found) > query.limit else None)


async def get_wording(ask: Ask, scenario_id: UUID, which: Which) -> ScenarioWording:
    """Show what a version, the published one, or the draft says, also as a scenario file."""
    async with ask.store() as store:
        await summary_of(ask, store, scenario_id)
        content = await content_of(store, scenario_id, which)
    return ScenarioWording(of=which, content=content, file=scenario_text(content))


async def compare_wordings(ask: Ask, scenario_id: UUID, query: DiffQuery) -> ScenarioDiff:
    """Compare two wordings of a scenario."""
    async with ask.store() as store:
        await summary_of(ask, store, scenario_id)
        old = await content_of(store, scenario_id, query.old)
        new = await content_of(store, scenario_id, query.new)
    diff = difference(old, new, old_name=query.old, new_name=query.new)
    return ScenarioDiff(old=query.old, new=query.new, diff=diff)


async def summary_of(ask: Ask, store: TenantStore, scenario_id: UUID) -> ScenarioSummary:
    """The scenario, if whoever asks may see it.

    Raises:
        ProblemError: 404 or 403.
    """
    found = await scenarios.find(store, scenario_id)
    if found is None:
        raise NotThereError
    ask.check(found.project_id)
    return found


async def project_of(store: TenantStore, project_id: UUID) -> Project:
    """The project that something new is to belong to.

    Raises:
        BadRequestError: There is none, or it is being deleted.
    """
    found = await projects.find(store, project_id)
    if found is None:
        raise BadRequestError("There is no such project.", field="project_id", remedy="See /api/v1/projects")
    if found.deletion_asked_at is not None:
        raise BadRequestError("This project is being deleted.", field="project_id", remedy="Choose another one")
    return found


async def content_of(store: TenantStore, scenario_id: UUID, which: str) -> Scenario:
    """One of a scenario's wordings.

    Raises:
        NotThereError: It has no such one.
    """
    content: Scenario | None = None
    if which == "draft":
        draft = await drafts.find(store, scenario_id)
        content = draft.content if draft is not None else None
    elif which == "published":
        published = await scenarios.published(store, scenario_id)
        content = published.content if published is not None else None
    else:
        with suppress(NoVersionError):
            content = await scenarios.content_of(store, scenario_id, int(which))
    if content is None:
        raise NotThereError(f"The scenario has no such wording: {which}.", remedy="See its versions")
    return content


async def have_rendered(ask: Ask) -> None:
    """Let the first caller find the new wordings ready. A desk that is away does it when it starts."""
    with suppress(DeskAwayError):
        await ask.services.ask_desk(ClipsWanted(tenant_id=str(ask.tenant_id)), Done, seconds=_RENDERING_S)


@asynccontextmanager
async def _changing(ask: Ask, scenario_id: UUID) -> AsyncIterator[TenantStore]:
    """A transaction that changes the scenario; what stands in the way becomes a problem."""
    try:
        async with ask.store() as store:
            await summary_of(ask, store, scenario_id)
            yield store
    except ScenarioChangedError:
        raise ConflictError(
            "Somebody else has changed this scenario meanwhile, so nothing was saved.",
            field="revision",
            remedy="Read it again, bring your change into what it says now, and send that with its revision",
        ) from None
    except NoScenarioError:
        raise NotThereError from None
    except NoDraftError:
        raise ConflictError("Nothing is drafted.", remedy="Save a draft first") from None


async def _detail(ask: Ask, store: TenantStore, scenario_id: UUID) -> ScenarioDetail:
    found = await summary_of(ask, store, scenario_id)
    draft = await drafts.find(store, scenario_id)
    published = await scenarios.published(store, scenario_id)
    answered = await numbers.list_numbers(store, scenario_id=scenario_id, limit=_MOST_NUMBERS)
    return ScenarioDetail(
        id=found.id,
        project_id=found.project_id,
        name=found.name,
        published_version=found.published_version,
        revision=found.revision,
        drafted=found.drafted,
        published=None if published is None else published.content,
        draft=None
        if draft is None
        else ScenarioDraft(
            content=draft.content,
            changed_at=draft.changed_at,
            by=(await shown_actors(ask, [draft.by]))[draft.by],
        ),
        answers=tuple(number.called for number in answered),
    )


def _in_list(found: ScenarioSummary) -> ScenarioInList:
    return ScenarioInList(
        id=found.id,
        project_id=found.project_id,
        name=found.name,
        published_version=found.published_version,
        revision=found.revision,
        drafted=found.drafted,
    )

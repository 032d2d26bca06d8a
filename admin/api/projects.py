"""Projects: one receptionist each, with the rules that hold for all its calls; and their end."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.shown import Limit, Search, ShownActor, holds_part, shown_actors
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError
from policies.access import Visibility
from policies.residency import Residency
from policies.retention import GRACE_DAYS, SHRED_DAYS, WIPE_DAYS
from store import projects
from store.erasure import projects as deletions
from store.erasure.expiry import NoProjectError
from store.erasure.holds import HeldError
from store.erasure.projects import Deletion, DeletionRefusedError
from store.erasure.receipts import hand_out
from store.projects import Changes, Project, ProjectRefusedError

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]


class ShownProject(msgspec.Struct, frozen=True, kw_only=True):
    """One receptionist."""

    id: UUID
    name: str
    business_name: str
    """As callers hear it."""
    jurisdiction: str
    """Where the business sits: ISO 3166-1 alpha-2, or ISO 3166-2 where law is regional, such as `US-CA`."""
    language: str
    """BCP 47; of calls whose scenario names no other."""
    time_zone: str
    """IANA name."""
    recording_days: int
    transcript_days: int
    residency: Residency
    hipaa: bool
    viewers_see: Visibility
    """How much of transcripts viewers see."""
    deletion_asked_at: datetime | None
    """Since when it is being deleted, and its numbers answer no calls."""


class ProjectPage(msgspec.Struct, frozen=True, kw_only=True):
    """Projects, oldest first."""

    items: tuple[ShownProject, ...]
    next_cursor: UUID | None


class ProjectListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which projects."""

    search: Search | None = None
    """In the name, or in what callers hear."""
    residency: Residency | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class NewProject(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project to begin with: recordings are kept for 90 days and transcripts for a year, until that is changed."""

    name: Name
    business_name: Name
    jurisdiction: str
    language: str
    time_zone: str = "UTC"


class ProjectChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be otherwise; what is left out stays as it is."""

    name: Name | None = None
    business_name: Name | None = None
    jurisdiction: str | None = None
    language: str | None = None
    time_zone: str | None = None
    viewers_see: Visibility | None = None


class DeletionWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That it is meant."""

    name: str
    """The project's."""


class ProjectDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """A project that is being deleted, or was."""

    project_id: UUID
    by: ShownActor
    state: Literal["locked", "unreadable", "gone"]
    """`locked`: answers no calls, and can be taken back; `unreadable`: its keys are gone; `gone`: all of it is."""
    asked_at: datetime
    back_until: datetime | None
    """Until then it can be taken back; None once its keys are gone."""
    keys_gone_by: datetime
    gone_by: datetime
    keys_shredded_at: datetime | None
    wiped_at: datetime | None
    calls: int
    """Of which the last copy is gone."""
    counts: Mapping[str, int]
    """Rows that are gone, by table."""


class DeletionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Projects that are being deleted, or were; those that were begun last come first."""

    items: tuple[ProjectDeletion, ...]
    next_cursor: UUID | None


class DeletionListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deletions."""

    state: Literal["locked", "unreadable", "gone"] | None = None
    cursor: UUID | None = None
    limit: Limit = 50


async def list_projects(ask: Ask, query: ProjectListQuery) -> ProjectPage:
    """List projects, oldest first."""
    async with ask.store() as store:
        found = await projects.all_projects(store)
    within = ask.projects
    mine = [one for one in found if within is None or one.id in within]
    some = [
        one
        for one in mine
        if (query.cursor is None or one.id > query.cursor)
        and query.residency in {None, one.bounds.residency}
        and holds_part(query.search, one.name, one.business_name)
    ]
    items = tuple(shown_project(one) for one in some[: query.limit])
    return ProjectPage(items=items, next_cursor=items[-1].id if len(some) > query.limit else None)


async def get_project(ask: Ask, project_id: UUID) -> ShownProject:
    """Show a project."""
    ask.check(project_id)
    async with ask.store() as store:
        project = await projects.find(store, project_id)
    if project is None:
        raise NotThereError
    return shown_project(project)


async def create_project(ask: Ask, body: NewProject) -> ShownProject:
    """Begin a project. It answers calls once it has a scenario and a number."""
    ask.check_whole()
    try:
        async with ask.store() as store:
            project = await projects.create(
                store,
                name=body.name.strip(),
                business_name=body.business_name.strip(),
                jurisdiction=body.jurisdiction,
                language=body.language,
                time_zone=body.time_zone,
                actor=ask.actor,
            )
    except ProjectRefusedError as error:
        raise BadRequestError(f"{error}.", field=error.field) from None
    return shown_project(project)


async def change_project(ask: Ask, project_id: UUID, body: ProjectChanges) -> ShownProject:
    """Change a project. What callers hear changes with their next call."""
    ask.check(project_id)
    changes = Changes(
        name=None if body.name is None else body.name.strip(),
        business_name=None if body.business_name is None else body.business_name.strip(),
        jurisdiction=body.jurisdiction,
        language=body.language,
        time_zone=body.time_zone,
        viewers_see=body.viewers_see,
    )
    try:
        async with ask.store() as store:
            project = await projects.change(store, project_id, changes, actor=ask.actor)
    except ProjectRefusedError as error:
        raise BadRequestError(f"{str(error).removesuffix('.')}.", field=error.field) from None
    if project is None:
        raise NotThereError
    return shown_project(project)


async def delete_project(ask: Ask, project_id: UUID, body: DeletionWanted) -> ProjectDeletion:
    """Lock a project at once, and delete it for good after the days in which it can be taken back."""
    project = await get_project(ask, project_id)
    if body.name != project.name:
        raise BadRequestError("This is not the project's name.", field="name", remedy="Write it as it stands")
    try:
        async with ask.store() as store:
            await deletions.delete_project(store, project_id, actor=ask.actor, now=ask.now)
    except DeletionRefusedError as error:
        raise ConflictError(f"{error}.") from None
    except HeldError as error:
        raise ConflictError(
            "A legal hold is on it, or on one of its calls.",
            remedy=f"Release it first: {', '.join(str(hold_id) for hold_id in error.hold_ids[:5])}",
        ) from None
    return await get_deletion(ask, project_id)


async def get_deletion(ask: Ask, project_id: UUID) -> ProjectDeletion:
    """Show how far the deletion of a project is."""
    found = await _deletion(ask, project_id)
    return shown_deletion(found, (await shown_actors(ask, (found.actor,)))[found.actor])


async def take_project_back(ask: Ask, project_id: UUID) -> None:
    """Take back the deletion of a project whose keys are not gone yet."""
    await _deletion(ask, project_id)
    try:
        async with ask.store() as store:
            await deletions.take_back(store, project_id, actor=ask.actor)
    except NoProjectError:
        raise NotThereError from None
    except DeletionRefusedError as error:
        raise ConflictError(f"{error}.") from None


async def get_deletion_receipt(ask: Ask, project_id: UUID) -> dict[str, Any]:
    """Hand out the signed receipt of a deleted project, which `aitelier receipts verify` checks anywhere."""
    found = await _deletion(ask, project_id)
    if found.receipt is None:
        raise ConflictError("It is still being deleted.", remedy="Wait until its state is gone")
    return await hand_out(ask.services.database, ask.tenant_id, found.receipt)


async def list_deletions(ask: Ask, query: DeletionListQuery) -> DeletionPage:
    """List projects that are being deleted, or were."""
    found = sorted(await all_deletions(ask), key=lambda one: one.project_id, reverse=True)
    some = [
        one
        for one in found
        if (query.cursor is None or one.project_id < query.cursor) and query.state in {None, one.state}
    ]
    items = tuple(some[: query.limit])
    return DeletionPage(items=items, next_cursor=items[-1].project_id if len(some) > query.limit else None)


async def all_deletions(ask: Ask) -> tuple[ProjectDeletion, ...]:
    """Projects that are being deleted, or were, newest first; for the page of them."""
    async with ask.store() as store:
        found = await deletions.list_deletions(store)
    within = ask.projects
    mine = [one for one in found if within is None or one.project_id in within]
    actors = await shown_actors(ask, (one.actor for one in mine))
    return tuple(shown_deletion(one, actors[one.actor]) for one in mine)


async def _deletion(ask: Ask, project_id: UUID) -> Deletion:
    ask.check(project_id)
    try:
        async with ask.store() as store:
            return await deletions.find_deletion(store, project_id)
    except NoProjectError:
        raise NotThereError from None


def shown_project(project: Project) -> ShownProject:
    """As the API shows it."""
    return ShownProject(
        id=project.id,
        name=project.name,
        business_name=project.business_name,
        jurisdiction=project.jurisdiction,
        language=project.language,
        time_zone=project.time_zone,
        recording_days=project.recording_days,
        transcript_days=project.transcript_days,
        residency=project.bounds.residency,
        hipaa=project.bounds.hipaa,
        viewers_see=project.viewers_see,
        deletion_asked_at=project.deletion_asked_at,
    )


def shown_deletion(found: Deletion, by: ShownActor) -> ProjectDeletion:
    """As the API shows it."""
    shredded, wiped = found.keys_shredded_at is not None, found.wiped_at is not None
    return ProjectDeletion(
        project_id=found.project_id,
        by=by,
        state="gone" if wiped else "unreadable" if shredded else "locked",
        asked_at=found.asked_at,
        back_until=None if shredded else found.asked_at + timedelta(days=GRACE_DAYS),
        keys_gone_by=found.asked_at + timedelta(days=SHRED_DAYS),
        gone_by=found.asked_at + timedelta(days=WIPE_DAYS),
        keys_shredded_at=found.keys_shredded_at,
        wiped_at=found.wiped_at,
        calls=found.sessions,
        counts=found.counts,
    )

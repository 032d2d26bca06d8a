"""Projects: what receptionists there are, how each is set, and the end of one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Final
from zoneinfo import available_timezones

from aiohttp import web

from admin.api import projects as api
from admin.api.projects import (
    DeletionListQuery,
    DeletionWanted,
    NewProject,
    ProjectChanges,
    ProjectDeletion,
    ProjectListQuery,
    ShownProject,
)
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.erasures import send_receipt
from admin.pages.forms import check_typed
from admin.pages.lists import around, every
from admin.pages.queries import blank, filled, id_in, query_of
from admin.pages.render import go_to, page
from admin.problems import BadRequestError, NotThereError, ProblemError
from policies.languages import LANGUAGES
from policies.retention import GRACE_DAYS, WIPE_DAYS

_ZONES: Final = (
    "UTC",
    *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")),
)
_DELETIONS_HEAD: Final = ("Project", "By", "State", "Asked", "Unreadable since", "Gone since", "Calls")
_HEAD: Final = (
    "Project", "Name", "Business", "Jurisdiction", "Language", "Time zone", "Recordings, days", "Transcripts, days",
    "Residency", "Health care", "Viewers see", "Deletion asked",
)  # fmt: skip  # columns, as they follow each other


async def show_all(ask: Ask) -> web.Response:
    """The list."""
    query = query_of(ask.request, ProjectListQuery)
    found = await api.list_projects(ask, query)
    deleted = await api.list_deletions(ask, DeletionListQuery())
    return page(
        ask,
        "projects.html",
        found=found,
        **around(ask.request, f"/t/{ask.tenant_id}/projects", found.next_cursor),
        query=query,
        deletions=deleted.items,
        deleted=around(ask.request, f"/t/{ask.tenant_id}/deletions", deleted.next_cursor),
        is_whole=ask.projects is None,
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The list as CSV."""
    query = query_of(ask.request, ProjectListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_projects, ask), query):
            yield (
                one.id, one.name, one.business_name, one.jurisdiction, one.language, one.time_zone,
                one.recording_days, one.transcript_days, one.residency, one.hipaa, one.viewers_see,
                one.deletion_asked_at,
            )  # fmt: skip  # in the order of the columns

    return await send_csv(ask, "projects", _HEAD, rows())


async def show_deletions(ask: Ask) -> web.Response:
    """Projects that are being deleted, or were."""
    query = query_of(ask.request, DeletionListQuery)
    found = await api.list_deletions(ask, query)
    return page(
        ask,
        "deletions.html",
        deletions=found.items,
        **around(ask.request, f"/t/{ask.tenant_id}/deletions", found.next_cursor),
        query=query,
    )


async def deletions_as_csv(ask: Ask) -> web.StreamResponse:
    """The same as CSV."""
    query = query_of(ask.request, DeletionListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_deletions, ask), query):
            yield one.project_id, str(one.by), one.state, one.asked_at, one.keys_shredded_at, one.wiped_at, one.calls

    return await send_csv(ask, "deletions", _DELETIONS_HEAD, rows())


async def ask_new(ask: Ask) -> web.Response:
    """The form for a new one."""
    return _form(ask, None, {}, None)


async def create(ask: Ask) -> web.Response:
    """Begin one."""
    form = await form_of(ask.request)
    try:
        made = await api.create_project(ask, filled(form, NewProject))
    except BadRequestError as error:
        return _form(ask, None, form, error)
    return go_to(
        ask.request,
        f"/t/{ask.tenant_id}/projects/{made.id}",
        "The project is there. It answers calls once it has a scenario and a number.",
    )


async def show(ask: Ask) -> web.Response:
    """One project, or what is left of one."""
    project_id = id_in(ask.request, "project_id")
    deletion = await _deletion(ask)
    if deletion is not None:
        return page(ask, "project_deletion.html", deletion=deletion, project=await _project(ask))
    return _form(ask, await api.get_project(ask, project_id), {}, None)


async def change(ask: Ask) -> web.Response:
    """Change one."""
    project_id = id_in(ask.request, "project_id")
    form = await form_of(ask.request)
    try:
        await api.change_project(ask, project_id, filled(form, ProjectChanges))
    except BadRequestError as error:
        return _form(ask, await api.get_project(ask, project_id), form, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/projects/{project_id}", "Saved. It counts from the next call on.")


async def ask_deletion(ask: Ask) -> web.Response:
    """What will happen, and whether it is meant."""
    return await _deletion_page(ask, None)


async def delete(ask: Ask) -> web.Response:
    """Lock it at once, and have it deleted."""
    project_id = id_in(ask.request, "project_id")
    project = await api.get_project(ask, project_id)
    try:
        check_typed(await form_of(ask.request), project.name.strip())
        await api.delete_project(ask, project_id, DeletionWanted(name=project.name))
    except ProblemError as error:
        return await _deletion_page(ask, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/projects/{project_id}", "Its numbers answer no more calls.")


async def take_back(ask: Ask) -> web.Response:
    """Take the deletion back."""
    project_id = id_in(ask.request, "project_id")
    await api.take_project_back(ask, project_id)
    return go_to(ask.request, f"/t/{ask.tenant_id}/projects/{project_id}", "It answers calls again.")


async def receipt(ask: Ask) -> web.Response:
    """The signed receipt of its end, as a file."""
    project_id = id_in(ask.request, "project_id")
    return send_receipt(await api.get_deletion_receipt(ask, project_id), f"receipt-{project_id}")


def _form(
    ask: Ask, project: ShownProject | None, form: Mapping[str, str], error: BadRequestError | None
) -> web.Response:
    return page(
        ask,
        "project_new.html" if project is None else "project.html",
        status=200 if error is None else error.status.value,
        project=project,
        form=blank(form),
        wrong=blank({} if error is None else {error.problem.field: error.problem.detail}),
        languages=LANGUAGES,
        zones=[(zone, zone) for zone in _ZONES],
    )


async def _deletion_page(ask: Ask, error: ProblemError | None) -> web.Response:
    return page(
        ask,
        "project_delete.html",
        status=200 if error is None else error.status.value,
        project=await api.get_project(ask, id_in(ask.request, "project_id")),
        error="" if error is None else f"{error.problem.detail} {error.problem.remedy}",
        grace_days=GRACE_DAYS,
        wipe_days=WIPE_DAYS,
    )


async def _project(ask: Ask) -> ShownProject | None:
    try:
        return await api.get_project(ask, id_in(ask.request, "project_id"))
    except NotThereError:
        return None


async def _deletion(ask: Ask) -> ProjectDeletion | None:
    try:
        return await api.get_deletion(ask, id_in(ask.request, "project_id"))
    except NotThereError:
        return None

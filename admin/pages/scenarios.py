"""Scenarios: what each says, its drafts and versions, and what callers are told first."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api import disclosure as disclosure_api
from admin.api import scenarios as api
from admin.api.disclosure import DisclosureCase, DisclosureQuery
from admin.api.scenarios import (
    DiffQuery,
    DraftWanted,
    NewScenario,
    PublishWanted,
    RevisionQuery,
    RollbackWanted,
    ScenarioDetail,
    ScenarioListQuery,
    VersionListQuery,
)
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages import scenario_form
from admin.pages.forms import chosen
from admin.pages.lists import around, every
from admin.pages.queries import blank, filled, query_of
from admin.pages.render import go_to, page
from admin.pages.scenario_form import FormWrongError, content_from, fields_of, languages_for, typed
from admin.problems import BadRequestError, ConflictError, NotThereError
from admin.zones import midnight, zone_of
from policies.access import Scope
from store import projects
from store.projects import Project
from store.scenario_text import ScenarioFileError, parse_scenario, scenario_text
from store.scenarios import Scenario


async def list_page(ask: Ask) -> web.Response:
    """The scenarios."""
    query = query_of(ask.request, ScenarioListQuery)
    found = await api.list_scenarios(ask, query)
    return page(
        ask,
        "scenarios.html",
        scenarios=found.items,
        **around(ask.request, f"/t/{ask.tenant_id}/scenarios", found.next_cursor),
        query=query,
        projects=await project_names(ask),
        writable=await writable_projects(ask),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file."""
    names = await project_names(ask)
    query = query_of(ask.request, ScenarioListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_scenarios, ask), query):
            yield one.id, one.name, names.get(one.project_id, ""), one.published_version, one.drafted

    return await send_csv(ask, "scenarios", ("id", "name", "project", "published version", "draft"), rows())


async def new(ask: Ask) -> web.Response:
    """The form of a scenario to begin with."""
    return page(ask, "scenario_new.html", projects=_options(await writable_projects(ask)), typed={}, errors={})


async def create(ask: Ask) -> web.Response:
    """Begin it as a draft."""
    form = await form_of(ask.request)
    project_id = uuid_or_none(form.get("project_id"))
    errors: Mapping[str, str] = {}
    if project_id is None:
        errors = {"project_id": "Choose a project."}
    else:
        start = Scenario(name="New", instructions="New")
        fields = {**_as_fields(start), "name": form.get("name", ""), "instructions": form.get("instructions", "")}
        try:
            content = content_from(fields, start.tools, start)
            made = await api.create_scenario(ask, NewScenario(project_id=project_id, content=content))
            return go_to(ask.request, _url(ask, made.id), "The draft is kept. Publish it to have it answer calls.")
        except FormWrongError as error:
            errors = error.errors
        except BadRequestError as error:
            errors = {error.problem.field: error.problem.detail}
    return page(
        ask,
        "scenario_new.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        projects=_options(await writable_projects(ask)),
        typed=form,
        errors=errors,
    )


async def edit(ask: Ask) -> web.Response:
    """What a scenario says, to be read and changed."""
    found = await api.get_scenario(ask, id_in(ask, "scenario_id"))
    return await _editor(ask, found, fields_of(_working_copy(found)))


async def save(ask: Ask) -> web.Response:
    """Keep what was typed as the draft; publish it too if that button was pressed."""
    scenario_id = id_in(ask, "scenario_id")
    form, tools = await form_of(ask.request), await chosen(ask.request, "tools")
    found = await api.get_scenario(ask, scenario_id)
    values = typed(form, tools)
    try:
        content = content_from(form, tools, _working_copy(found))
        kept = await api.save_draft(ask, scenario_id, DraftWanted(revision=_revision(form), content=content))
        if "publish" in form:
            kept = await api.publish_scenario(ask, scenario_id, PublishWanted(revision=kept.revision))
            return go_to(ask.request, _url(ask, scenario_id), _published(kept))
    except FormWrongError as error:
        return await _editor(ask, found, values, errors=error.errors, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except ConflictError:
        return await _editor(ask, found, values, conflict=True, status=HTTPStatus.CONFLICT)
    return go_to(ask.request, _url(ask, scenario_id), "The draft is kept. Calls are answered as before.")


async def save_file(ask: Ask) -> web.Response:
    """Keep a whole scenario file as the draft."""
    scenario_id = id_in(ask, "scenario_id")
    form = await form_of(ask.request)
    text = form.get("file", "").replace("\r\n", "\n")
    found = await api.get_scenario(ask, scenario_id)
    values = fields_of(_working_copy(found))
    try:
        content = parse_scenario(text)
        await api.save_draft(ask, scenario_id, DraftWanted(revision=_revision(form), content=content))
    except ScenarioFileError as error:
        wrong = {"file": f"{error}."}
        return await _editor(ask, found, values, errors=wrong, file=text, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except ConflictError:
        return await _editor(ask, found, values, conflict=True, file=text, status=HTTPStatus.CONFLICT)
    return go_to(ask.request, _url(ask, scenario_id), "The draft is kept. Calls are answered as before.")


async def publish(ask: Ask) -> web.Response:
    """Let the draft answer calls."""
    scenario_id = id_in(ask, "scenario_id")
    wanted = PublishWanted(revision=_revision(await form_of(ask.request)))
    try:
        notice = _published(await api.publish_scenario(ask, scenario_id, wanted))
    except ConflictError as error:
        notice = f"{error.problem.detail} {error.problem.remedy}."
    return go_to(ask.request, _url(ask, scenario_id), notice)


async def discard(ask: Ask) -> web.Response:
    """Throw the draft away."""
    scenario_id = id_in(ask, "scenario_id")
    found = await api.get_scenario(ask, scenario_id)
    try:
        await api.discard_draft(ask, scenario_id, RevisionQuery(revision=_revision(await form_of(ask.request))))
        notice = "The draft is gone."
    except ConflictError as error:
        notice = f"{error.problem.detail} {error.problem.remedy}."
    place = _url(ask, scenario_id) if found.published is not None else f"/t/{ask.tenant_id}/scenarios"
    return go_to(ask.request, place, notice)


class VersionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What the form above the versions asks for: days where the API takes moments."""

    since: date | None = None
    until: date | None = None
    """The last day."""
    cursor: int | None = None


async def versions(ask: Ask) -> web.Response:
    """What was published, by whom and when."""
    scenario_id = id_in(ask, "scenario_id")
    found = await api.get_scenario(ask, scenario_id)
    listed = await api.list_versions(ask, scenario_id, _version_query(ask))
    return page(
        ask,
        "scenario_versions.html",
        scenario=found,
        versions=listed.items,
        **around(ask.request, f"{_url(ask, scenario_id)}/versions", listed.next_cursor),
        query=blank(ask.request.query),
    )


async def versions_as_csv(ask: Ask) -> web.StreamResponse:
    """The same as a file."""
    scenario_id = id_in(ask, "scenario_id")
    await api.get_scenario(ask, scenario_id)
    query = _version_query(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_versions, ask, scenario_id), query):
            yield one.version, one.published_at, str(one.by), one.is_current, one.copy_of

    return await send_csv(ask, "versions", ("version", "published", "by", "answers calls", "copy of"), rows())


def _version_query(ask: Ask) -> VersionListQuery:
    wanted, zone = query_of(ask.request, VersionFilter), zone_of(ask.request)
    return filled(
        {
            "since": "" if wanted.since is None else midnight(wanted.since, zone).isoformat(),
            "until": "" if wanted.until is None else midnight(wanted.until + timedelta(days=1), zone).isoformat(),
            "cursor": "" if wanted.cursor is None else str(wanted.cursor),
        },
        VersionListQuery,
    )


async def version(ask: Ask) -> web.Response:
    """One version, what differs from it now, and the way back to it."""
    scenario_id = id_in(ask, "scenario_id")
    which = ask.request.match_info["version"]
    if not which.isdecimal() or not 0 < len(which) < 9 or which.startswith("0"):
        raise NotThereError
    found = await api.get_scenario(ask, scenario_id)
    wording = await api.get_wording(ask, scenario_id, which)
    changed = ""
    if found.published is not None and str(found.published_version) != which:
        changed = (await api.compare_wordings(ask, scenario_id, DiffQuery(old="published", new=which))).diff
    return page(
        ask,
        "scenario_version.html",
        scenario=found,
        version=int(which),
        file=wording.file,
        diff=diff_lines(changed),
        may_write=ask.may(Scope.SCENARIOS_WRITE, found.project_id),
    )


async def roll_back(ask: Ask) -> web.Response:
    """Publish an old version once more."""
    scenario_id = id_in(ask, "scenario_id")
    form = await form_of(ask.request)
    text = form.get("version", "")
    if not text.isdecimal() or not 0 < len(text) < 9:
        raise BadRequestError("Which version is meant?", field="version")
    wanted = RollbackWanted(revision=_revision(form), version=int(text))
    try:
        notice = _published(await api.roll_back_scenario(ask, scenario_id, wanted))
    except ConflictError as error:
        notice = f"{error.problem.detail} {error.problem.remedy}."
    return go_to(ask.request, f"{_url(ask, scenario_id)}/versions", notice)


async def writable_projects(ask: Ask) -> list[Project]:
    """The projects in which whoever asks may write scenarios."""
    async with ask.store() as store:
        found = await projects.all_projects(store)
    return [
        project for project in found if project.deletion_asked_at is None and ask.may(Scope.SCENARIOS_WRITE, project.id)
    ]


def id_in(ask: Ask, name: str) -> UUID:
    """An id in the path. Raises `NotThereError`."""
    found = uuid_or_none(ask.request.match_info[name])
    if found is None:
        raise NotThereError
    return found


def diff_lines(diff: str) -> list[tuple[str, str]]:
    """A unified diff as lines with their kinds: "add", "cut", "place" or ""."""
    kinds = {"+": "add", "-": "cut", "@": "place"}
    return [(kinds.get(line[:1], ""), line) for line in diff.splitlines()[2:]]


def _verdicts(cases: Sequence[DisclosureCase]) -> list[tuple[list[str], DisclosureCase]]:
    """Cases that come out the same, once, each with the numbers that it is about."""
    found: dict[DisclosureCase, list[str]] = {}
    for case in cases:
        found.setdefault(msgspec.structs.replace(case, called=""), []).append(case.called)
    return [(called, case) for case, called in found.items()]


async def _editor(
    ask: Ask,
    found: ScenarioDetail,
    values: Mapping[str, Any],
    *,
    errors: Mapping[str, str] | None = None,
    conflict: bool = False,
    file: str | None = None,
    status: int = HTTPStatus.OK,
) -> web.Response:
    which = "draft" if found.draft is not None else "published"
    changed = ""
    if found.draft is not None and found.published is not None:
        changed = (await api.compare_wordings(ask, found.id, DiffQuery())).diff
    report = None
    if found.draft is not None or found.published is not None:
        report = await disclosure_api.get_disclosure(ask, found.id, DisclosureQuery(of=which))
    return page(
        ask,
        "scenario.html",
        status=status,
        scenario=found,
        project=(await project_names(ask)).get(found.project_id, ""),
        values=values,
        errors=errors or {},
        conflict=conflict,
        file=scenario_text(_working_copy(found)) if file is None else file,
        diff=diff_lines(changed),
        which=which,
        report=report,
        verdicts=() if report is None else _verdicts(report.cases),
        languages=languages_for(str(values["language"])),
        language_names=scenario_form.LANGUAGE_NAMES,
        own_tools=scenario_form.OWN_TOOLS,
        may_write=ask.may(Scope.SCENARIOS_WRITE, found.project_id),
    )


def _working_copy(found: ScenarioDetail) -> Scenario:
    """What is being written, or else what answers calls; a beginning where the only draft was thrown away."""
    if found.draft is not None:
        return found.draft.content
    return found.published or Scenario(name=found.name, instructions="…")


def _published(found: ScenarioDetail) -> str:
    return f"Version {found.published_version} answers from the next call on."


def _revision(form: Mapping[str, str]) -> int:
    text = form.get("revision", "")
    if not text.isdecimal() or not 0 < len(text) < 10 or int(text) < 1:
        raise BadRequestError("Which revision was read?", field="revision", remedy="Open the scenario again")
    return int(text)


def _as_fields(content: Scenario) -> dict[str, str]:
    values = fields_of(content)
    texts = {name: str(value) for name, value in values.items() if isinstance(value, str | float)}
    return {**texts, **{name: "on" for name, value in values.items() if value is True}}


def _options(found: Sequence[Project]) -> list[tuple[UUID, str]]:
    return [(project.id, project.name) for project in found]


async def project_names(ask: Ask) -> Mapping[UUID, str]:
    """Names of the projects that whoever asks may see, by their ids."""
    async with ask.store() as store:
        found = await projects.all_projects(store)
    return {project.id: project.name for project in found if ask.principal.sees_project(project.id)}


def _url(ask: Ask, scenario_id: UUID) -> str:
    return f"/t/{ask.tenant_id}/scenarios/{scenario_id}"


def uuid_or_none(text: str | None) -> UUID | None:
    """An id, as far as the text is one."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None

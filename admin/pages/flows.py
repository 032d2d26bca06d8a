"""Data flows: who else gets data, what left the European Union, and what each project allows."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from aiohttp import web

from admin.api import projects as projects_api
from admin.api import registers as api
from admin.api.projects import ProjectListQuery
from admin.api.registers import HipaaWanted, ResidencyWanted, TransferQuery
from admin.ask import STEP_UP, Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.lists import around
from admin.pages.names import names_for
from admin.pages.queries import filled, id_in, query_of
from admin.pages.render import go_to, page
from admin.problems import BadRequestError, ProblemError
from store.bounds import BoundsRefusedError

_REGISTER_HEAD: Final = ("Who", "What for", "Gets", "Countries", "In the EU", "Rests on", "Since", "Told")
_HEAD: Final = (
    "Host", "Purpose", "Whose", "Countries", "In the EU", "Rests on", "Calls", "Sent, bytes", "Received, bytes",
)  # fmt: skip  # columns, as they follow each other


async def show(ask: Ask) -> web.Response:
    """The page."""
    query = query_of(ask.request, TransferQuery)
    report = await api.get_transfers(ask, query)
    found = await projects_api.list_projects(ask, query_of(ask.request, ProjectListQuery))
    try:
        kept, unsettled = await api.kept_at(ask), ""
    except BoundsRefusedError as error:
        kept, unsettled = (), str(error)
    return page(
        ask,
        "flows.html",
        register=(await api.list_subprocessors(ask)).items,
        report=report,
        left=[one for one in report.items if not one.in_eu],
        kept=kept,
        unsettled=unsettled,
        query=query,
        projects=found.items,
        names=await names_for(ask),
        **around(ask.request, f"/t/{ask.tenant_id}/data-flows", found.next_cursor),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """What left this machine, as CSV."""
    report = await api.get_transfers(ask, query_of(ask.request, TransferQuery))

    async def rows() -> AsyncIterator[Sequence[object]]:
        for one in report.items:
            where = (one.host, one.purpose, one.whose, " ".join(one.countries), one.in_eu, one.transfer)
            yield (*where, one.calls, one.sent_bytes, one.received_bytes)

    return await send_csv(ask, f"transfers-{report.since}-{report.until}", _HEAD, rows())


async def subprocessors_as_csv(ask: Ask) -> web.StreamResponse:
    """The register as CSV."""
    register = await api.list_subprocessors(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        for one in register.items:
            what = (one.name, one.purpose, "; ".join(one.data), " ".join(one.countries), one.in_eu, one.transfer)
            yield (*what, one.in_force, one.told_at)

    return await send_csv(ask, "subprocessors", _REGISTER_HEAD, rows())


async def show_bounds(ask: Ask) -> web.Response:
    """What one project allows."""
    return await _bounds(ask, None)


async def set_residency(ask: Ask) -> web.Response:
    """Say where a project's data may go."""
    project_id = id_in(ask.request, "project_id")
    try:
        await api.set_residency(ask, project_id, filled(await form_of(ask.request), ResidencyWanted))
    except ProblemError as error:
        return await _bounds(ask, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/data-flows", "Saved. It counts from the next call on.")


async def set_hipaa(ask: Ask) -> web.Response:
    """Say whether a project is for health care. A form that says neither ends nothing."""
    project_id = id_in(ask.request, "project_id")
    wanted = {"yes": True, "no": False}.get((await form_of(ask.request)).get("on", ""))
    try:
        if wanted is None:
            raise BadRequestError("This is yes or no.", field="on")
        await api.set_hipaa(ask, project_id, HipaaWanted(on=wanted))
    except ProblemError as error:
        if error.problem.type == STEP_UP:
            raise
        return await _bounds(ask, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/data-flows", "Saved. It counts from now on.")


async def _bounds(ask: Ask, error: ProblemError | None) -> web.Response:
    project = await projects_api.get_project(ask, id_in(ask.request, "project_id"))
    register = (await api.list_subprocessors(ask)).items
    return page(
        ask,
        "flows_project.html",
        status=200 if error is None else error.status.value,
        project=project,
        forced=api.forced_by_hipaa(),
        outside=[one for one in register if not one.in_eu],
        without_agreement=[one for one in register if one.baa_since is None],
        error=error.problem if error is not None else None,
    )

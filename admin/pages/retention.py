"""Retention: how long each project keeps what, what a change would take, and what is held from erasure."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from admin.api import holds as holds_api
from admin.api import projects as projects_api
from admin.api import retention as api
from admin.api.holds import LegalHoldListQuery, NewLegalHold
from admin.api.projects import ProjectListQuery
from admin.api.retention import RetentionWanted
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.names import names_for
from admin.pages.queries import blank, filled, id_in
from admin.pages.render import go_to, page
from admin.problems import BadRequestError
from policies.access import Scope

_MOST: Final = 200
_HEAD: Final = ("Hold", "Project", "Call", "Reason", "Placed by", "Placed", "Until")


async def show(ask: Ask) -> web.Response:
    """All projects, and all holds."""
    return await _show(ask, {}, None)


async def _show(ask: Ask, form: Mapping[str, str], error: BadRequestError | None) -> web.Response:
    found = await projects_api.list_projects(ask, ProjectListQuery(limit=_MOST))
    kept = [(one, await api.get_retention(ask, one.id)) for one in found.items]
    held = await holds_api.list_holds(ask, LegalHoldListQuery(limit=_MOST))
    return page(
        ask,
        "retention.html",
        status=200 if error is None else error.status.value,
        kept=kept,
        held=held.items,
        names=await names_for(ask),
        form=blank(form),
        wrong=blank({} if error is None else {_field_of(error): error.problem.detail}),
        tomorrow=(ask.now + timedelta(days=1)).date().isoformat(),
        in_a_year=(ask.now + timedelta(days=365)).date().isoformat(),
    )


async def change(ask: Ask) -> web.Response:
    """The form of one project, and, once something is wished for, what that would delete."""
    project_id = id_in(ask.request, "project_id")
    project = await projects_api.get_project(ask, project_id)
    kept = await api.get_retention(ask, project_id)
    preview, wrong = None, {}
    if "recording_days" in ask.request.query:
        try:
            preview = await api.preview_retention(ask, project_id, filled(ask.request.query, RetentionWanted))
        except BadRequestError as error:
            wrong = {error.problem.field: error.problem.detail}
    return page(
        ask,
        "retention_change.html",
        status=422 if wrong else 200,
        project=project,
        kept=kept,
        preview=preview,
        form=blank(ask.request.query),
        wrong=blank(wrong),
    )


async def save(ask: Ask) -> web.Response:
    """Keep a project's calls so long from now on."""
    project_id = id_in(ask.request, "project_id")
    await api.set_retention(ask, project_id, filled(await form_of(ask.request), RetentionWanted))
    return go_to(ask.request, f"/t/{ask.tenant_id}/retention", "Saved. What is over its time goes tonight.")


async def place_hold(ask: Ask) -> web.Response:
    """Keep something from being erased."""
    form = await form_of(ask.request)
    try:
        await holds_api.place_hold(ask, filled({**form, "expires_at": _end_of(form.get("until", ""))}, NewLegalHold))
    except BadRequestError as error:
        if not ask.may(Scope.RETENTION_READ):
            raise
        return await _show(ask, form, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/retention#holds", "Held. Nothing of it goes before the hold ends.")


async def release_hold(ask: Ask) -> web.Response:
    """End a hold."""
    await holds_api.release_hold(ask, id_in(ask.request, "hold_id"))
    return go_to(ask.request, f"/t/{ask.tenant_id}/retention#holds", "Released. What is over its time goes tonight.")


async def holds_as_csv(ask: Ask) -> web.StreamResponse:
    """The holds as CSV."""
    names = await names_for(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        query = LegalHoldListQuery(limit=_MOST)
        while True:
            found = await holds_api.list_holds(ask, query)
            for one in found.items:
                what = (one.id, names.project(one.project_id), one.session_id or "all", one.reason)
                yield (*what, one.placed_by, one.placed_at, one.expires_at)
            if found.next_cursor is None:
                return
            query = LegalHoldListQuery(limit=_MOST, cursor=found.next_cursor)

    return await send_csv(ask, "legal-holds", _HEAD, rows())


def _end_of(day: str) -> str:
    """The moment at which a hold ends whose last day this is."""
    try:
        return (datetime.fromisoformat(day.strip()).replace(tzinfo=UTC) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        raise BadRequestError("This is no day.", field="until", remedy="Such as 2027-01-31") from None


def _field_of(error: BadRequestError) -> str:
    return "until" if error.problem.field == "expires_at" else error.problem.field

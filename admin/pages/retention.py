"""Retention: how long each project keeps what, what a change would take, and what is held from erasure."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Final

from aiohttp import web

from admin.api import holds as holds_api
from admin.api import projects as projects_api
from admin.api import retention as api
from admin.api.holds import LegalHoldListQuery, NewLegalHold
from admin.api.projects import ProjectListQuery
from admin.api.retention import RetentionPreview, RetentionWanted
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.forms import check_typed
from admin.pages.lists import around, every
from admin.pages.names import names_for
from admin.pages.queries import blank, filled, id_in, query_of
from admin.pages.render import go_to, page
from admin.pages.shown import count
from admin.problems import BadRequestError
from admin.zones import midnight, zone_of
from policies.access import Scope

CHANGE: Final = "change"
RELEASE: Final = "release"
"""To be typed before rules change, and before a hold ends."""
_RULES_HEAD: Final = ("Project", "Recordings, days", "Transcripts, days", "Legal basis", "At most, days", "Statute")
_HEAD: Final = ("Hold", "Project", "Call", "Reason", "Placed by", "Placed", "Until")


async def show(ask: Ask) -> web.Response:
    """All projects, and all holds."""
    return await _show(ask, {}, None)


async def _show(ask: Ask, form: Mapping[str, str], error: BadRequestError | None) -> web.Response:
    today = ask.now.astimezone(zone_of(ask.request)).date()
    query = ProjectListQuery() if error is not None else query_of(ask.request, ProjectListQuery)
    found = await projects_api.list_projects(ask, query)
    kept = [(one, await api.get_retention(ask, one.id)) for one in found.items]
    held = await holds_api.list_holds(ask, LegalHoldListQuery())
    return page(
        ask,
        "retention.html",
        status=200 if error is None else error.status.value,
        kept=kept,
        **around(ask.request, f"/t/{ask.tenant_id}/retention", found.next_cursor),
        query=query,
        held=held.items,
        of_holds=around(ask.request, f"/t/{ask.tenant_id}/holds", held.next_cursor),
        names=await names_for(ask),
        form=blank(form),
        wrong=blank({} if error is None else {_field_of(error): error.problem.detail}),
        today=today.isoformat(),
        in_a_year=(today + timedelta(days=365)).isoformat(),
    )


async def change(ask: Ask) -> web.Response:
    """The form of one project; once something is wished for, what that would delete, and whether it is meant."""
    if "recording_days" not in ask.request.query:
        return await _form(ask, {}, {})
    return await _preview(ask, ask.request.query)


async def save(ask: Ask) -> web.Response:
    """Keep a project's calls so long from now on, once the word was typed."""
    form = await form_of(ask.request)
    try:
        check_typed(form, CHANGE)
    except BadRequestError as error:
        return await _preview(ask, form, error)
    await api.set_retention(ask, id_in(ask.request, "project_id"), filled(form, RetentionWanted))
    return go_to(ask.request, f"/t/{ask.tenant_id}/retention", "Saved. What is over its time goes tonight.")


async def _form(
    ask: Ask, form: Mapping[str, str], wrong: Mapping[str, str], preview: RetentionPreview | None = None
) -> web.Response:
    project_id = id_in(ask.request, "project_id")
    return page(
        ask,
        "retention_change.html",
        status=422 if wrong else 200,
        project=await projects_api.get_project(ask, project_id),
        kept=await api.get_retention(ask, project_id),
        refusal=None if preview is None else preview.reason,
        form=blank(form),
        wrong=blank(wrong),
    )


async def _preview(ask: Ask, form: Mapping[str, str], error: BadRequestError | None = None) -> web.Response:
    """What these rules would delete tonight; the form again where they are none, or the law does not allow them."""
    project_id = id_in(ask.request, "project_id")
    project = await projects_api.get_project(ask, project_id)
    try:
        preview = await api.preview_retention(ask, project_id, filled(form, RetentionWanted))
    except BadRequestError as wrong:
        return await _form(ask, form, {wrong.problem.field: wrong.problem.detail})
    if not preview.allowed:
        return await _form(ask, form, {}, preview)
    return page(
        ask,
        "retention_save.html",
        status=200 if error is None else error.status.value,
        project=project,
        preview=preview,
        form=blank(form),
        word=CHANGE,
        error="" if error is None else _said(error),
        back_url=f"/t/{ask.tenant_id}/retention/{project_id}",
    )


async def place_hold(ask: Ask) -> web.Response:
    """Keep something from being erased."""
    form = await form_of(ask.request)
    try:
        placed = await holds_api.place_hold(
            ask, filled({**form, "expires_at": _end_of(ask, form.get("until", ""))}, NewLegalHold)
        )
    except BadRequestError as error:
        if not ask.may(Scope.RETENTION_READ):
            raise
        return await _show(ask, form, error)
    calls = (await holds_api.preview_release(ask, placed.id)).calls_held
    kept = f"{count(calls)} {'call is' if calls == 1 else 'calls are'} held, and all that come meanwhile"
    notice = "The call is held." if placed.session_id is not None else f"{kept}."
    return go_to(
        ask.request, f"/t/{ask.tenant_id}/retention#holds", f"{notice} Nothing of it goes before the hold ends."
    )


async def ask_release(ask: Ask) -> web.Response:
    """What a hold keeps, what would go without it, and whether it is meant."""
    return await _release(ask)


async def release_hold(ask: Ask) -> web.Response:
    """End a hold, once the word was typed."""
    hold_id = id_in(ask.request, "hold_id")
    try:
        check_typed(await form_of(ask.request), RELEASE)
    except BadRequestError as error:
        return await _release(ask, error)
    await holds_api.release_hold(ask, hold_id)
    return go_to(ask.request, f"/t/{ask.tenant_id}/retention#holds", "Released. What is over its time goes tonight.")


async def _release(ask: Ask, error: BadRequestError | None = None) -> web.Response:
    return page(
        ask,
        "hold_release.html",
        status=200 if error is None else error.status.value,
        preview=await holds_api.preview_release(ask, id_in(ask.request, "hold_id")),
        names=await names_for(ask),
        word=RELEASE,
        error="" if error is None else _said(error),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The rules of each project as CSV."""
    query = query_of(ask.request, ProjectListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(projects_api.list_projects, ask), query):
            kept = await api.get_retention(ask, one.id)
            yield one.name, kept.recording_days, kept.transcript_days, kept.legal_basis, kept.cap.days, kept.cap.statute

    return await send_csv(ask, "retention", _RULES_HEAD, rows())


async def show_holds(ask: Ask) -> web.Response:
    """The holds, as narrow as somebody wants them."""
    query = query_of(ask.request, LegalHoldListQuery)
    found = await holds_api.list_holds(ask, query)
    return page(
        ask,
        "holds.html",
        held=found.items,
        **around(ask.request, f"/t/{ask.tenant_id}/holds", found.next_cursor),
        query=query,
        names=await names_for(ask),
    )


async def holds_as_csv(ask: Ask) -> web.StreamResponse:
    """The same as CSV."""
    names = await names_for(ask)
    query = query_of(ask.request, LegalHoldListQuery)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(holds_api.list_holds, ask), query):
            what = (one.id, names.project(one.project_id), one.session_id or "all", one.reason)
            yield (*what, one.placed_by, one.placed_at, one.expires_at)

    return await send_csv(ask, "legal-holds", _HEAD, rows())


def _end_of(ask: Ask, day: str) -> str:
    """The moment at which a hold ends whose last day this is where whoever asks is."""
    try:
        return midnight(date.fromisoformat(day.strip()) + timedelta(days=1), zone_of(ask.request)).isoformat()
    except (ValueError, OverflowError):
        raise BadRequestError("This is no day.", field="until", remedy="Such as 2027-01-31") from None


def _said(error: BadRequestError) -> str:
    return f"{error.problem.detail} {error.problem.remedy}."


def _field_of(error: BadRequestError) -> str:
    return "until" if error.problem.field == "expires_at" else error.problem.field

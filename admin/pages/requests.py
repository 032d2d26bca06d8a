"""Caller requests: who asked what about their data, until when it has to be answered, and answering it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from typing import Final
from uuid import UUID

import msgspec
from aiohttp import web

from admin.api import callers
from admin.api import requests as api
from admin.api.callers import CallsOfCaller, CallsQuery, CallsWanted
from admin.api.requests import (
    CallerRequestListQuery,
    CloseWanted,
    EraseWanted,
    NewCallerRequest,
    RequestContact,
)
from admin.ask import Ask
from admin.csv import send_csv
from admin.forms import form_of
from admin.pages.erasures import send_receipt
from admin.pages.forms import check_typed, chosen
from admin.pages.lists import around, every
from admin.pages.names import names_for
from admin.pages.queries import blank, filled, id_in, query_of
from admin.pages.render import go_to, page, part
from admin.problems import BadRequestError, ProblemError
from admin.zones import midnight, zone_of
from policies.dsar import Outcome

OUTCOMES: Final = (
    (Outcome.FULFILLED, "Fulfilled"),
    (Outcome.NOTHING_FOUND, "Nothing is held about the caller"),
    (Outcome.KEPT_BY_LAW, "Refused: a law asks for the data to be kept (Art. 17(3)(b))"),
    (Outcome.KEPT_FOR_CLAIMS, "Refused: needed for legal claims (Art. 17(3)(e))"),
    (Outcome.IDENTITY_UNPROVEN, "Refused: nobody could show that the data are theirs (Art. 12(6))"),
    (Outcome.UNFOUNDED, "Refused: manifestly unfounded or excessive (Art. 12(5))"),
)
_HEAD: Final = ("Request", "Wish", "Origin", "Project", "Received", "Due", "Overdue", "Closed", "Outcome")


async def show_all(ask: Ask) -> web.Response:
    """The list, with a search for a caller."""
    query = query_of(ask.request, CallerRequestListQuery)
    found = await api.list_requests(ask, query)
    contact = (await api.get_request_contact(ask)).address if ask.projects is None else None
    return page(
        ask,
        "requests.html",
        found=found,
        query=query,
        names=await names_for(ask),
        contact=contact,
        is_whole=ask.projects is None,
        **around(ask.request, f"/t/{ask.tenant_id}/requests", found.next_cursor),
    )


async def as_csv(ask: Ask) -> web.StreamResponse:
    """The list as CSV. Callers' numbers are not in it."""
    query = query_of(ask.request, CallerRequestListQuery)
    names = await names_for(ask)

    async def rows() -> AsyncIterator[Sequence[object]]:
        async for one in every(partial(api.list_requests, ask), query):
            project = "all" if one.project_id is None else names.project(one.project_id)
            due = (one.received_at, one.due_at, one.is_overdue, one.closed_at, one.outcome)
            yield (one.id, one.wish, one.origin, project, *due)

    return await send_csv(ask, "caller-requests", _HEAD, rows())


async def search(ask: Ask) -> web.Response:
    """The calls of a number, which stands in no address."""
    form = await form_of(ask.request)
    try:
        found = await callers.search_calls(ask, filled(form, CallsWanted))
    except BadRequestError as error:
        return await _search_page(ask, form, None, error)
    return await _search_page(ask, form, found, None)


async def _search_page(
    ask: Ask, form: Mapping[str, str], found: CallsOfCaller | None, error: BadRequestError | None
) -> web.Response:
    return page(
        ask,
        "requests_search.html",
        status=200 if error is None else error.status.value,
        form=blank(form),
        found=found,
        names=await names_for(ask),
        is_whole=ask.projects is None,
        wrong=blank(_wrong(error)),
    )


async def ask_new(ask: Ask) -> web.Response:
    """The form for a request."""
    return await _new_page(ask, {}, None)


async def open_one(ask: Ask) -> web.Response:
    """Take a request down."""
    form = await form_of(ask.request)
    try:
        received = _day(ask, form.get("received_on", ""), "received_on")
        wanted = msgspec.structs.replace(filled(form, NewCallerRequest), received_at=received)
        made = await api.open_request(ask, wanted)
    except BadRequestError as error:
        return await _new_page(ask, form, error)
    url = f"/t/{ask.tenant_id}/requests/{made.id}"
    return go_to(ask.request, url, "The request is taken down. Its time to be answered runs.")


async def _new_page(ask: Ask, form: Mapping[str, str], error: BadRequestError | None) -> web.Response:
    return page(
        ask,
        "requests_new.html",
        status=200 if error is None else error.status.value,
        form=blank(form),
        names=await names_for(ask),
        is_whole=ask.projects is None,
        today=ask.now.astimezone(zone_of(ask.request)).date().isoformat(),
        wrong=blank(_wrong(error)),
    )


async def show(ask: Ask) -> web.Response:
    """One request, with the calls it is about."""
    return await _show(ask, None)


async def _show(ask: Ask, error: ProblemError | None) -> web.Response:
    request_id = id_in(ask.request, "request_id")
    found = await api.get_request(ask, request_id)
    query = query_of(ask.request, CallsQuery)
    calls = None
    if found.number is not None and found.erasure is None:
        calls = await callers.calls_of_request(ask, request_id, query)
    receipt = await api.get_request_receipt(ask, request_id) if found.has_receipt else None
    return page(
        ask,
        "request.html",
        status=200 if error is None else error.status.value,
        found=found,
        calls=calls,
        copy=await callers.copy_of(ask, request_id),
        receipt=receipt,
        names=await names_for(ask),
        outcomes=OUTCOMES,
        error=error.problem if error is not None else None,
        **around(ask.request, f"/t/{ask.tenant_id}/requests/{request_id}", calls.next_cursor if calls else None),
    )


async def make_copy(ask: Ask) -> web.Response:
    """Have a copy of everything made; the request's page tells how far it is."""
    request_id = id_in(ask.request, "request_id")
    try:
        await callers.make_copy(ask, request_id)
    except ProblemError as error:
        return await _show(ask, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/requests/{request_id}#copy")


async def copy_progress(ask: Ask) -> web.Response:
    """How far it is, for a page that waits."""
    request_id = id_in(ask.request, "request_id")
    found, copy = await api.get_request(ask, request_id), await callers.copy_of(ask, request_id)
    return part(ask, "copy_progress.html", found=found, copy=copy)


async def download_copy(ask: Ask) -> web.StreamResponse:
    """The copy, as a file."""
    return await callers.download_copy(ask, id_in(ask.request, "request_id"))


async def erase(ask: Ask) -> web.Response:
    """Ask whether it is meant, by a word to be typed; then erase."""
    request_id = id_in(ask.request, "request_id")
    form = await form_of(ask.request)
    session_ids = await chosen(ask.request, "session_ids")
    everything = form.get("all") == "yes"
    if not session_ids and not everything:
        return await _show(ask, BadRequestError("No call was chosen.", field="session_ids", remedy="Tick some first"))
    error = None
    if "confirmation" in form:
        try:
            check_typed(form, "erase")
            wanted = EraseWanted(all=True) if everything else EraseWanted(session_ids=_ids(session_ids))
            await api.erase_request(ask, request_id, wanted)
        except BadRequestError as wrong:
            if wrong.problem.field != "confirmation":
                return await _show(ask, wrong)
            error = wrong.problem.detail
        except ProblemError as refused:
            return await _show(ask, refused)
        else:
            return go_to(
                ask.request,
                f"/t/{ask.tenant_id}/requests/{request_id}",
                "From now on nobody can read these calls. Their copies are being removed.",
            )
    found = await api.get_request(ask, request_id)
    return page(
        ask,
        "request_erase.html",
        status=200 if error is None else 422,
        found=found,
        session_ids=() if everything else session_ids,
        error=error or "",
    )


async def close(ask: Ask) -> web.Response:
    """Close it with an outcome."""
    request_id = id_in(ask.request, "request_id")
    try:
        await api.close_request(ask, request_id, filled(await form_of(ask.request), CloseWanted))
    except ProblemError as error:
        return await _show(ask, error)
    return go_to(ask.request, f"/t/{ask.tenant_id}/requests/{request_id}", "The request is closed.")


async def receipt(ask: Ask) -> web.Response:
    """The signed receipt, as a file."""
    request_id = id_in(ask.request, "request_id")
    return send_receipt(await api.get_request_receipt(ask, request_id), f"receipt-{request_id}")


async def set_contact(ask: Ask) -> web.Response:
    """Have mails about requests sent there."""
    address = (await form_of(ask.request)).get("address", "")
    await api.set_request_contact(ask, RequestContact(address=address))
    return go_to(ask.request, f"/t/{ask.tenant_id}/requests", "Mails about requests go there from now on.")


def _ids(texts: Sequence[str]) -> tuple[UUID, ...]:
    try:
        return tuple(UUID(text) for text in texts)
    except ValueError:
        raise BadRequestError("There is no such call.", field="session_ids") from None


def _day(ask: Ask, text: str, field: str) -> datetime | None:
    """The first moment of a day where whoever asks is; None where none was given."""
    try:
        return midnight(date.fromisoformat(text.strip()), zone_of(ask.request)) if text.strip() else None
    except (ValueError, OverflowError):
        raise BadRequestError("This is no day.", field=field, remedy="Such as 2026-01-31") from None


def _wrong(error: BadRequestError | None) -> Mapping[str, str]:
    """What is wrong, by field, for a form that comes back."""
    if error is None:
        return {}
    field = "received_on" if error.problem.field == "received_at" else error.problem.field
    return {field: error.problem.detail}

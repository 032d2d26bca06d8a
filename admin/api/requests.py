"""Requests of callers about their data (GDPR Art. 15, 17 and 20): taken down, answered, and closed with a receipt.

The number of a caller is in no URL: it is asked for in bodies, and forgotten when the request is closed.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.erasures import Erasure, shown_erasure
from admin.api.shown import Limit
from admin.ask import Ask
from admin.problems import BadRequestError, ConflictError, NotThereError
from policies.dsar import Outcome, Wish
from policies.numbers import PhoneNumber
from store import projects
from store.dsar import cases, contacts
from store.dsar.cases import Case, NoCaseError, Origin
from store.dsar.contacts import BadAddressError
from store.dsar.erasing import NotTheCallersError, erase_for_case
from store.dsar.search import NoNumberError, read_number
from store.erasure.holds import HeldError
from store.erasure.receipts import hand_out
from store.scope import TenantStore

_OLDEST: Final = timedelta(days=365)
_CLOSED: Final = "The request is closed, and nothing tells any more whose it was."

Number = Annotated[str, Meta(min_length=2, max_length=64)]
"""As people type it; best with the country code."""


class CallerRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request of one caller. Once it is closed it does not tell any more whose it was."""

    id: UUID
    project_id: UUID | None
    """None: about all projects of the tenant."""
    wish: Wish
    origin: Origin
    """Taken down by a member, or passed on by the operator's desk, which had the number proven."""
    number: str | None
    """E.164; None once it is closed."""
    received_at: datetime
    due_at: datetime
    """30 days or one month after it was received, whichever is earlier."""
    is_overdue: bool
    closed_at: datetime | None
    outcome: Outcome | None
    tells_caller: bool
    """Whether a mail to the caller tells of the end."""
    erasure_id: UUID | None
    """Of the calls that are erased because of it."""


class CallerRequestDetail(CallerRequest, frozen=True, kw_only=True):
    """One request, with how far it is."""

    erasure: Erasure | None
    has_receipt: bool


class CallerRequestPage(msgspec.Struct, frozen=True, kw_only=True):
    """Requests, the one that is due first leading."""

    items: tuple[CallerRequest, ...]
    next_cursor: UUID | None


class CallerRequestListQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which requests."""

    state: Literal["open", "all"] = "open"
    project_id: UUID | None = None
    cursor: UUID | None = None
    limit: Limit = 50


class NewCallerRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a caller has asked for. Make sure first that the number is the caller's."""

    number: Number
    wish: Wish
    project_id: UUID | None = None
    """Only what this project holds; None: all of the tenant's."""
    contact: Annotated[str, Meta(max_length=254)] | None = None
    """Mail address of the caller, to be told of the end."""
    received_at: Annotated[datetime, Meta(tz=True)] | None = None
    """When it was asked for; now by default. The time to answer runs from then."""


class EraseWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be erased: these calls, or all of the caller's."""

    session_ids: Annotated[tuple[UUID, ...], Meta(min_length=1, max_length=10_000)] | None = None
    all: bool = False


class CloseWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the request was answered."""

    outcome: Outcome


class RequestContact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where mails about requests go: best to whoever answers them."""

    address: Annotated[str, Meta(max_length=254)] | None
    """None until one was set, and no value to set."""


async def list_requests(ask: Ask, query: CallerRequestListQuery) -> CallerRequestPage:
    """List callers' requests, the one that is due first leading."""
    if query.project_id is not None:
        ask.check(query.project_id)
    within = ask.projects if query.project_id is None else {query.project_id}
    async with ask.store() as store:
        after = None if query.cursor is None else await find_request(ask, store, query.cursor)
        found = await cases.list_cases(
            store, only_open=query.state == "open", project_ids=within, after=after, limit=query.limit + 1
        )
    items = tuple(_shown(ask, one) for one in found[: query.limit])
    return CallerRequestPage(items=items, next_cursor=items[-1].id if len(found) > query.limit else None)


async def open_request(ask: Ask, body: NewCallerRequest) -> CallerRequestDetail:
    """Take a caller's request down; its time runs from when it was received."""
    check_reach(ask, body.project_id)
    received_at = body.received_at
    if received_at is not None and (received_at.tzinfo is None or not ask.now - _OLDEST < received_at <= ask.now):
        raise BadRequestError(
            "This is no moment of the last year.",
            field="received_at",
            remedy="Give it with its zone: 2026-01-31T09:00Z",
        )
    async with ask.store() as store:
        number = await number_typed(store, body.number, body.project_id)
        try:
            case_id = await cases.open_case(
                store,
                number,
                body.wish,
                actor=ask.actor,
                project_id=body.project_id,
                contact=body.contact or None,
                received_at=received_at,
            )
        except BadAddressError as error:
            raise BadRequestError(_sentence(error), field="contact") from None
    return await get_request(ask, case_id)


async def get_request(ask: Ask, request_id: UUID) -> CallerRequestDetail:
    """Show a caller's request, and how far it is."""
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
    erasure = None if case.erasure_id is None else await shown_erasure(ask, case.erasure_id)
    return CallerRequestDetail(
        **msgspec.structs.asdict(_shown(ask, case)), erasure=erasure, has_receipt=case.receipt is not None
    )


async def erase_request(ask: Ask, request_id: UUID, body: EraseWanted) -> CallerRequestDetail:
    """Erase calls of the caller for good. Nobody can read them from now on; the request closes when no copy is left."""
    if body.all == (body.session_ids is not None):
        raise BadRequestError(
            "Say which calls, or that all are meant.", field="session_ids", remedy='Or send {"all": true}'
        )
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
        number_of(case)
        if case.erasure_id is not None:
            raise ConflictError(
                "Its calls are being erased already.", remedy="Wait for the end, or open another request"
            )
        try:
            await erase_for_case(store, ask.services.blobs, request_id, actor=ask.actor, only=body.session_ids)
        except NotTheCallersError:
            raise BadRequestError(
                "Some of these calls are not the caller's, or are gone already.",
                field="session_ids",
                remedy="List the caller's calls again, and choose among them",
            ) from None
        except HeldError as error:
            raise ConflictError(
                "A legal hold is on one of the calls: none is erased.",
                remedy=f"Release it first, or close the request as kept_for_claims. Holds: {_listed(error)}",
            ) from None
    return await get_request(ask, request_id)


async def close_request(ask: Ask, request_id: UUID, body: CloseWanted) -> CallerRequestDetail:
    """Close a request that was answered otherwise. The caller is told how, where there is an address."""
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
        number_of(case)
        if case.erasure_id is not None:
            raise ConflictError("Its calls are being erased: it closes by itself when they are gone.")
        await cases.close_case(store, request_id, body.outcome, actor=ask.actor)
    return await get_request(ask, request_id)


async def get_request_receipt(ask: Ask, request_id: UUID) -> dict[str, Any]:
    """Hand out the signed receipt of a closed request, which `aitelier receipts verify` checks anywhere."""
    async with ask.store() as store:
        case = await find_request(ask, store, request_id)
    if case.receipt is None:
        raise ConflictError(
            "The request is not closed yet.", remedy="Answer it first, or wait until its calls are gone"
        )
    return await hand_out(ask.services.database, ask.tenant_id, case.receipt)


async def get_request_contact(ask: Ask) -> RequestContact:
    """Show where mails about requests go."""
    ask.check_whole()
    async with ask.store() as store:
        return RequestContact(address=await contacts.contact_of(store))


async def set_request_contact(ask: Ask, body: RequestContact) -> RequestContact:
    """Have mails about requests, and notices of new sub-processors, sent there."""
    ask.check_whole()
    try:
        async with ask.store() as store:
            await contacts.set_contact(store, body.address or "", actor=ask.actor)
            return RequestContact(address=await contacts.contact_of(store))
    except BadAddressError as error:
        raise BadRequestError(_sentence(error), field="address") from None


async def find_request(ask: Ask, store: TenantStore, request_id: UUID) -> Case:
    """The request, where it is within reach: one about all projects is only for those who may look into all."""
    try:
        case = await cases.find_case(store, request_id)
    except NoCaseError:
        raise NotThereError from None
    if case.project_id is not None:
        ask.check(case.project_id)
    elif ask.projects is not None:
        raise NotThereError
    return case


def check_reach(ask: Ask, project_id: UUID | None) -> None:
    """Go on only within one's own project; without one, only for those who may look into all."""
    if project_id is not None:
        ask.check(project_id)
    elif ask.projects is not None:
        raise BadRequestError("Which project is meant?", field="project_id", remedy="Name one that you have a role on")


async def number_typed(store: TenantStore, typed: str, project_id: UUID | None) -> PhoneNumber:
    """As it is typed where the project lies, or where all of the tenant's projects do."""
    found = [one for one in await projects.all_projects(store) if project_id in {None, one.id}]
    places = {one.jurisdiction for one in found}
    if project_id is not None and not found:
        raise NotThereError
    try:
        return read_number(typed, next(iter(places)) if len(places) == 1 else None)
    except NoNumberError as error:
        raise BadRequestError(_sentence(error), field="number") from None


def number_of(case: Case) -> PhoneNumber:
    """Whose request it is. Raises `ConflictError` once it is closed."""
    if case.number is None:
        raise ConflictError(_CLOSED, remedy="Open a new request")
    return read_number(case.number)


def _shown(ask: Ask, case: Case) -> CallerRequest:
    return CallerRequest(
        id=case.id,
        project_id=case.project_id,
        wish=case.wish,
        origin=case.origin,
        number=case.number,
        received_at=case.received_at,
        due_at=case.due_at,
        is_overdue=case.closed_at is None and case.due_at < ask.now,
        closed_at=case.closed_at,
        outcome=case.outcome,
        tells_caller=case.tells_caller,
        erasure_id=case.erasure_id,
    )


def _listed(error: HeldError) -> str:
    return ", ".join(str(hold_id) for hold_id in error.hold_ids[:5])


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."

"""Cases: one request of one caller to one tenant, from the day it came to the day it was answered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlmodel import col, or_, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from policies.dsar import Outcome, Wish, due_at, steps
from policies.numbers import PhoneNumber
from store import sessions, tenants
from store.audit.log import record
from store.dsar import letters
from store.dsar.contacts import read_address, write, write_to_contact
from store.dsar.copies import drop_copies
from store.erasure.receipts import sign_receipt
from store.erasure.sessions import Receipt
from store.jobs import defer
from store.known_callers import forget_strangers
from store.scope import TenantStore
from store.tables.dsar import DsarCaseTable

_TABLE = "dsar_cases"
CLOSED_TASK = "dsar_case_closed"
"""The job that tells the intake desk of the end of a case that it had passed on."""

Origin = Literal["member", "intake"]
"""Opened by somebody of the tenant, or passed on by the operator's intake desk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request. Once it is closed it does not tell any more whose it was."""

    id: UUID
    project_id: UUID | None
    """None: about all projects of the tenant."""
    wish: Wish
    origin: Origin
    number: str | None
    """E.164; None once it is closed."""
    received_at: datetime
    due_at: datetime
    closed_at: datetime | None
    outcome: Outcome | None
    tells_caller: bool
    """Whether a mail to the caller tells of the end; False once it is closed."""
    erasure_id: UUID | None
    """Of the calls that are erased, or were, because of it."""
    receipt: Mapping[str, Any] | None
    """How it ended and what was erased, signed, with proof that the audit log holds it: `store.erasure.receipts`."""


class NoCaseError(LookupError):
    """The tenant has no such case, or it is closed already."""


async def open_case(
    store: TenantStore,
    number: PhoneNumber,
    wish: Wish,
    *,
    actor: Actor,
    origin: Origin = "member",
    project_id: UUID | None = None,
    contact: str | None = None,
    received_at: datetime | None = None,
    case_id: UUID | None = None,
) -> UUID:
    """Write a request down; its time runs from when it was received. The same id again changes nothing.

    Args:
        store: Of the tenant that was asked.
        number: Whose data it is about.
        wish: What is asked for.
        actor: Who opens it.
        origin: See `Origin`.
        project_id: To which of the tenant's receptionists it is limited.
        contact: Mail address of the caller, to be told of the end; not needed where the intake desk tells it.
        received_at: Now, unless it came earlier.
        case_id: Of a case that may have been opened before.

    Raises:
        BadAddressError: `contact` is no mail address.
    """
    if case_id is not None and await is_there(store, case_id):
        return case_id
    case_id = case_id or uuid7()
    received_at = datetime.now(UTC) if received_at is None else received_at
    columns = await store.keys.tenant_columns(store)
    index = await sessions.caller_index(store, number.e164)
    await store.add(
        DsarCaseTable(
            tenant_id=store.tenant_id,
            id=case_id,
            project_id=project_id,
            wish=wish.value,
            origin=origin,
            state="open",
            caller_sealed=columns.seal(number.e164, _TABLE, "caller", case_id),
            caller_index=index,
            contact_sealed=None if contact is None else columns.seal(read_address(contact), _TABLE, "contact", case_id),
            received_at=received_at,
            due_at=due_at(received_at),
            next_step_at=steps(received_at)[0].at,
        )
    )
    await record(
        store,
        actor,
        Tag.DSAR_CASE_OPENED,
        objects={"case": str(case_id)},
        facts={"wish": wish.value, "origin": origin, "due_at": due_at(received_at).isoformat()},
        personal={"number": number.e164},
        subject=index,
    )
    if origin == "intake":
        await write_to_contact(store, letters.case_opened(case_id, wish, due_at(received_at)))
    return case_id


async def is_there(store: TenantStore, case_id: UUID) -> bool:
    """Whether the tenant has, or had, this case."""
    return await store.first(select(DsarCaseTable.id).where(DsarCaseTable.id == case_id)) is not None


async def find_case(store: TenantStore, case_id: UUID) -> Case:
    """The case. Raises `NoCaseError` when this tenant has none of that id."""
    row = await store.first(select(DsarCaseTable).where(DsarCaseTable.id == case_id))
    if row is None:
        raise NoCaseError(str(case_id))
    return (await _cases(store, (row,)))[0]


async def list_cases(
    store: TenantStore,
    *,
    only_open: bool = True,
    project_ids: Collection[UUID] | None = None,
    after: Case | None = None,
    limit: int | None = None,
) -> tuple[Case, ...]:
    """Cases, the one that is due first leading.

    Args:
        store: Of the tenant that was asked.
        only_open: Leave out what was answered.
        project_ids: Only requests about these; None: all, those about no single project too.
        after: The last case of the page before.
        limit: At most so many.
    """
    statement = select(DsarCaseTable).order_by(col(DsarCaseTable.due_at), col(DsarCaseTable.id))
    if only_open:
        statement = statement.where(DsarCaseTable.state == "open")
    if project_ids is not None:
        statement = statement.where(col(DsarCaseTable.project_id).in_(project_ids))
    if after is not None:
        later = (col(DsarCaseTable.due_at) == after.due_at) & (col(DsarCaseTable.id) > after.id)
        statement = statement.where(or_(col(DsarCaseTable.due_at) > after.due_at, later))
    return await _cases(store, await store.all(statement if limit is None else statement.limit(limit)))


async def close_case(
    store: TenantStore,
    case_id: UUID,
    outcome: Outcome,
    *,
    actor: Actor,
    erasure: Receipt | None = None,
    closed_at: datetime | None = None,
) -> None:
    """The request has been answered: tell the tenant and the caller, sign a receipt, and forget who the caller was.

    Where no call of the caller is left either, the audit log forgets too.

    `erasure` is what was erased because of it.

    Raises:
        NoCaseError: There is no open case of that id.
    """
    row = await store.first(select(DsarCaseTable).where(DsarCaseTable.id == case_id).with_for_update())
    if row is None or row.state != "open":
        raise NoCaseError(str(case_id))
    closed_at = closed_at or datetime.now(UTC)
    leaf = await record(
        store, actor, Tag.DSAR_CASE_CLOSED, objects={"case": str(case_id)}, facts={"outcome": outcome.value}
    )
    receipt = await sign_receipt(store, _facts(row, outcome, closed_at, erasure), leaf)
    await store.change(
        update(DsarCaseTable)
        .where(col(DsarCaseTable.id) == case_id)
        .values(
            state="closed",
            outcome=outcome.value,
            closed_at=closed_at,
            receipt=receipt,
            erased_objects=None,
            caller_sealed=None,
            caller_index=None,
            contact_sealed=None,
            next_step_at=None,
        )
    )
    await drop_copies(store, [case_id])
    columns = await store.keys.tenant_columns(store)
    assert row.caller_sealed is not None  # noqa: S101 - the table asks for it of open cases; for the type checker
    number = columns.open(row.caller_sealed, _TABLE, "caller", case_id)
    await forget_strangers(store, await sessions.caller_indexes(store, number))
    wish = Wish(row.wish)
    await write_to_contact(store, letters.case_closed_for_tenant(case_id, wish, outcome))
    if row.contact_sealed is not None:
        address = columns.open(row.contact_sealed, _TABLE, "contact", case_id)
        await write(store, address, letters.case_closed_for_caller(await business_of(store), wish, outcome))
    if row.origin == "intake":
        await defer(store, CLOSED_TASK, case_id=str(case_id))


async def business_of(store: TenantStore) -> str:
    """What callers are told that the tenant is called."""
    tenant = await tenants.find(store)
    return "the business" if tenant is None else tenant.name


def _facts(row: DsarCaseTable, outcome: Outcome, closed_at: datetime, erasure: Receipt | None) -> Mapping[str, Any]:
    """What the receipt of a case says. Nothing of it leads to the caller."""
    facts: dict[str, Any] = {
        "case": str(row.id),
        "wish": row.wish,
        "outcome": outcome.value,
        "received_at": row.received_at.isoformat(),
        "due_at": row.due_at.isoformat(),
        "closed_at": closed_at.isoformat(),
    }
    if erasure is None:
        return facts
    return facts | {
        "erasure": str(erasure.erasure_id),
        "sessions": erasure.sessions,
        "counts": dict(erasure.counts),
        "objects_sha256": row.erased_objects or [],
        "unreadable_since": erasure.asked_at.isoformat(),
        "backups_forget_at": erasure.backups_forget_at and erasure.backups_forget_at.isoformat(),
    }


async def _cases(store: TenantStore, rows: Sequence[DsarCaseTable]) -> tuple[Case, ...]:
    columns = await store.keys.tenant_columns(store)
    return tuple(
        Case(
            id=row.id,
            project_id=row.project_id,
            wish=Wish(row.wish),
            origin=msgspec.convert(row.origin, Origin),
            number=None if row.caller_sealed is None else columns.open(row.caller_sealed, _TABLE, "caller", row.id),
            received_at=row.received_at,
            due_at=row.due_at,
            closed_at=row.closed_at,
            outcome=None if row.outcome is None else Outcome(row.outcome),
            tells_caller=row.contact_sealed is not None,
            erasure_id=row.erasure_id,
            receipt=row.receipt,
        )
        for row in rows
    )

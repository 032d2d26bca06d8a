"""The intake desk: requests of callers who know no tenant, taken in by the operator and proven by a code.

That somebody calls from a number, or writes that it is theirs, proves nothing: both are claims. So a six-digit code is
brought to the number, and only who can say it gets any further. Until then no tenant is looked into, and afterwards the
code is gone too: only its HMAC is ever stored. All functions work on the operator's books (`store.house`).
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec
from sqlmodel import col, delete, func, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from policies.dsar import CODE_DIGITS, CODE_LIFE, MOST_GUESSES, UNPROVEN_LIFE, Wish, may_be_rung, may_send_code
from policies.numbers import PhoneNumber, parse_number
from policies.verdict import Deny
from store import sessions
from store.audit.log import record
from store.dsar.contacts import read_address
from store.jobs import defer
from store.scope import TenantStore
from store.tables.dsar import DsarCodeTable, DsarIntakeTable
from store.tables.setup import TenantTable

_TABLE = "dsar_intakes"
ROUTE_TASK = "dsar_route"
"""The job that finds the tenants, once a number is proven."""
RING_TASK = "dsar_ring"
"""The job that rings a number and says a new code."""

State = Literal["unproven", "proven", "routed", "done", "stopped"]
"""Waiting for the code; waiting to be passed on; with the tenants; answered by all of them; given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One request. Number and contact are None once nothing is to be done any more."""

    id: UUID
    wish: Wish
    language: str
    state: State
    number: str | None
    contact: str | None
    received_at: datetime
    wrong_guesses: int
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewCode:
    """A code that is to be brought to a number now. It is nowhere else."""

    number: str
    language: str
    code: str = field(repr=False)


class NoIntakeError(LookupError):
    """There is no such request, or it waits for no code any more."""


class CodeRefusedError(Exception):
    """No code is sent now; says why and when to try again."""


Answer = Literal["proven", "wrong", "expired", "stopped"]
"""What a code that somebody typed came to. "stopped": it was the last guess, and the request is given up."""


async def take_in(
    house: TenantStore,
    number: PhoneNumber,
    wish: Wish,
    *,
    contact: str,
    language: str,
    actor: Actor,
    received_at: datetime | None = None,
) -> UUID:
    """Write a request down; its time runs from when it was received.

    Raises:
        BadAddressError: `contact` is no mail address.
    """
    intake_id, index = uuid7(), await sessions.caller_index(house, number.e164)
    columns = await house.keys.tenant_columns(house)
    await house.add(
        DsarIntakeTable(
            tenant_id=house.tenant_id,
            id=intake_id,
            wish=wish.value,
            language=language,
            state="unproven",
            number_sealed=columns.seal(number.e164, _TABLE, "number", intake_id),
            number_index=index,
            contact_sealed=columns.seal(read_address(contact), _TABLE, "contact", intake_id),
            received_at=received_at or datetime.now(UTC),
        )
    )
    await _note(house, Tag.DSAR_REQUEST_TAKEN_IN, intake_id, actor, wish=wish.value)
    return intake_id


async def ask_for_ring(house: TenantStore, intake_id: UUID) -> None:
    """Have the number rung soon, by a job.

    Raises:
        NoIntakeError: The request waits for no code.
        CodeRefusedError: It is a number that is not rung.
    """
    found = await find_intake(house, intake_id)
    number = parse_number(found.number or "")
    if found.state != "unproven" or number is None:
        raise NoIntakeError(str(intake_id))
    verdict = may_be_rung(number)
    if isinstance(verdict, Deny):
        raise CodeRefusedError(verdict.reason)
    await defer(house, RING_TASK, lock=str(intake_id), intake_id=str(intake_id))


async def new_code(house: TenantStore, intake_id: UUID, *, actor: Actor, at: datetime | None = None) -> NewCode:
    """A fresh code for a request, in place of the one before. Whoever gets it brings it to the number and nowhere else.

    Raises:
        NoIntakeError: The request waits for no code.
        CodeRefusedError: The number, or the desk, has had too many.
    """
    now = at or datetime.now(UTC)
    # One code after the other, so that parallel requests cannot share a limit.
    await house.first(select(TenantTable).with_for_update())
    row = await _unproven(house, intake_id)
    assert row.number_sealed is not None  # noqa: S101 - an unproven request has its number; for the type checker
    columns = await house.keys.tenant_columns(house)
    number = columns.open(row.number_sealed, _TABLE, "number", intake_id)
    indexes = await sessions.caller_indexes(house, number)
    since = now - timedelta(days=1)
    to_number = await house.all(
        select(DsarCodeTable.sent_at).where(
            col(DsarCodeTable.number_index).in_(indexes), col(DsarCodeTable.sent_at) > since
        )
    )
    by_desk = await house.first(
        select(func.count()).select_from(DsarCodeTable).where(col(DsarCodeTable.sent_at) > since)
    )
    verdict = may_send_code(now, to_number=to_number, by_desk=by_desk or 0)
    if isinstance(verdict, Deny):
        raise CodeRefusedError(verdict.reason)
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    await house.add(DsarCodeTable(tenant_id=house.tenant_id, id=uuid7(), number_index=indexes[0], sent_at=now))
    await house.change(
        update(DsarIntakeTable)
        .where(col(DsarIntakeTable.id) == intake_id)
        .values(code_hash=(await _hashes(house, intake_id, code))[0], code_ends_at=now + CODE_LIFE)
    )
    await _note(house, Tag.DSAR_CODE_SENT, intake_id, actor)
    return NewCode(number, row.language, code)


async def prove(house: TenantStore, intake_id: UUID, guess: str, *, actor: Actor, at: datetime | None = None) -> Answer:
    """Check a code that somebody said was brought to the number. Commit whatever the answer is: it was counted.

    Raises:
        NoIntakeError: The request waits for no code.
    """
    now = at or datetime.now(UTC)
    row = await _unproven(house, intake_id)  # locked: of guesses at the same moment each is counted
    if row.code_hash is None or row.code_ends_at is None or now >= row.code_ends_at:
        return "expired"
    right = any(hmac.compare_digest(row.code_hash, one) for one in await _hashes(house, intake_id, guess.strip()))
    if right:
        await _set(house, intake_id, state="proven", code_hash=None, code_ends_at=None)
        await _note(house, Tag.DSAR_NUMBER_PROVEN, intake_id, actor)
        await defer(house, ROUTE_TASK, lock=str(intake_id), intake_id=str(intake_id))
        return "proven"
    wrong = row.wrong_guesses + 1
    await _set(house, intake_id, wrong_guesses=wrong)
    if wrong < MOST_GUESSES:
        return "wrong"
    await stop(house, intake_id, actor=actor, at=now)
    return "stopped"


async def stop(house: TenantStore, intake_id: UUID, *, actor: Actor, at: datetime | None = None) -> None:
    """Give a request up whose number was not proven, and forget whose it was. Raises `NoIntakeError`."""
    await _unproven(house, intake_id)
    await finish(house, intake_id, "stopped", at=at or datetime.now(UTC))
    await _note(house, Tag.DSAR_REQUEST_STOPPED, intake_id, actor)


async def finish(house: TenantStore, intake_id: UUID, state: Literal["done", "stopped"], *, at: datetime) -> None:
    """Nothing is to be done any more: keep that there was a request, and forget whose it was."""
    await _set(
        house,
        intake_id,
        state=state,
        finished_at=at,
        number_sealed=None,
        number_index=None,
        contact_sealed=None,
        code_hash=None,
        code_ends_at=None,
    )


async def find_intake(house: TenantStore, intake_id: UUID) -> Intake:
    """The request. Raises `NoIntakeError`."""
    row = await house.first(select(DsarIntakeTable).where(DsarIntakeTable.id == intake_id))
    if row is None:
        raise NoIntakeError(str(intake_id))
    return (await _intakes(house, (row,)))[0]


async def list_intakes(house: TenantStore, *, only_open: bool = True) -> tuple[Intake, ...]:
    """Requests, oldest first."""
    statement = select(DsarIntakeTable).order_by(col(DsarIntakeTable.received_at), col(DsarIntakeTable.id))
    if only_open:
        statement = statement.where(col(DsarIntakeTable.finished_at).is_(None))
    return await _intakes(house, await house.all(statement))


async def sweep(house: TenantStore, now: datetime, *, actor: Actor) -> int:
    """Give up requests that nobody proved in time, and forget old codes; how many were given up."""
    late = select(DsarIntakeTable.id).where(
        DsarIntakeTable.state == "unproven", col(DsarIntakeTable.received_at) < now - UNPROVEN_LIFE
    )
    given_up = await house.all(late)
    for intake_id in given_up:
        await stop(house, intake_id, actor=actor, at=now)
    await house.change(delete(DsarCodeTable).where(col(DsarCodeTable.sent_at) < now - timedelta(days=1)))
    return len(given_up)


async def _unproven(house: TenantStore, intake_id: UUID) -> DsarIntakeTable:
    row = await house.first(select(DsarIntakeTable).where(DsarIntakeTable.id == intake_id).with_for_update())
    if row is None or row.state != "unproven":
        raise NoIntakeError(str(intake_id))
    return row


async def _set(house: TenantStore, intake_id: UUID, **values: object) -> None:
    await house.change(update(DsarIntakeTable).where(col(DsarIntakeTable.id) == intake_id).values(**values))


async def _hashes(house: TenantStore, intake_id: UUID, code: str) -> tuple[bytes, ...]:
    """HMACs of the code, for this request only; the first is the one to be kept, the others are of older keys."""
    return await house.keys.blind_indexes(house, "dsar code", f"{intake_id}/{code}")


async def _note(house: TenantStore, tag: Tag, intake_id: UUID, actor: Actor, **facts: str) -> None:
    await record(house, actor, tag, objects={"intake": str(intake_id)}, facts=facts)


async def _intakes(house: TenantStore, rows: Sequence[DsarIntakeTable]) -> tuple[Intake, ...]:
    columns = await house.keys.tenant_columns(house)

    def opened(sealed: bytes | None, column: str, intake_id: UUID) -> str | None:
        return None if sealed is None else columns.open(sealed, _TABLE, column, intake_id)

    return tuple(
        Intake(
            id=row.id,
            wish=Wish(row.wish),
            language=row.language,
            state=msgspec.convert(row.state, State),
            number=opened(row.number_sealed, "number", row.id),
            contact=opened(row.contact_sealed, "contact", row.id),
            received_at=row.received_at,
            wrong_guesses=row.wrong_guesses,
            finished_at=row.finished_at,
        )
        for row in rows
    )

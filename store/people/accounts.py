"""Accounts: the people who sign in. They are the server's, not a tenant's, and lie in the operator's own books.

An account is a mail address that somebody has shown to read. It gives nothing by itself: what a person may do in a
tenant is the tenant's to say (`store.people.memberships`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import col, delete, exists, select
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store import sessions
from store.audit.log import record
from store.dsar.contacts import read_address
from store.scope import TenantStore
from store.tables.base import among, now
from store.tables.people import AccountTable, DeviceTable

_TABLE = "accounts"
_COLUMN = "email"
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text) || :email_index, 0))"


@dataclass(frozen=True, slots=True)
class Account:
    """A person."""

    id: UUID
    email: str
    """In small letters: nobody's mail server tells them apart, and people type either."""
    made_at: datetime


def read_email(typed: str) -> str:
    """The address that somebody typed, as accounts are found by it.

    Raises:
        BadAddressError: It is none.
    """
    return read_address(typed.strip()).lower()


async def email_index(house: TenantStore, email: str) -> bytes:
    """The blind index by which this address is meant in what is written."""
    return await sessions.caller_index(house, email)


async def email_indexes(house: TenantStore, email: str) -> tuple[bytes, ...]:
    """Every index under which this address may be found."""
    return await sessions.caller_indexes(house, email)


async def one_at_a_time(house: TenantStore, email: str) -> None:
    """Let nobody else do anything about this address until the transaction ends."""
    await house.fixed(_ONE_AT_A_TIME, email_index=(await email_indexes(house, email))[-1].hex())


async def find_or_make(house: TenantStore, email: str) -> Account:
    """The account of an address, from the moment on in which somebody has shown to read its mail."""
    await one_at_a_time(house, email)
    found = await find_by_email(house, email)
    if found is not None:
        return found
    account = Account(uuid7(), email, now())
    columns = await house.keys.tenant_columns(house)
    await house.add(
        AccountTable(
            tenant_id=house.tenant_id,
            id=account.id,
            email_sealed=columns.seal(email, _TABLE, _COLUMN, account.id),
            email_index=await email_index(house, email),
            made_at=account.made_at,
        )
    )
    await record(house, Actor("user", str(account.id)), Tag.ACCOUNT_MADE, objects={"user": str(account.id)})
    return account


async def find_by_email(house: TenantStore, email: str) -> Account | None:
    """The account of an address; None where nobody has signed in with it yet."""
    indexes = await email_indexes(house, email)
    row = await house.first(select(AccountTable).where(col(AccountTable.email_index).in_(indexes)))
    return None if row is None else Account(row.id, email, row.made_at)


async def find(house: TenantStore, user_id: UUID) -> Account | None:
    """The account; None once it is removed."""
    row = await house.first(select(AccountTable).where(AccountTable.id == user_id))
    if row is None:
        return None
    columns = await house.keys.tenant_columns(house)
    return Account(row.id, columns.open(row.email_sealed, _TABLE, _COLUMN, row.id), row.made_at)


async def emails_of(house: TenantStore, user_ids: Collection[UUID]) -> Mapping[UUID, str]:
    """The addresses of these people; those who are gone are missing."""
    rows = await house.all(select(AccountTable).where(among(AccountTable.id, user_ids)))
    columns = await house.keys.tenant_columns(house)
    return {row.id: columns.open(row.email_sealed, _TABLE, _COLUMN, row.id) for row in rows}


async def strangers(house: TenantStore, before: datetime) -> Sequence[UUID]:
    """Whose accounts are older than that, and who have not been signed in for so long that no device is known."""
    has_device = select(DeviceTable.id).where(DeviceTable.user_id == AccountTable.id)
    return await house.all(select(AccountTable.id).where(col(AccountTable.made_at) < before, ~exists(has_device)))


async def remove_account(house: TenantStore, user_id: UUID, *, actor: Actor) -> bool:
    """Forget a person: address, sign-ins and factors. False when there is no such account.

    Audit logs keep the id, which leads nowhere any more. Roles are the tenants' to take back.
    """
    if not await house.change(delete(AccountTable).where(col(AccountTable.id) == user_id)):
        return False
    await record(house, actor, Tag.ACCOUNT_REMOVED, objects={"user": str(user_id)})
    return True

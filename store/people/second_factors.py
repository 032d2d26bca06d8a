"""What a person has to prove themselves with besides their mailbox, and the count of wrong codes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, Literal
from uuid import UUID

from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.people.devices import note_second_factor, revoke_others
from store.people.factor_letters import ALL_REMOVED, CODE_USED, COPIED, MANY_WRONG, tell
from store.people.passkeys import Passkey, count_up, passkeys_of
from store.people.recovery import recovery_codes_left, use_recovery_code
from store.people.totp import accept_code, totp_since
from store.scope import TenantStore
from store.tables.base import among
from store.tables.factors import PasskeyTable, RecoveryCodeTable, TotpTable, WrongCodesTable
from store.tables.people import AccountTable, DeviceTable

MOST_WRONG: Final = 10
"""Codes of an authenticator app that may be wrong in a day, on all devices of an account together."""
_DAY: Final = timedelta(days=1)

# Begins a new day where the last one is over. The row stays locked until the transaction ends: codes that are tried at
# the same time wait for each other, and the eleventh is not looked at.
_COUNT = """
INSERT INTO wrong_codes (tenant_id, user_id, since, count) VALUES (:tenant_id, :user_id, :now, 0)
ON CONFLICT (tenant_id, user_id) DO UPDATE SET
    since = CASE WHEN wrong_codes.since <= :day_ago THEN excluded.since ELSE wrong_codes.since END,
    count = CASE WHEN wrong_codes.since <= :day_ago THEN 0 ELSE wrong_codes.count END
RETURNING count
"""


Factor = Literal["totp", "passkey", "recovery_code"]


@dataclass(frozen=True, slots=True)
class Person:
    """Who shows a factor, and on which device."""

    user_id: UUID
    device_id: UUID

    @property
    def actor(self) -> Actor:
        """For the audit log."""
        return Actor("user", str(self.user_id))


class Shown(Enum):
    """What came of a code."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_MANY = "too_many"
    """Too many were wrong within a day: none is looked at any more."""


@dataclass(frozen=True, slots=True)
class Factors:
    """What somebody has."""

    totp_since: datetime | None
    """None: no authenticator app."""
    passkeys: tuple[Passkey, ...]
    recovery_codes_left: int

    @property
    def count(self) -> int:
        """Recovery codes stand in for a factor, and are none."""
        return len(self.passkeys) + (self.totp_since is not None)


async def factors_of(house: TenantStore, user_id: UUID) -> Factors:
    """Somebody's second factors."""
    return Factors(
        await totp_since(house, user_id),
        await passkeys_of(house, user_id),
        await recovery_codes_left(house, user_id),
    )


async def have_second_factor(house: TenantStore, user_ids: Collection[UUID]) -> frozenset[UUID]:
    """Who of these people has a second factor."""
    by_app = select(TotpTable.user_id).where(
        among(TotpTable.user_id, user_ids), col(TotpTable.confirmed_at).is_not(None)
    )
    by_key = select(PasskeyTable.user_id).where(among(PasskeyTable.user_id, user_ids))
    return frozenset(await house.all(by_app)) | frozenset(await house.all(by_key))


async def lock_factors(house: TenantStore, user_id: UUID) -> None:
    """Have whoever else changes these factors wait until this transaction is over."""
    await house.first(select(AccountTable.id).where(AccountTable.id == user_id).with_for_update())


async def remove_all_factors(house: TenantStore, user_id: UUID, now: datetime, *, actor: Actor) -> bool:
    """Take every factor off an account and end its sign-ins, for somebody who has lost them all; False for none.

    Whoever does this has made sure who is asking: after it, the mailbox alone sets up a new factor.
    """
    await lock_factors(house, user_id)
    if not (await factors_of(house, user_id)).count:
        return False
    for table in (TotpTable, PasskeyTable, RecoveryCodeTable, WrongCodesTable):
        await house.change(delete(table).where(col(table.user_id) == user_id))
    await revoke_others(house, user_id, None, actor=actor, at=now)
    await record(house, actor, Tag.SECOND_FACTOR_REMOVED, objects={"user": str(user_id)}, facts={"factor": "all"})
    await tell(house, user_id, ALL_REMOVED)
    return True


async def signed_in_at(house: TenantStore, device_id: UUID) -> datetime | None:
    """When somebody signed in on this device; None where it is signed out."""
    return await house.first(
        select(DeviceTable.made_at).where(DeviceTable.id == device_id, col(DeviceTable.ended_at).is_(None))
    )


async def note_shown(house: TenantStore, person: Person, factor: Factor, now: datetime) -> None:
    """From now on a second factor was shown on this device."""
    await note_second_factor(house, person.device_id, now)
    await _note(house, person, Tag.SECOND_FACTOR_SHOWN, factor)


async def note_refused(house: TenantStore, person: Person, factor: Factor) -> None:
    """What was shown as a factor is none."""
    await _note(house, person, Tag.SECOND_FACTOR_REFUSED, factor)


async def show_totp(house: TenantStore, person: Person, code: str, now: datetime) -> Shown:
    """Try a code of somebody's authenticator app; a wrong one is counted, and must be: commit what this has done."""
    ((wrong,),) = await house.fixed(_COUNT, user_id=person.user_id, now=now, day_ago=now - _DAY)
    if wrong >= MOST_WRONG:
        return Shown.TOO_MANY
    if await accept_code(house, person.user_id, code, now):
        await note_shown(house, person, "totp", now)
        return Shown.RIGHT
    counted = update(WrongCodesTable).where(col(WrongCodesTable.user_id) == person.user_id)
    await house.change(counted.values(count=wrong + 1))
    await note_refused(house, person, "totp")
    if wrong + 1 < MOST_WRONG:
        return Shown.WRONG
    await tell(house, person.user_id, MANY_WRONG)
    return Shown.TOO_MANY


async def show_recovery_code(house: TenantStore, person: Person, code: str, now: datetime) -> Shown:
    """Try a recovery code. Nobody guesses one, so it is looked at however many codes of the app were wrong."""
    if not await use_recovery_code(house, person.user_id, code):
        await note_refused(house, person, "recovery_code")
        return Shown.WRONG
    await note_shown(house, person, "recovery_code", now)
    await tell(house, person.user_id, CODE_USED)
    return Shown.RIGHT


async def show_passkey(house: TenantStore, person: Person, passkey_id: UUID, sign_count: int, now: datetime) -> Shown:
    """Note that one of somebody's passkeys has signed, as was verified; wrong where it counts backwards."""
    if not await count_up(house, person.user_id, passkey_id, sign_count, now):
        await note_refused(house, person, "passkey")
        await tell(house, person.user_id, COPIED)
        return Shown.WRONG
    await note_shown(house, person, "passkey", now)
    return Shown.RIGHT


async def _note(house: TenantStore, person: Person, tag: Tag, factor: Factor) -> None:
    objects = {"user": str(person.user_id), "device": str(person.device_id)}
    await record(house, person.actor, tag, objects=objects, facts={"factor": factor})

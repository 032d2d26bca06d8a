"""What a person has to prove themselves with besides their mailbox, and the count of wrong codes."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final
from uuid import UUID

from sqlmodel import col, select, update

from store.people.passkeys import Passkey, passkeys_of
from store.people.recovery import recovery_codes_left, use_recovery_code
from store.people.totp import accept_code, totp_since
from store.scope import TenantStore
from store.tables.base import among
from store.tables.factors import PasskeyTable, TotpTable, WrongCodesTable

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


class Shown(Enum):
    """What came of a code."""

    RIGHT = "right"
    WRONG = "wrong"
    LAST_WRONG = "last_wrong"
    """Wrong, and from now on no code is looked at."""
    TOO_MANY = "too_many"
    """Not looked at: too many were wrong within a day."""


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


async def show_totp(house: TenantStore, user_id: UUID, code: str, now: datetime) -> Shown:
    """Try a code of somebody's authenticator app; a wrong one is counted, and must be: commit what this has done."""
    ((wrong,),) = await house.fixed(_COUNT, user_id=user_id, now=now, day_ago=now - _DAY)
    if wrong >= MOST_WRONG:
        return Shown.TOO_MANY
    if await accept_code(house, user_id, code, now):
        return Shown.RIGHT
    await house.change(update(WrongCodesTable).where(col(WrongCodesTable.user_id) == user_id).values(count=wrong + 1))
    return Shown.LAST_WRONG if wrong + 1 == MOST_WRONG else Shown.WRONG


async def show_recovery_code(house: TenantStore, user_id: UUID, code: str) -> Shown:
    """Try a recovery code. Nobody guesses one, so it is looked at however many codes were wrong."""
    return Shown.RIGHT if await use_recovery_code(house, user_id, code) else Shown.WRONG

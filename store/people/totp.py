"""Authenticator apps: time-based one-time passwords (RFC 6238), each accepted once.

A code is six digits for 30 seconds. The step before and the one after are accepted as well, for a clock that is a
little off and for who types slowly (RFC 6238 section 5.2 allows for both; OWASP ASVS 6.5.5 would have the current one
only). With ten wrong codes a day, on all devices together, guessing succeeds with a chance of 1.1 % in a year, and only
for somebody who has the mailbox too. A step is accepted only if it is greater than the last one that was.
"""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import pyotp
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import ColumnElement
from sqlmodel import col, delete, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.people.factor_letters import ADDED, REMOVED, tell
from store.scope import TenantStore
from store.tables.factors import TotpTable

DIGITS: Final = 6
STEP_S: Final = 30
WINDOW_STEPS: Final = 1
SET_UP_WITHIN: Final = timedelta(minutes=15)
"""So long a secret is shown and can be confirmed."""
_SECRET_BYTES: Final = 20
"""160 bits: the length of the HMAC's output (RFC 4226 section 4, R6)."""
_TABLE: Final = "totps"


@dataclass(frozen=True, slots=True)
class Pending:
    """A secret that an authenticator app is to be given."""

    secret: str
    """Base32, without padding: what people type where they cannot scan."""

    def uri(self, *, account: str, issuer: str) -> str:
        """What the QR code says: otpauth://totp/…, of Google's Key URI format."""
        return _totp(self.secret).provisioning_uri(name=account, issuer_name=issuer)


def new_secret() -> str:
    """Random, in base32."""
    return base64.b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def step_of(secret: str, code: str, now: datetime) -> int | None:
    """The step of which this is the code, if it is one that counts now."""
    if len(code) != DIGITS or not code.isascii() or not code.isdigit():
        return None
    try:
        return _totp(secret).verify_and_get_timecode(code, for_time=now, valid_window=WINDOW_STEPS)
    except OTPVerificationError:
        return None


async def begin_totp(house: TenantStore, user_id: UUID, now: datetime) -> None:
    """Make a secret for an app that is to be set up; one that was begun before is forgotten."""
    await house.change(
        delete(TotpTable).where(col(TotpTable.user_id) == user_id, col(TotpTable.confirmed_at).is_(None))
    )
    totp_id = uuid7()
    columns = await house.keys.tenant_columns(house)
    sealed = columns.seal(new_secret(), _TABLE, "secret", totp_id)
    await house.put(TotpTable, [{"id": totp_id, "user_id": user_id, "secret_sealed": sealed, "begun_at": now}])


async def pending_totp(house: TenantStore, user_id: UUID, now: datetime) -> Pending | None:
    """The secret that waits for its first code; None where nothing was begun, or too long ago."""
    row = await house.first(select(TotpTable).where(*_waits(user_id, now)))
    return None if row is None else Pending(await _open(house, row))


async def confirm_totp(house: TenantStore, user_id: UUID, code: str, now: datetime, *, actor: Actor) -> bool:
    """Take the app that was begun into use, in place of any other; False where the code is not its."""
    row = await house.first(select(TotpTable).where(*_waits(user_id, now)))
    if row is None:
        return False
    step = step_of(await _open(house, row), code, now)
    if step is None:
        return False
    await house.change(
        delete(TotpTable).where(col(TotpTable.user_id) == user_id, col(TotpTable.confirmed_at).is_not(None))
    )
    taken = update(TotpTable).where(col(TotpTable.id) == row.id, col(TotpTable.confirmed_at).is_(None))
    if not await house.change(taken.values(confirmed_at=now, last_step=step)):
        return False
    await record(house, actor, Tag.SECOND_FACTOR_ADDED, objects={"user": str(user_id)}, facts={"factor": "totp"})
    await tell(house, user_id, f"An authenticator app {ADDED}")
    return True


async def accept_code(house: TenantStore, user_id: UUID, code: str, now: datetime) -> bool:
    """Whether this is the app's code, and was not shown before; it is used up by that."""
    row = await house.first(select(TotpTable).where(*_in_use(user_id)))
    if row is None:
        return False
    step = step_of(await _open(house, row), code, now)
    if step is None:
        return False
    greater = update(TotpTable).where(col(TotpTable.id) == row.id, col(TotpTable.last_step) < step)
    return await house.change(greater.values(last_step=step)) == 1


async def totp_since(house: TenantStore, user_id: UUID) -> datetime | None:
    """Since when somebody uses an authenticator app; None where they do not."""
    row = await house.first(select(TotpTable).where(*_in_use(user_id)))
    return None if row is None else row.confirmed_at


async def remove_totp(house: TenantStore, user_id: UUID, *, actor: Actor) -> bool:
    """Use the app no more; False where there was none."""
    if not await house.change(delete(TotpTable).where(*_in_use(user_id))):
        return False
    await record(house, actor, Tag.SECOND_FACTOR_REMOVED, objects={"user": str(user_id)}, facts={"factor": "totp"})
    await tell(house, user_id, f"An authenticator app {REMOVED}")
    return True


def _totp(secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(secret, digits=DIGITS, interval=STEP_S)


def _in_use(user_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return col(TotpTable.user_id) == user_id, col(TotpTable.confirmed_at).is_not(None)


def _waits(user_id: UUID, now: datetime) -> tuple[ColumnElement[bool], ...]:
    begun = col(TotpTable.begun_at) > now - SET_UP_WITHIN
    return col(TotpTable.user_id) == user_id, col(TotpTable.confirmed_at).is_(None), begun


async def _open(house: TenantStore, row: TotpTable) -> str:
    columns = await house.keys.tenant_columns(house)
    return columns.open(row.secret_sealed, _TABLE, "secret", row.id)

"""Passkeys (WebAuthn): what is kept of them, and the challenges that browsers have to have signed.

What an authenticator says is verified in `admin.auth.passkeys`; here lies what it is verified against.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlmodel import col, delete, or_, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.people.factor_letters import ADDED, REMOVED, tell
from store.scope import TenantStore
from store.tables.factors import PasskeyChallengeTable, PasskeyTable

Purpose = Literal["add", "confirm"]
"""What a challenge is for: one made for confirming cannot add a key."""

CHALLENGE_LASTS: Final = timedelta(minutes=5)
_CHALLENGE_BYTES: Final = 32
MOST: Final = 10
"""Passkeys of one account."""
_TABLE: Final = "passkeys"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPasskey:
    """What an authenticator has made."""

    relying_party: str
    """The host under which it was made, and where alone it works."""
    credential_id: bytes
    public_key: bytes
    """COSE (RFC 9053)."""
    sign_count: int
    transports: Sequence[str]
    backed_up: bool
    """It is synchronised to further devices (WebAuthn level 3, section 6.1.3)."""
    label: str
    """What its owner calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passkey(NewPasskey):
    """One that is in use."""

    id: UUID
    added_at: datetime
    used_at: datetime | None


async def new_challenge(house: TenantStore, device_id: UUID, purpose: Purpose, now: datetime) -> bytes:
    """32 random bytes for this device to have signed; those it was given before for the same purpose are void."""
    challenge = secrets.token_bytes(_CHALLENGE_BYTES)
    row = {"device_id": device_id, "purpose": purpose, "challenge": challenge, "ends_at": now + CHALLENGE_LASTS}
    await house.put(PasskeyChallengeTable, [row], replace=("challenge", "ends_at"))
    return challenge


async def take_challenge(house: TenantStore, device_id: UUID, purpose: Purpose, now: datetime) -> bytes | None:
    """What this device was to have signed, which nobody gets a second time; None where nothing waits any more."""
    mine = (col(PasskeyChallengeTable.device_id) == device_id, col(PasskeyChallengeTable.purpose) == purpose)
    row = await house.first(select(PasskeyChallengeTable).where(*mine))
    if row is None:
        return None
    taken = delete(PasskeyChallengeTable).where(*mine, col(PasskeyChallengeTable.challenge) == row.challenge)
    if not await house.change(taken) or row.ends_at <= now:
        return None
    return row.challenge


async def add_passkey(
    house: TenantStore, user_id: UUID, new: NewPasskey, now: datetime, *, actor: Actor
) -> UUID | None:
    """Take it into use; None where somebody has it already."""
    if await house.first(select(PasskeyTable.id).where(PasskeyTable.credential_id == new.credential_id)) is not None:
        return None
    passkey_id = uuid7()
    columns = await house.keys.tenant_columns(house)
    await house.add(
        PasskeyTable(
            tenant_id=house.tenant_id,
            id=passkey_id,
            user_id=user_id,
            relying_party=new.relying_party,
            credential_id=new.credential_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            transports=list(new.transports),
            backed_up=new.backed_up,
            label_sealed=columns.seal(new.label, _TABLE, "label", passkey_id),
            added_at=now,
        )
    )
    await record(
        house,
        actor,
        Tag.SECOND_FACTOR_ADDED,
        objects={"user": str(user_id), "passkey": str(passkey_id)},
        facts={"factor": "passkey", "backed_up": new.backed_up},
    )
    await tell(house, user_id, f"A passkey {ADDED}")
    return passkey_id


async def passkeys_of(house: TenantStore, user_id: UUID) -> tuple[Passkey, ...]:
    """Somebody's, oldest first."""
    rows = await house.all(select(PasskeyTable).where(PasskeyTable.user_id == user_id).order_by(col(PasskeyTable.id)))
    if not rows:
        return ()
    columns = await house.keys.tenant_columns(house)
    return tuple(
        Passkey(
            id=row.id,
            relying_party=row.relying_party,
            credential_id=row.credential_id,
            public_key=row.public_key,
            sign_count=row.sign_count,
            transports=tuple(row.transports),
            backed_up=row.backed_up,
            label=columns.open(row.label_sealed, _TABLE, "label", row.id),
            added_at=row.added_at,
            used_at=row.used_at,
        )
        for row in rows
    )


async def count_up(house: TenantStore, user_id: UUID, passkey_id: UUID, sign_count: int, now: datetime) -> bool:
    """Note that a passkey has signed; False where its count does not go up, as a copy's would not.

    Authenticators that do not count say 0 each time (WebAuthn level 3, section 6.1.1).
    """
    counts = or_(col(PasskeyTable.sign_count) < sign_count, (col(PasskeyTable.sign_count) == 0) & (sign_count == 0))
    theirs = (col(PasskeyTable.id) == passkey_id, col(PasskeyTable.user_id) == user_id)
    used = update(PasskeyTable).where(*theirs, counts)
    return await house.change(used.values(sign_count=sign_count, used_at=now)) == 1


async def remove_passkey(house: TenantStore, user_id: UUID, passkey_id: UUID, *, actor: Actor) -> bool:
    """Accept it no more; False where somebody has no such passkey."""
    theirs = (col(PasskeyTable.id) == passkey_id, col(PasskeyTable.user_id) == user_id)
    if not await house.change(delete(PasskeyTable).where(*theirs)):
        return False
    await record(
        house,
        actor,
        Tag.SECOND_FACTOR_REMOVED,
        objects={"user": str(user_id), "passkey": str(passkey_id)},
        facts={"factor": "passkey"},
    )
    await tell(house, user_id, f"A passkey {REMOVED}")
    return True

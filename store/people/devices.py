"""Devices: where a person is signed in, each with a family of refresh tokens of which one is good.

A refresh token names its device and its generation, under a MAC by a secret of the device, so nothing of it has to be
kept: the next one is made when the last comes back. Whoever comes with an older one than that has copied it, or has
been copied: the family ends. Only its parent still brings the same child, for ten seconds, because answers get lost and
tabs ask at the same time (RFC 9700, 4.14.2). All functions work on the operator's books (`store.house`).
"""

import base64
import binascii
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlmodel import col, delete, or_, select, update
from uuid_utils.compat import uuid7

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.dsar.letters import Letter
from store.outbox import queue_mail
from store.people import accounts, letters
from store.people.challenges import hash_of
from store.scope import TenantStore
from store.tables.people import DeviceTable

ROLLING_LIFE: Final = timedelta(days=30)
"""Of a refresh token that is not used."""
ABSOLUTE_LIFE: Final = timedelta(days=90)
"""Of a sign-in, however often it is refreshed."""
LOST_ANSWER: Final = timedelta(seconds=10)
_PREFIX: Final = "rt_"
_BODY: Final = struct.Struct(">16sI32s")
"""Device, generation, MAC."""
_TABLE: Final = "devices"
_SEEN_EVERY: Final = timedelta(minutes=1)
"""More exactly nobody needs to know when somebody was last there."""
_LIVE: Final = """
SELECT d.user_id, d.second_factor_at, d.idle_limit_s, d.seen_at,
       EXISTS (SELECT 1 FROM passkeys p WHERE p.tenant_id = :tenant_id AND p.user_id = d.user_id)
       OR EXISTS (SELECT 1 FROM totps t
                  WHERE t.tenant_id = :tenant_id AND t.user_id = d.user_id AND t.confirmed_at IS NOT NULL)
       AS has_second_factor
FROM devices d WHERE d.tenant_id = :tenant_id AND d.id = :device_id AND d.ended_at IS NULL AND d.ends_at > :at
"""

EndReason = Literal["signed_out", "revoked", "reused", "idle"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A sign-in that goes on, and what it goes on with."""

    user_id: UUID
    device_id: UUID
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Device:
    """One sign-in, as its owner sees it."""

    id: UUID
    label: str
    """Browser and system, as the browser itself says."""
    signed_in_at: datetime
    seen_at: datetime
    """To a minute."""
    second_factor_at: datetime | None
    ends_at: datetime
    """At the latest."""


@dataclass(frozen=True, slots=True)
class LiveDevice:
    """What has to be known of a sign-in for each request."""

    user_id: UUID
    second_factor_at: datetime | None
    has_second_factor: bool
    """The person, here or elsewhere."""
    idle_limit_s: int | None
    """After so long without use it ends; None: it does not."""


async def open_device(house: TenantStore, user_id: UUID, *, label: str, browser: str, at: datetime) -> SignedIn:
    """Sign a person in. They are told by mail where it is a browser that they have not used before.

    Args:
        house: The operator's books.
        user_id: Whose mail was read.
        label: Browser and system.
        browser: The secret of the browser's cookie.
        at: Now.
    """
    used = await house.all(select(DeviceTable.browser_hash).where(DeviceTable.user_id == user_id))
    device_id, secret = uuid7(), secrets.token_hex(32)
    columns = await house.keys.tenant_columns(house)
    await house.add(
        DeviceTable(
            tenant_id=house.tenant_id,
            id=device_id,
            user_id=user_id,
            label_sealed=columns.seal(label, _TABLE, "label", device_id),
            browser_hash=hash_of(browser),
            secret_sealed=columns.seal(secret, _TABLE, "secret", device_id),
            made_at=at,
            rotated_at=at,
            seen_at=at,
            ends_at=at + ABSOLUTE_LIFE,
        )
    )
    await _note(house, Tag.DEVICE_SIGNED_IN, Actor("user", str(user_id)), device_id, at)
    if used and hash_of(browser) not in used:
        await _write(house, user_id, letters.new_device(label, at))
    return SignedIn(user_id, device_id, _token(device_id, 0, secret))


async def refresh(house: TenantStore, token: str, *, at: datetime) -> SignedIn | None:
    """Go on with a sign-in: the next refresh token for this one. None: sign in again.

    Commit whatever the answer is: where a token was used twice, the sign-in is ended.
    """
    read = _read(token)
    if read is None:
        return None
    device_id, generation, mac = read
    row = await house.first(select(DeviceTable).where(DeviceTable.id == device_id).with_for_update())
    if row is None or row.ended_at is not None or at >= min(row.ends_at, row.rotated_at + ROLLING_LIFE):
        return None
    if await _end_if_idle(house, device_id, row.idle_limit_s, row.seen_at, at):
        return None
    columns = await house.keys.tenant_columns(house)
    secret = columns.open(row.secret_sealed, _TABLE, "secret", device_id)
    if not hmac.compare_digest(mac, _mac(device_id, generation, secret)) or generation > row.generation:
        return None  # nobody of this family
    newest = row.generation
    if generation == newest:
        newest += 1
        await house.change(
            update(DeviceTable).where(col(DeviceTable.id) == device_id).values(generation=newest, rotated_at=at)
        )
    elif generation < newest - 1 or at > row.rotated_at + LOST_ANSWER:
        await _end(house, row.user_id, device_id, "reused", at)
        await _note(house, Tag.DEVICE_TOKEN_REUSED, Actor("system", "sign_in"), device_id, at)
        label = columns.open(row.label_sealed, _TABLE, "label", device_id)
        await _write(house, row.user_id, letters.token_reused(label, at))
        return None
    return SignedIn(row.user_id, device_id, _token(device_id, newest, secret))


async def find_live(house: TenantStore, device_id: UUID, at: datetime, *, is_use: bool = True) -> LiveDevice | None:
    """Whose sign-in this is; None once it is ended, revoked, idle for too long, or its account removed.

    Commit whatever the answer is. `is_use`: whether somebody asks for it, and not a page by itself.
    """
    rows = await house.fixed(_LIVE, device_id=device_id, at=at)
    if not rows or await _end_if_idle(house, device_id, rows[0].idle_limit_s, rows[0].seen_at, at):
        return None
    (live,) = rows
    if is_use and at >= live.seen_at + _SEEN_EVERY:
        await house.change(update(DeviceTable).where(col(DeviceTable.id) == device_id).values(seen_at=at))
    return LiveDevice(live.user_id, live.second_factor_at, live.has_second_factor, live.idle_limit_s)


async def limit_idling(house: TenantStore, device_id: UUID, idle_limit_s: int) -> None:
    """Sign this device out after so long without use, wherever that is: it has been where data of patients lies."""
    await house.change(update(DeviceTable).where(col(DeviceTable.id) == device_id).values(idle_limit_s=idle_limit_s))


async def devices_of(house: TenantStore, user_id: UUID, at: datetime) -> Sequence[Device]:
    """Where a person is signed in, the latest first."""
    rows = await house.all(
        select(DeviceTable)
        .where(
            DeviceTable.user_id == user_id,
            col(DeviceTable.ended_at).is_(None),
            col(DeviceTable.ends_at) > at,
            col(DeviceTable.rotated_at) > at - ROLLING_LIFE,
        )
        .order_by(col(DeviceTable.id).desc())
    )
    columns = await house.keys.tenant_columns(house)
    return [
        Device(
            id=row.id,
            label=columns.open(row.label_sealed, _TABLE, "label", row.id),
            signed_in_at=row.made_at,
            seen_at=row.seen_at,
            second_factor_at=row.second_factor_at,
            ends_at=min(row.ends_at, row.rotated_at + ROLLING_LIFE),
        )
        for row in rows
    ]


async def note_second_factor(house: TenantStore, device_id: UUID, at: datetime) -> None:
    """A second factor was shown on this device."""
    await house.change(update(DeviceTable).where(col(DeviceTable.id) == device_id).values(second_factor_at=at))


async def sign_out(house: TenantStore, user_id: UUID, device_id: UUID, at: datetime) -> None:
    """End this sign-in, as its owner wishes."""
    if await _end(house, user_id, device_id, "signed_out", at):
        await _note(house, Tag.DEVICE_SIGNED_OUT, Actor("user", str(user_id)), device_id, at)


async def revoke_device(house: TenantStore, user_id: UUID, device_id: UUID, *, actor: Actor, at: datetime) -> bool:
    """End one of a person's sign-ins, at once; False when there is none."""
    ended = await _end(house, user_id, device_id, "revoked", at)
    if ended:
        await _note(house, Tag.DEVICE_REVOKED, actor, device_id, at)
    return ended


async def revoke_others(
    house: TenantStore, user_id: UUID, device_id: UUID | None, *, actor: Actor, at: datetime
) -> int:
    """End all of a person's sign-ins but this one; how many there were."""
    others = [device for device in await devices_of(house, user_id, at) if device.id != device_id]
    return sum([await revoke_device(house, user_id, device.id, actor=actor, at=at) for device in others])


async def sweep(house: TenantStore, now: datetime) -> None:
    """Forget sign-ins that are long over. Till then a browser is known, and its owner gets no mail about it."""
    over = or_(col(DeviceTable.ends_at) < now, col(DeviceTable.ended_at) < now - ABSOLUTE_LIFE)
    await house.change(delete(DeviceTable).where(over))


async def _end_if_idle(
    house: TenantStore, device_id: UUID, idle_limit_s: int | None, seen_at: datetime, at: datetime
) -> bool:
    if idle_limit_s is None or at <= seen_at + timedelta(seconds=idle_limit_s):
        return False
    over = col(DeviceTable.id) == device_id, col(DeviceTable.ended_at).is_(None)
    await house.change(update(DeviceTable).where(*over).values(ended_at=at, end_reason="idle"))
    await _note(house, Tag.DEVICE_SIGNED_OUT, Actor("system", "sign_in"), device_id, at)
    return True


async def _end(house: TenantStore, user_id: UUID, device_id: UUID, reason: EndReason, at: datetime) -> bool:
    live = (
        col(DeviceTable.id) == device_id,
        col(DeviceTable.user_id) == user_id,
        col(DeviceTable.ended_at).is_(None),
    )
    return await house.change(update(DeviceTable).where(*live).values(ended_at=at, end_reason=reason)) > 0


async def _note(house: TenantStore, tag: Tag, actor: Actor, device_id: UUID, at: datetime) -> None:
    await record(house, actor, tag, objects={"device": str(device_id)}, at=at)


async def _write(house: TenantStore, user_id: UUID, letter: Letter) -> None:
    account = await accounts.find(house, user_id)
    if account is not None:
        await queue_mail(house, to=account.email, subject=letter.subject, body=letter.body, kind="sign_in_notice")


def _token(device_id: UUID, generation: int, secret: str) -> str:
    body = _BODY.pack(device_id.bytes, generation, _mac(device_id, generation, secret))
    return _PREFIX + base64.urlsafe_b64encode(body).decode().rstrip("=")


def _mac(device_id: UUID, generation: int, secret: str) -> bytes:
    """HMAC-SHA-256 (RFC 2104)."""
    text = b"aitelier refresh token v1" + device_id.bytes + struct.pack(">I", generation)
    return hmac.digest(bytes.fromhex(secret), text, "sha256")


def _read(token: str) -> tuple[UUID, int, bytes] | None:
    text = token.removeprefix(_PREFIX)
    try:
        body = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        device, generation, mac = _BODY.unpack(body)
    except (binascii.Error, ValueError, struct.error):
        return None
    return UUID(bytes=device), generation, mac

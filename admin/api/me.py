"""Whoever asks, as a person: who they are, where they are signed in, and how they prove who they are.

A passkey is made and shown by a browser, on a page of this server alone; here it is seen and removed.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from admin.api.members import OwnTenant, list_own_tenants
from admin.auth import second_factor
from admin.auth.identify import now_of
from admin.auth.step_up import must_have_second_factor
from admin.problems import BadRequestError, ConflictError, NotThereError
from admin.route import Visit
from policies.audit_tags import Actor
from store.house import open_house
from store.people import accounts, devices
from store.people.second_factors import Shown


class OwnAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks."""

    user_id: UUID
    email: str
    device_id: UUID
    """Of this sign-in."""
    second_factor_at: datetime | None
    """When one was last shown in this sign-in; it counts for a quarter of an hour where one is asked for."""
    must_have_second_factor: bool
    """As an owner somewhere, or because a tenant asks it of everyone."""
    tenants: tuple[OwnTenant, ...]


class OwnDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in."""

    id: UUID
    label: str
    """Browser and system, as the browser itself says."""
    is_this: bool
    """Whether this very request came with it."""
    signed_in_at: datetime
    seen_at: datetime
    """To a minute."""
    second_factor_at: datetime | None
    ends_at: datetime
    """At the latest."""


class OwnDeviceList(msgspec.Struct, frozen=True, kw_only=True):
    """Where somebody is signed in, the latest first."""

    items: tuple[OwnDevice, ...]


class DevicesRevoked(msgspec.Struct, frozen=True, kw_only=True):
    """How many sign-ins were ended."""

    count: int


class OwnPasskey(msgspec.Struct, frozen=True, kw_only=True):
    """A passkey."""

    id: UUID
    label: str
    host: str
    """Under which it was made, and where alone it works."""
    backed_up: bool
    """Whether it is synchronised to further devices."""
    added_at: datetime
    used_at: datetime | None


class OwnFactors(msgspec.Struct, frozen=True, kw_only=True):
    """Second factors of whoever asks."""

    app_since: datetime | None
    """Since when codes of an authenticator app count; None: of none."""
    passkeys: tuple[OwnPasskey, ...]
    recovery_codes_left: int


class AppToSetUp(msgspec.Struct, frozen=True, kw_only=True):
    """What an authenticator app is given, within a quarter of an hour."""

    secret: str
    """Base32 (RFC 4648), in groups of four."""
    uri: str
    """The same for a QR code: `otpauth://totp/…`."""


class FactorCode(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A code."""

    code: Annotated[str, Meta(min_length=1, max_length=64)]
    """Six digits of the authenticator app; to show a factor, a recovery code too."""


class RecoveryCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Codes that stand in for a lost second factor, once each. They are never shown again."""

    codes: tuple[str, ...]


async def get_own_account(visit: Visit) -> OwnAccount:
    """Show who asks, and in which tenants they have a role."""
    identity, now = visit.identity, now_of(visit.services)
    async with open_house(visit.services.database) as house:
        account = await accounts.find(house, identity.user_id)
    if account is None:
        raise NotThereError
    age_s = identity.second_factor_age_s
    return OwnAccount(
        user_id=identity.user_id,
        email=account.email,
        device_id=identity.device_id,
        second_factor_at=None if age_s is None else now - timedelta(seconds=age_s),
        must_have_second_factor=await must_have_second_factor(visit.services, identity),
        tenants=(await list_own_tenants(visit)).items,
    )


async def list_own_devices(visit: Visit) -> OwnDeviceList:
    """List where whoever asks is signed in."""
    async with open_house(visit.services.database) as house:
        found = await devices.devices_of(house, visit.identity.user_id, now_of(visit.services))
    return OwnDeviceList(
        items=tuple(
            OwnDevice(
                id=one.id,
                label=one.label,
                is_this=one.id == visit.identity.device_id,
                signed_in_at=one.signed_in_at,
                seen_at=one.seen_at,
                second_factor_at=one.second_factor_at,
                ends_at=one.ends_at,
            )
            for one in found
        )
    )


async def revoke_own_device(visit: Visit, device_id: UUID) -> None:
    """End one of one's own sign-ins, at once."""
    async with open_house(visit.services.database) as house:
        ended = await devices.revoke_device(
            house, visit.identity.user_id, device_id, actor=_actor(visit), at=now_of(visit.services)
        )
    if not ended:
        raise NotThereError


async def revoke_other_devices(visit: Visit) -> DevicesRevoked:
    """End every sign-in of one's own but this one."""
    identity = visit.identity
    async with open_house(visit.services.database) as house:
        count = await devices.revoke_others(
            house, identity.user_id, identity.device_id, actor=_actor(visit), at=now_of(visit.services)
        )
    return DevicesRevoked(count=count)


async def get_own_factors(visit: Visit) -> OwnFactors:
    """Show which second factors whoever asks has."""
    found = await second_factor.factors(visit)
    return OwnFactors(
        app_since=found.totp_since,
        passkeys=tuple(
            OwnPasskey(
                id=one.id,
                label=one.label,
                host=one.relying_party,
                backed_up=one.backed_up,
                added_at=one.added_at,
                used_at=one.used_at,
            )
            for one in found.passkeys
        ),
        recovery_codes_left=found.recovery_codes_left,
    )


async def show_own_factor(visit: Visit, body: FactorCode) -> None:
    """Show a second factor, which counts for a quarter of an hour in this sign-in."""
    shown = await second_factor.confirm_with_code(visit, body.code)
    if shown is not Shown.RIGHT:
        raise BadRequestError(second_factor.SAYS[shown], field="code")


async def begin_own_app(visit: Visit) -> AppToSetUp:
    """Begin to set an authenticator app up: it counts once its first code was given, in place of any before it."""
    await second_factor.begin_app(visit)
    setup = await second_factor.app_being_set_up(visit)
    if setup is None:
        raise ConflictError("It was set up meanwhile.", remedy="See /api/v1/me/factors")
    return AppToSetUp(secret=setup.secret, uri=setup.uri)


async def confirm_own_app(visit: Visit, body: FactorCode) -> RecoveryCodes:
    """Take the app into use by its first code. The answer has recovery codes if it is the first factor."""
    codes = await second_factor.confirm_app(visit, body.code)
    if codes is None:
        raise BadRequestError(
            "This is not the code that the app shows now.",
            field="code",
            remedy="Look whether the phone's clock is right",
        )
    return RecoveryCodes(codes=tuple(codes))


async def remove_own_app(visit: Visit) -> None:
    """Accept codes of the authenticator app no more."""
    await second_factor.remove_app(visit)


async def remove_own_passkey(visit: Visit, passkey_id: UUID) -> None:
    """Accept a passkey no more."""
    await second_factor.remove_passkey(visit, passkey_id)


async def make_recovery_codes(visit: Visit) -> RecoveryCodes:
    """Make ten new recovery codes; those from before are worth nothing any more."""
    return RecoveryCodes(codes=tuple(await second_factor.new_codes(visit)))


def _actor(visit: Visit) -> Actor:
    return Actor("user", str(visit.identity.user_id))

"""Settings of a tenant, and the secrets that it has given us to use. No secret ever comes out again."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from admin.ask import Ask
from admin.problems import BadRequestError, NotThereError
from policies.audit_tags import Tag
from policies.secret import Secret
from store import secrets_vault, tenants
from store.audit import log
from store.bounds import strictest
from store.people import memberships
from store.secrets_vault import SecretRefusedError


class TenantSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the tenant is set."""

    name: str
    max_calls: int
    """Calls that may be up at once, as the operator has set it; a further one hears busy."""
    second_factor_for_all: bool
    """Every member has to show a second factor, not only owners."""
    second_factor_forced: bool
    """A project for health care asks it of everyone, whatever is set."""
    last_backup_at: datetime | None
    """Of the whole server; None where none was made yet."""


class TenantSettingsWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be otherwise; what is left out stays as it is."""

    name: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")] | None = None
    second_factor_for_all: bool | None = None


class SecretShown(msgspec.Struct, frozen=True, kw_only=True):
    """What can be shown of a secret."""

    name: str
    last_four: str | None
    """None where it is shorter than twelve characters."""
    set_at: datetime


class SecretPage(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets, by name."""

    items: tuple[SecretShown, ...]


class NewSecret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret to be kept under this name, in place of the one before."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    """Small letters, digits and `. _ / -`, such as `plugin/calendar`."""
    value: Annotated[str, Meta(min_length=1, max_length=16_384)]


class SecretQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which secret."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]


async def get_settings(ask: Ask) -> TenantSettings:
    """Show how the tenant is set."""
    async with ask.store() as store:
        tenant = await tenants.find(store)
        forced = (await strictest(store)).hipaa
        backups = await log.entries(store, tag=Tag.BACKUP_MADE, limit=1)
    if tenant is None:
        raise NotThereError
    return TenantSettings(
        name=tenant.name,
        max_calls=tenant.max_calls,
        second_factor_for_all=tenant.second_factor_for_all,
        second_factor_forced=forced,
        last_backup_at=backups[0].at if backups else None,
    )


async def change_settings(ask: Ask, body: TenantSettingsWanted) -> TenantSettings:
    """Change how the tenant is set."""
    async with ask.store() as store:
        if body.name is not None:
            await tenants.rename(store, body.name.strip(), actor=ask.actor)
        if body.second_factor_for_all is not None:
            await memberships.ask_second_factor_of_all(store, wanted=body.second_factor_for_all, actor=ask.actor)
    return await get_settings(ask)


async def list_secrets(ask: Ask) -> SecretPage:
    """List secrets by name. Their values are never shown."""
    async with ask.store() as store:
        found = await secrets_vault.list_secrets(store)
    return SecretPage(items=tuple(_shown(one) for one in found))


async def set_secret(ask: Ask, body: NewSecret) -> SecretShown:
    """Keep a secret for a tool of your own, in place of the one of that name. What comes with the server uses none."""
    try:
        async with ask.store() as store:
            known = await secrets_vault.set_secret(store, body.name, Secret(body.value), actor=ask.actor)
    except SecretRefusedError as error:
        raise BadRequestError(f"{error}.", field="name") from None
    return _shown(known)


async def remove_secret(ask: Ask, query: SecretQuery) -> None:
    """Forget a secret. What uses it fails from then on."""
    async with ask.store() as store:
        if not await secrets_vault.remove_secret(store, query.name, actor=ask.actor):
            raise NotThereError


def _shown(known: secrets_vault.KnownSecret) -> SecretShown:
    return SecretShown(name=known.name, last_four=known.last_four, set_at=known.set_at)

"""Secrets that a tenant has us keep for tools that are written for this server, such as a plugin's token.

A tool takes what it needs with `use_secret`. Nobody gets to see one again: what can be shown is its name and its last
four characters. Nothing that comes with the server uses any, and whoever is asked for one is told so.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlmodel import col, delete, select

from policies.audit_tags import Actor, Tag
from policies.secret import Secret
from store.audit.log import record
from store.scope import TenantStore
from store.tables.keys import SecretTable

_TABLE: Final = "secrets"
_COLUMN: Final = "value"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._/-]{0,127}")
_LONGEST: Final = 16_384
"""Characters: room for a private key with its certificates."""


class NoSecretError(LookupError):
    """The tenant has set no secret of this name."""


class SecretRefusedError(ValueError):
    """The name or the value cannot be used; says why, without the value."""


@dataclass(frozen=True, slots=True)
class KnownSecret:
    """What can be shown of a secret."""

    name: str
    last_four: str | None
    """None where it is shorter than twelve characters."""
    set_at: datetime


async def set_secret(store: TenantStore, name: str, value: Secret, *, actor: Actor) -> KnownSecret:
    """Keep a secret under this name, in place of the one before.

    Raises:
        SecretRefusedError: It is no name, or there is nothing in the value, or too much.
    """
    if not _NAME.fullmatch(name):
        raise SecretRefusedError("A name consists of small letters, digits and . _ / -, such as plugin/calendar")
    plain = value.reveal()
    if not plain or len(plain) > _LONGEST:
        raise SecretRefusedError(f"A secret has between 1 and {_LONGEST:,} characters")
    known = KnownSecret(name, value.last_four, datetime.now(UTC))
    sealed = (await store.keys.tenant_columns(store)).seal(plain, _TABLE, _COLUMN, name)
    row = {"name": name, "value_sealed": sealed, "last_four": known.last_four, "set_at": known.set_at}
    await store.put(SecretTable, [row], replace=("value_sealed", "last_four", "set_at"))
    await record(store, actor, Tag.SECRET_SET, objects={"secret": name})
    return known


async def use_secret(store: TenantStore, name: str) -> Secret:
    """The secret, to be used at once and kept nowhere. Raises `NoSecretError`."""
    sealed = await store.first(select(SecretTable.value_sealed).where(SecretTable.name == name))
    if sealed is None:
        raise NoSecretError(name)
    return Secret((await store.keys.tenant_columns(store)).open(sealed, _TABLE, _COLUMN, name))


async def list_secrets(store: TenantStore) -> tuple[KnownSecret, ...]:
    """What can be shown of each, by name."""
    rows = await store.rows(
        select(SecretTable.name, SecretTable.last_four, SecretTable.set_at).order_by(col(SecretTable.name))
    )
    return tuple(KnownSecret(*row) for row in rows)


async def remove_secret(store: TenantStore, name: str, *, actor: Actor) -> bool:
    """Forget a secret; False when there was none."""
    if not await store.change(delete(SecretTable).where(col(SecretTable.name) == name)):
        return False
    await record(store, actor, Tag.SECRET_REMOVED, objects={"secret": name})
    return True

"""Keys that sign access tokens: Ed25519 (RFC 8032), made by the server, replaced every month.

They lie sealed in the operator's books, so every machine of a server signs and checks with the same ones.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import col, delete, select

from store.scope import TenantStore
from store.tables.people import TokenKeyTable

SIGNS_FOR: Final = timedelta(days=30)
"""After so long a new key signs."""
CHECKED_FOR: Final = SIGNS_FOR + timedelta(days=1)
"""After so long nothing that a key has signed is good any more."""
_TABLE: Final = "token_keys"
_ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended(CAST(:tenant_id AS text) || 'token keys', 0))"


async def token_seeds(house: TenantStore, at: datetime) -> Mapping[str, bytes]:
    """Seeds by the ids of the keys (`kid`), the one that signs first; 32 bytes each. Made where there is none."""
    found = await _seeds(house, at)
    if not found or found[0].made_at <= at - SIGNS_FOR:
        await house.fixed(_ONE_AT_A_TIME)  # of several machines one makes the key
        found = await _seeds(house, at)
    if not found or found[0].made_at <= at - SIGNS_FOR:
        await renew_token_key(house, at)
        found = await _seeds(house, at)
    columns = await house.keys.tenant_columns(house)
    return {row.id: bytes.fromhex(columns.open(row.seed_sealed, _TABLE, "seed", row.id)) for row in found}


async def renew_token_key(house: TenantStore, at: datetime) -> None:
    """Sign with a new key from now on; every process knows within a minute."""
    number = secrets.token_hex(8)
    columns = await house.keys.tenant_columns(house)
    sealed = columns.seal(secrets.token_hex(32), _TABLE, "seed", number)
    await house.put(TokenKeyTable, [{"id": number, "seed_sealed": sealed, "made_at": at}])


async def sweep(house: TenantStore, now: datetime) -> None:
    """Forget keys that nothing is checked with any more."""
    await house.change(delete(TokenKeyTable).where(col(TokenKeyTable.made_at) < now - CHECKED_FOR))


async def _seeds(house: TenantStore, at: datetime) -> list[TokenKeyTable]:
    good = select(TokenKeyTable).where(col(TokenKeyTable.made_at) > at - CHECKED_FOR)
    return list(await house.all(good.order_by(col(TokenKeyTable.made_at).desc())))

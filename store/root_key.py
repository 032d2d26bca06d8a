"""Going over from one root key to the next, while the server runs: each tenant's keys are wrapped anew.

Started with the new root and its predecessor, a server opens what either has wrapped. The process of the jobs then
wraps all of it by the new one, a tenant at a time; killed in between, the next start goes on. Afterwards the old root
opens nothing any more and can be taken away.

Since when a root key is in use stands in the audit log of the operator's own books.
"""

from datetime import datetime

import structlog

from policies.audit_tags import Actor, Tag
from store.audit.log import entries, record
from store.engine import Database
from store.house import open_house
from store.key_rotation import keys_by_root, oldest_under_root, tenants_under_other_root
from store.keys import RootKeyError

log = structlog.get_logger()

_MOVER = Actor("system", "root_key")


async def check_root(database: Database) -> None:
    """Refuse to go on with a root key that does not open every tenant's keys.

    Raises:
        RootKeyError: Some keys are wrapped by a root that we were not given.
        StoreAwayError: The database is away.
    """
    async with database.platform_jobs() as platform:
        roots = await keys_by_root(platform)
    if not roots.keys() <= {database.keys.root_id, database.keys.old_root_id}:
        raise RootKeyError


async def root_since(database: Database, now: datetime) -> datetime:
    """Since when the root key is in use here; the first who asks writes it down.

    Of a root that nobody has written down yet, and that follows no other, the oldest key under it tells.

    Raises:
        StoreAwayError: The database is away.
    """
    async with database.platform_jobs() as platform:
        oldest = await oldest_under_root(platform, database.keys.root_id)
    async with open_house(database) as house:
        about = database.keys.root_id.hex()
        known = await entries(house, tag=Tag.KEYS_ROTATED, about=about, limit=1)
        if not known:
            since = now if oldest is None or database.keys.old_root_id is not None else oldest
            await record(
                house,
                _MOVER,
                Tag.KEYS_ROTATED,
                objects={"root_key": about},
                facts={"keys": ["root"], "since": since.isoformat()},
            )
            return since
    return datetime.fromisoformat(str(known[0].facts["since"]))


async def move_to_new_root(database: Database) -> int:
    """Wrap by the root key what its predecessor has wrapped; how many tenants had some. Raises `StoreAwayError`."""
    async with database.platform_jobs() as platform:
        tenant_ids = await tenants_under_other_root(platform, database.keys.root_id)
    for tenant_id in tenant_ids:
        async with database.tenant(tenant_id) as store:
            if await store.keys.rewrap_tenant_keys(store):
                await record(store, _MOVER, Tag.KEYS_ROTATED, facts={"keys": ["root"]})
    if tenant_ids:
        log.info("root_key_moved", tenants=len(tenant_ids))
    elif database.keys.old_root_id is not None:
        log.info("old_root_key_unused", remedy="Take AITELIER_MASTER_KEY_OLD away")
    return len(tenant_ids)

"""The first owner: whoever opens the link that a server prints while nobody is a member of anything on it."""

from datetime import datetime
from typing import Final
from uuid import UUID

from policies.audit_tags import Actor
from store.audit.log import lock
from store.engine import Database
from store.house import HOUSE, open_house
from store.people.challenges import make_owner_link
from store.people.memberships import all_memberships, grant_role

_WAITING: Final = """
SELECT tenant_id FROM tenants
WHERE tenant_id <> :house AND NOT EXISTS (SELECT 1 FROM memberships)
ORDER BY tenant_id LIMIT 1
"""
_SERVE: Final = Actor("system", "serve")


async def first_owner_link(database: Database, at: datetime) -> str | None:
    """The secret of a link to the oldest customer; None once somebody is a member of any."""
    async with database.platform() as platform:
        rows = await platform.rows(_WAITING, house=HOUSE)
    if not rows:
        return None
    async with open_house(database) as house:
        return await make_owner_link(house, rows[0].tenant_id, actor=_SERVE, at=at)


async def make_first_owner(database: Database, tenant_id: UUID, user_id: UUID) -> bool:
    """Give the customer its first owner; False when somebody was quicker."""
    async with database.tenant(tenant_id) as store:
        await lock(store)
        if await all_memberships(store):
            return False
        await grant_role(store, user_id, "owner", actor=_SERVE)
    return True

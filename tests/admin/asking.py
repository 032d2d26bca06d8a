"""What tests of members and invitations ask the Bakery, and what came of it."""

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlmodel import select
from uuid_utils.compat import uuid7

from policies.access import Role
from policies.audit_tags import OPERATOR
from store.audit.log import entries
from store.outbox import Mail, find_mail
from store.people.memberships import grant_role
from store.tables.registers import MailTable
from tests.admin.people import SignedInPerson
from tests.admin.world import World


async def api(
    world: World, who: str | SignedInPerson, method: str, path: str, json: object = None, tenant_id: UUID | None = None
) -> tuple[int, Any]:
    """Ask the API about the Bakery, or about another tenant; the status and what was answered."""
    headers = who.headers if isinstance(who, SignedInPerson) else world.program(who)
    params = {"tenant_id": str(tenant_id or world.bakery.tenant_id)}
    answer = await world.client.request(method, f"/api/v1/{path}", params=params, headers=headers, json=json)
    return answer.status, await answer.json(content_type=None) if await answer.read() else None


async def newcomer(
    world: World, role: Role | None = None, *, project_id: UUID | None = None, second_factor: bool = True
) -> SignedInPerson:
    """Somebody new, with a role at the Bakery or without."""
    person = await world.sign_in(f"{uuid7()}@new.example", second_factor=second_factor)
    if role is not None:
        async with world.services.database.tenant(world.bakery.tenant_id) as store:
            await grant_role(store, person.user_id, role, project_id=project_id, actor=OPERATOR)
    return person


async def mails(world: World, to: str) -> Sequence[Mail]:
    """What the Bakery has written to this address, newest last."""
    async with world.services.database.tenant(world.bakery.tenant_id) as store:
        ids = await store.all(select(MailTable.id).order_by(MailTable.id))
        found = [await find_mail(store, one) for one in ids]
    return [one for one in found if one is not None and one.to == to]


async def link_of(world: World, to: str) -> str:
    """The path in the last invitation to this address."""
    found = re.search(r"http://127\.0\.0\.1:8080(/invitations/\S+)", (await mails(world, to))[-1].body)
    assert found is not None
    return found[1]


async def acts(world: World, tenant_id: UUID | None = None) -> list[tuple[str, str, str]]:
    """Tag, kind and id of who has acted, newest first."""
    async with world.services.database.tenant(tenant_id or world.bakery.tenant_id) as store:
        return [(one.tag, one.actor.kind, one.actor.id) for one in await entries(store, tag="tenant:", limit=200)]

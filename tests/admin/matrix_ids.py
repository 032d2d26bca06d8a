"""A real thing of each kind, for whatever stands in the path of a route."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

from admin.assets import asset_url
from policies.access import Scope
from policies.api_keys import KeyWish
from policies.audit_tags import OPERATOR
from policies.dsar import Wish
from policies.erasure import Reason
from policies.numbers import PhoneNumber
from store import numbers, trunks
from store.api_keys import make_key
from store.dsar.cases import open_case
from store.erasure import sessions as erasing
from store.erasure.holds import place_hold
from store.people import accounts
from store.people.invitations import invite
from store.people.memberships import grant_role
from tests.admin.world import World, add_call
from tests.database import Shop

_CALLER = "+4930901820"

NAMES = frozenset(
    {
        "call_id",
        "case_id",
        "device_id",
        "erasure_id",
        "guide",
        "hold_id",
        "invitation_id",
        "key_id",
        "membership_id",
        "name",
        "number_id",
        "passkey_id",
        "project_id",
        "request_id",
        "scenario_id",
        "session_id",
        "token",
        "trunk_id",
        "user_id",
        "version",
        "which",
    }
)
"""Every name in a path that there is something for; the tenant's is the tenant's."""


@dataclass(frozen=True)
class Ids:
    """Of one receptionist and its tenant, by the names in paths."""

    by_name: Mapping[str, object]


async def make_ids(world: World, shop: Shop) -> Ids:
    """Make one of each, of this receptionist where it belongs to one."""
    erased = await _erase_a_call(world, shop)
    session_id = await add_call(world, shop, _CALLER)
    member = await world.sign_in(f"member{uuid7().hex[-8:]}@bakery.example")
    now = datetime.now(UTC)
    async with world.services.database.tenant(shop.tenant_id) as store:
        number = next(one for one in await numbers.list_numbers(store) if one.project_id == shop.project_id)
        case_id = await open_case(
            store, PhoneNumber(_CALLER, "DE", toll_free=False), Wish.ACCESS, actor=OPERATOR, project_id=shop.project_id
        )
        hold = await place_hold(
            store, project_id=shop.project_id, reason="a quarrel", expires_at=now + timedelta(days=9), actor=OPERATOR
        )
        trunk = await trunks.create(store, name=f"Carrier {uuid7()}", networks=["192.0.2.0/24"], actor=OPERATOR)
        key = await make_key(store, KeyWish(name="Of a path", scopes=frozenset({Scope.SESSIONS_READ})), actor=OPERATOR)
        await grant_role(store, member.user_id, "viewer", actor=OPERATOR)  # so that they stay when the other one ends
        membership = await grant_role(store, member.user_id, "viewer", project_id=shop.project_id, actor=OPERATOR)
        invited = await invite(
            store,
            accounts.read_email(f"guest{uuid7().hex[-8:]}@bakery.example"),
            "viewer",
            project_id=shop.project_id,
            base_url="http://127.0.0.1",
            actor=OPERATOR,
            now=now,
        )
    found: dict[str, object] = {
        "call_id": uuid7(),
        "case_id": case_id,
        "device_id": uuid7(),
        "erasure_id": erased,
        "guide": "twilio",
        "hold_id": hold.id,
        "invitation_id": invited.invitation.id,
        "key_id": key.key.id,
        "membership_id": membership.id,
        "name": asset_url("app.css").rpartition("/")[2],
        "number_id": number.id,
        "passkey_id": uuid7(),
        "project_id": shop.project_id,
        "request_id": case_id,
        "scenario_id": shop.scenario_id,
        "session_id": session_id,
        "token": "nonsense",
        "trunk_id": trunk.id,
        "user_id": member.user_id,
        "version": 1,
        "which": "1",
    }
    assert found.keys() == NAMES
    return Ids(found)


async def _erase_a_call(world: World, shop: Shop) -> object:
    """A call that was there, and the erasure by which it went."""
    session_id = await add_call(world, shop, _CALLER)
    blobs = world.services.blobs
    async with world.services.database.tenant(shop.tenant_id) as store:
        receipt = await erasing.erase_sessions(store, blobs, [session_id], actor=OPERATOR, reason=Reason.MEMBER_ASKED)
    await erasing.carry_out(world.services.database, blobs, shop.tenant_id, receipt.erasure_id)
    return receipt.erasure_id

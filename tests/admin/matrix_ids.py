"""A real thing of each kind, for whatever stands in the path of a route."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from uuid_utils.compat import uuid7

from admin.assets import asset_url
from policies.access import Scope
from policies.api_keys import KeyWish
from policies.audit_tags import OPERATOR
from policies.dsar import Wish
from policies.numbers import PhoneNumber
from store import numbers, trunks
from store.api_keys import make_key
from store.dsar.cases import open_case
from store.erasure.holds import place_hold
from tests.admin.world import World, add_call
from tests.database import Shop

_CALLER = "+4930901820"


@dataclass(frozen=True)
class Ids:
    """Of one receptionist and its tenant, by the names in paths."""

    by_name: Mapping[str, object]

    NAMES: ClassVar[frozenset[str]] = frozenset(
        {
            "call_id",
            "case_id",
            "device_id",
            "hold_id",
            "key_id",
            "name",
            "number_id",
            "passkey_id",
            "project_id",
            "scenario_id",
            "session_id",
            "token",
            "trunk_id",
            "user_id",
            "which",
        }
    )


async def make_ids(world: World, shop: Shop) -> Ids:
    """Make one of each."""
    session_id = await add_call(world, shop, _CALLER)
    now = datetime.now(UTC)
    async with world.services.database.tenant(shop.tenant_id) as store:
        number = next(one for one in await numbers.list_numbers(store) if one.project_id == shop.project_id)
        case_id = await open_case(
            store, PhoneNumber(_CALLER, "DE", toll_free=False), Wish.ACCESS, actor=OPERATOR, project_id=shop.project_id
        )
        hold = await place_hold(
            store, project_id=shop.project_id, reason="a quarrel", expires_at=now + timedelta(days=9), actor=OPERATOR
        )
        trunk = await trunks.create(store, name=f"Carrier {now}", networks=["192.0.2.0/24"], actor=OPERATOR)
        key = await make_key(store, KeyWish(name="Of a path", scopes=frozenset({Scope.SESSIONS_READ})), actor=OPERATOR)
    return Ids(
        {
            "session_id": session_id,
            "scenario_id": shop.scenario_id,
            "project_id": shop.project_id,
            "number_id": number.id,
            "case_id": case_id,
            "hold_id": hold.id,
            "trunk_id": trunk.id,
            "key_id": key.key.id,
            "user_id": world.people["vera"].user_id,
            "name": asset_url("app.css").rpartition("/")[2],
            "token": "nonsense",
            "which": "1",
            "call_id": uuid7(),
            "device_id": uuid7(),
            "passkey_id": uuid7(),
        }
    )

"""Receipts are checked offline, and say nothing that was not signed."""

import copy
from datetime import UTC, datetime
from typing import Any

from policies.audit_tags import OPERATOR, Tag
from policies.erasure import Reason
from store.audit.checkpoints import public_keys
from store.audit.log import record
from store.blobs import Blobs
from store.engine import Database
from store.erasure.receipts import hand_out, problems_of
from store.erasure.sessions import carry_out, erase_sessions
from tests.database import Shop
from tests.store.erasure.world import CALLER, make_call

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)


async def _receipt(database: Database, blobs: Blobs, shop: Shop) -> dict[str, Any]:
    call = await make_call(database, blobs, shop, NOW)
    async with database.tenant(shop.tenant_id) as store:
        asked = await erase_sessions(store, blobs, [call.id], actor=OPERATOR, reason=Reason.CALLER_ASKED)
    done = await carry_out(database, blobs, shop.tenant_id, asked.erasure_id)
    assert done.signed is not None
    async with database.tenant(shop.tenant_id) as store:
        for _ in range(5):  # the log goes on
            await record(store, OPERATOR, Tag.TENANT_CHANGED)
    return await hand_out(database, shop.tenant_id, done.signed)


async def test_a_receipt_proves_itself(database: Database, blobs: Blobs, bakery: Shop, florist: Shop) -> None:
    """With the log's public key, a receipt is proven offline, at any time; with another log's key it is not."""
    receipt = await _receipt(database, blobs, bakery)
    assert problems_of(receipt, await public_keys(database, bakery.tenant_id)) == ()
    assert problems_of(receipt, await public_keys(database, florist.tenant_id))
    assert problems_of(receipt, ())
    assert (receipt["sessions"], receipt["reason"]) == (1, "caller_asked")
    assert CALLER not in str(receipt)


_CHANGES: tuple[tuple[tuple[str, ...], object], ...] = (
    (("sessions",), 2),
    (("counts", "turns"), 7),
    (("finished_at",), "2026-01-01T00:00:00+00:00"),
    (("more",), "said"),
    (("tenant",), "00000000-0000-0000-0000-000000000001"),
    (("proof", "leaf"), '{"tag":"tenant:receipt:signed"}'),
    (("proof", "index"), 0),
    (("proof", "path"), []),
    (("proof", "path"), ["zz"]),
    (("proof", "checkpoint"), "aitelier/x\n1\nAAAA\n"),
    (("proof",), None),
)


async def test_what_is_changed_is_seen(database: Database, blobs: Blobs, bakery: Shop) -> None:
    """Whatever of it somebody changes, it is proven no more."""
    receipt = await _receipt(database, blobs, bakery)
    keys = await public_keys(database, bakery.tenant_id)
    assert problems_of(receipt, keys) == ()
    for path, value in _CHANGES:
        changed = copy.deepcopy(receipt)
        place: Any = changed
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        assert len(problems_of(changed, keys)) == 1, path

"""An audit log, written and exported."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from policies.audit_tags import Actor, Tag
from store.audit import checkpoints, export
from store.audit.log import record
from store.audit.notes import VerifierKey
from store.audit.verify import Report, verify
from store.engine import Database
from store.house import HOUSE
from tests.database import Shop

ANNA = Actor("user", "0192-anna")


@dataclass
class Exported:
    """An export and the keys to check it with."""

    lines: list[str]
    keys: Sequence[VerifierKey]
    server_keys: Sequence[VerifierKey]

    def verified(self, lines: list[str] | None = None, older: Sequence[str] = ()) -> Report:
        return verify(self.lines if lines is None else lines, self.keys, older=older, server_keys=self.server_keys)


async def exported(database: Database, whose: Shop | UUID) -> Exported:
    """Of a shop, or of the server's own log."""
    tenant_id = whose.tenant_id if isinstance(whose, Shop) else whose
    return Exported(
        [line async for line in export.export(database, tenant_id, actor=ANNA)],
        await checkpoints.public_keys(database, tenant_id),
        await checkpoints.public_keys(database, HOUSE),
    )


async def some_entries(database: Database, shop: Shop, count: int = 12) -> None:
    for number in range(count):
        async with database.tenant(shop.tenant_id) as store:
            await record(store, ANNA, Tag.RECORDING_PLAYED, objects={"session": f"s{number}"}, facts={"n": number})

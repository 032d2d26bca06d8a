"""What of people is forgotten by itself."""

from datetime import UTC, datetime, timedelta

from policies.audit_tags import OPERATOR
from scripts.people_jobs import forget_sign_ins
from store.blobs import FolderBlobs
from store.engine import Database
from store.house import open_house
from store.jobs import Round
from store.people import accounts, devices
from store.people.memberships import grant_role
from store.settings import StoreSettings
from tests.database import Shop, bakery, database, database_home, store_settings

__all__ = ["bakery", "database", "database_home", "store_settings"]


async def test_who_came_once_and_belongs_to_nobody_is_forgotten(
    database: Database, bakery: Shop, store_settings: StoreSettings
) -> None:
    """Ninety days after the last sign-in a stranger's account goes; a member's stays, and one that is in use."""
    now = datetime.now(UTC)
    async with open_house(database) as house:
        member, stranger, guest = [await accounts.find_or_make(house, f"{one}@b.example") for one in ("m", "s", "g")]
        for person, at in ((member, now), (stranger, now), (guest, now + timedelta(days=80))):
            await devices.open_device(house, person.id, label="Firefox", browser="one", at=at)
    async with database.tenant(bakery.tenant_id) as store:
        await grant_role(store, member.id, "viewer", actor=OPERATOR)

    async def left(after: timedelta) -> set[str]:
        await forget_sign_ins(Round(database=database, blobs=FolderBlobs(store_settings.home), at=now + after))
        async with open_house(database) as house:
            return set((await accounts.emails_of(house, [member.id, stranger.id, guest.id])).values())

    assert await left(timedelta(days=89)) == {"m@b.example", "s@b.example", "g@b.example"}
    assert await left(timedelta(days=91)) == {"m@b.example", "g@b.example"}

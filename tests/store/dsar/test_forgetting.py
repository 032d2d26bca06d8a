"""With the last that a tenant has of a caller goes what its audit log tells of the person, whatever the trunk wrote."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from policies.audit_tags import OPERATOR, Tag
from policies.dsar import Outcome, Wish
from policies.erasure import Reason
from policies.retention import Wishes
from store import sessions
from store.audit import log as audit
from store.blobs import FolderBlobs
from store.call_lists import Wanted, list_calls
from store.dsar import cases
from store.dsar.export import export_caller
from store.dsar.search import read_number, search
from store.engine import Database
from store.erasure.expiry import expire, set_retention
from store.erasure.sessions import carry_out, erase_sessions
from store.reencryption import reencrypt
from tests.database import Shop
from tests.store.dsar.callers import STARTED, Said, make_call

NUMBER = read_number("+49 30 23125999")
FORMS = ("+493023125999", "03023125999", "0049 30 23125999", "493023125999")


class Desk:
    """Somebody of the bakery who looks for one caller."""

    def __init__(self, database: Database, shop: Shop, folder: Path) -> None:
        self.database, self.shop, self.folder = database, shop, folder
        self.blobs = FolderBlobs(folder / "blobs")

    async def called(self, written: str) -> UUID:
        return await make_call(self.database, self.blobs, self.shop, Said(caller=written))

    async def search(self) -> int:
        async with self.database.tenant(self.shop.tenant_id) as store:
            return len((await search(store, NUMBER, actor=OPERATOR)).sessions)

    async def erase(self, call: UUID) -> None:
        async with self.database.tenant(self.shop.tenant_id) as store:
            asked = await erase_sessions(store, self.blobs, [call], actor=OPERATOR, reason=Reason.MEMBER_ASKED)
        await carry_out(self.database, self.blobs, self.shop.tenant_id, asked.erasure_id)

    async def expire(self, now: datetime) -> None:
        await expire(self.database, self.blobs, self.shop.tenant_id, now, seller_country="DE")

    async def said(self, tag: Tag) -> audit.Entry:
        """The newest entry of this kind."""
        async with self.database.tenant(self.shop.tenant_id) as store:
            return (await audit.entries(store, tag=tag, limit=1))[0]

    async def knows(self, tag: Tag) -> bool:
        """Whether the log can still tell who the newest entry of this kind was about."""
        entry = await self.said(tag)
        assert entry.personal in (None, {"number": NUMBER.e164})
        assert entry.erased is (entry.personal is None), "it was about somebody"
        return entry.personal is not None


@pytest.fixture
def desk(database: Database, bakery: Shop, tmp_path: Path) -> Desk:
    return Desk(database, bakery, tmp_path)


@pytest.mark.parametrize("written", FORMS)
async def test_who_was_erased_is_not_in_the_log_either(desk: Desk, written: str) -> None:
    """Searched for, then erased by a member, without a request."""
    call = await desk.called(written)
    assert await desk.search() == 1
    assert await desk.knows(Tag.DSAR_QUERIED)
    await desk.erase(call)
    assert not await desk.knows(Tag.DSAR_QUERIED)


@pytest.mark.parametrize("written", FORMS)
async def test_whose_last_call_expired_is_not_in_the_log_either(desk: Desk, written: str) -> None:
    """After a year the call goes by itself."""
    await desk.called(written)
    await desk.search()
    await desk.expire(STARTED + timedelta(days=364))
    assert await desk.knows(Tag.DSAR_QUERIED)
    await desk.expire(datetime.now(UTC) + timedelta(days=400))
    assert not await desk.knows(Tag.DSAR_QUERIED)


async def test_whose_words_went_before_the_sound_is_not_in_the_log_either(desk: Desk) -> None:
    """The number goes with the words, and nobody could find the recording as that caller's any more."""
    await desk.called("03023125999")
    await desk.search()
    wishes = Wishes(jurisdiction="", recording_days=90, transcript_days=0, legal_basis=None)
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        await set_retention(store, desk.shop.project_id, wishes, actor=OPERATOR)
    await desk.expire(STARTED + timedelta(days=30))
    assert not await desk.knows(Tag.DSAR_QUERIED)


@pytest.mark.parametrize("called", [False, True])
async def test_a_request_that_is_closed_by_hand(desk: Desk, *, called: bool) -> None:
    """While it is open the log knows who asks; afterwards only if there are calls of theirs."""
    if called:
        await desk.called("03023125999")
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        case = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=OPERATOR)
    assert await desk.knows(Tag.DSAR_CASE_OPENED)
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        await cases.close_case(store, case, Outcome.NOTHING_FOUND, actor=OPERATOR)
    assert await desk.knows(Tag.DSAR_CASE_OPENED) is called


async def test_an_open_request_keeps_the_person_known(desk: Desk) -> None:
    """Erasing the last call leaves who asked in the log, until the request is closed."""
    call = await desk.called("0049 30 23125999")
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        case = await cases.open_case(store, NUMBER, Wish.ACCESS, actor=OPERATOR)
    await desk.erase(call)
    assert await desk.knows(Tag.DSAR_CASE_OPENED)
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        await cases.close_case(store, case, Outcome.FULFILLED, actor=OPERATOR)
    assert not await desk.knows(Tag.DSAR_CASE_OPENED)


async def test_of_two_trunks_that_write_it_in_two_ways(desk: Desk) -> None:
    """One person: erasing the call of one trunk, or renewing keys, forgets nothing while the other's is there."""
    first, second = await desk.called("03023125999"), await desk.called("+493023125999")
    assert await desk.search() == 2
    await desk.erase(first)
    await reencrypt(desk.database, desk.shop.tenant_id, actor=OPERATOR)
    assert await desk.knows(Tag.DSAR_QUERIED)
    await desk.erase(second)
    assert not await desk.knows(Tag.DSAR_QUERIED)


async def test_a_plan_that_came_to_nothing(desk: Desk) -> None:
    """Its caller was searched for while it was waiting; with the plan the person goes."""
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        planned = await sessions.open_session(
            store,
            project_id=desk.shop.project_id,
            scenario_id=desk.shop.scenario_id,
            scenario_version=1,
            called=desk.shop.called,
            caller="03023125999",
            trunk="loopback",
            language="de",
        )
    assert await desk.search() == 1
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        assert await sessions.discard_session(store, planned.id)
    assert not await desk.knows(Tag.DSAR_QUERIED)


async def test_a_list_that_was_narrowed_to_a_number(desk: Desk) -> None:
    """Is a search like the desk's: of a known caller the log knows the number, of a stranger nothing."""
    known = await desk.called("03023125999")
    for typed, found in ((NUMBER, [known]), (read_number("+49 30 23125998"), [])):
        async with desk.database.tenant(desk.shop.tenant_id) as store:
            page = await list_calls(store, Wanted(number=typed), actor=OPERATOR)
        assert [one.id for one in page.calls] == found
        act = await desk.said(Tag.SESSIONS_SEARCHED)
        assert (act.actor, act.facts) == (OPERATOR, {"found": len(found), "more": False})
        assert act.personal == ({"number": NUMBER.e164} if found else None)
        assert not act.erased
    await desk.erase(known)
    async with desk.database.tenant(desk.shop.tenant_id) as store:
        assert [entry.erased for entry in await audit.entries(store, tag=Tag.SESSIONS_SEARCHED)] == [False, True]


async def test_a_copy_for_nobody(desk: Desk) -> None:
    """Of somebody whom the tenant does not know, a copy tells the log no more than that one was made."""
    await export_caller(
        desk.database, desk.blobs, desk.shop.tenant_id, NUMBER, desk.folder / "copy.zip", actor=OPERATOR
    )
    act = await desk.said(Tag.DSAR_EXPORTED)
    assert (act.personal, act.erased) == (None, False)

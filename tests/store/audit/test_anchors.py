"""Checkpoints out of the server's reach: in a locked object, stamped by another authority, and in the owner's mail."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from sqlmodel import select

from policies.access import Role
from policies.retention import AUDIT_YEARS, years_after
from store.audit import anchors, checkpoints
from store.audit.anchors import NotAnchoredError
from store.audit.notes import Note
from store.audit.stamps import StampError, TimeStamper, stamped_at
from store.audit.verify import verify
from store.blobs import BlobKeptError, Blobs, FolderBlobs
from store.blobs_s3 import S3Blobs
from store.dsar.contacts import set_contact
from store.engine import Database
from store.house import HOUSE, open_house
from store.jobs import Work
from store.outbox import find_mail
from store.people import accounts
from store.people.memberships import grant_role
from store.tables.registers import MailTable
from tests.database import Shop
from tests.peers import s3_server, time_stamper
from tests.peers.s3_server import S3Server
from tests.peers.time_stamper import Authority
from tests.store.audit.exported import ANNA, exported, some_entries
from tests.store.dsar.dump import mails_of


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with s3_server.running() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Blobs:
    return FolderBlobs(tmp_path / "blobs")


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def stamper(authority: Authority) -> TimeStamper:
    return TimeStamper((authority.root,), authority.ask)


async def _anchor(database: Database, blobs: Blobs, stamper: TimeStamper | None = None) -> None:
    work = Work(database=database, blobs=blobs, tenant_id=HOUSE, job_id=1, task=anchors.TASK, arguments={})
    await anchors.anchor(work, stamper=stamper)


async def _kinds(database: Database, tenant_id: UUID) -> dict[str, int]:
    return {one.kind: one.size for one in await anchors.newest_anchored(database, tenant_id)}


async def test_a_time_stamp_proves_since_when(
    database: Database, bakery: Shop, folder: Blobs, authority: Authority, stamper: TimeStamper
) -> None:
    """The export proves, with the authority's root and no server, that the first entries were there at that moment."""
    await _anchor(database, folder, stamper)  # of a log without a checkpoint there is nothing to stamp
    await some_entries(database, bakery, 3)
    assert await checkpoints.checkpoint_all(database) == 1
    before = datetime.now(UTC) - timedelta(seconds=1)
    for _ in range(2):
        await _anchor(database, folder, stamper)
    assert authority.asked == 1
    async with database.tenant(bakery.tenant_id) as store:
        then = await checkpoints.latest(store)
    await some_entries(database, bakery, 2)
    await checkpoints.checkpoint_all(database)
    found = await exported(database, bakery)
    report = verify(found.lines, found.keys, server_keys=found.server_keys, stamp_roots=(authority.root,))
    assert report.problems == []
    assert then is not None
    assert (report.stamped, report.entries) == (then.size, then.size + 3)
    assert report.stamped_at is not None
    assert before <= datetime.fromisoformat(report.stamped_at) <= datetime.now(UTC)
    another = time_stamper.Authority()
    doubted = verify(found.lines, found.keys, server_keys=found.server_keys, stamp_roots=(another.root,))
    assert "time stamp" in doubted.problems[0]
    assert found.verified().proven
    assert found.verified().stamped == 0


def _other_entry(lines: list[str]) -> list[str]:
    return [re.sub(r'"index":\d+', '"index":7', line) if line.startswith('{"stamped"') else line for line in lines]


def _no_stamp(lines: list[str]) -> list[str]:
    return [re.sub(r'"time_stamp":"[^"]*', '"time_stamp":"AAAA', line) for line in lines]


@pytest.mark.parametrize("change", [_other_entry, _no_stamp])
async def test_a_forged_stamp_is_found(
    database: Database,
    bakery: Shop,
    folder: Blobs,
    authority: Authority,
    stamper: TimeStamper,
    change: Callable[[list[str]], list[str]],
) -> None:
    """Of another entry, or none at all."""
    await some_entries(database, bakery, 1)
    await checkpoints.checkpoint_all(database)
    await _anchor(database, folder, stamper)
    found = await exported(database, bakery)
    changed = change(found.lines)
    assert changed != found.lines
    report = verify(changed, found.keys, server_keys=found.server_keys, stamp_roots=(authority.root,))
    assert not report.proven
    assert report.stamped == 0


async def test_a_stamp_that_proves_nothing_is_not_kept(
    database: Database, bakery: Shop, folder: Blobs, authority: Authority, stamper: TimeStamper
) -> None:
    """Refused, by a clock that is wrong, by somebody whom nobody vouches for, of an earlier question: asked again."""
    await some_entries(database, bakery, 1)
    await checkpoints.checkpoint_all(database)
    stranger = time_stamper.Authority()
    old = await TimeStamper((authority.root,), authority.ask).stamp("something else")

    async def replayed(_: bytes) -> bytes:
        return old

    authority.refuses = True
    with pytest.raises(NotAnchoredError):
        await _anchor(database, folder, stamper)
    authority.refuses, authority.late = False, timedelta(hours=1)
    with pytest.raises(NotAnchoredError):
        await _anchor(database, folder, stamper)
    authority.late = timedelta()
    for wrong in (TimeStamper((stranger.root,), authority.ask), replace(stamper, ask=replayed)):
        with pytest.raises(NotAnchoredError):
            await _anchor(database, folder, wrong)
    assert await _kinds(database, bakery.tenant_id) == {}
    await _anchor(database, folder, stamper)
    assert set(await _kinds(database, bakery.tenant_id)) == {"time_stamp"}


@pytest.mark.parametrize("size", [0, 1, 100, 1500])
async def test_rubbish_is_no_stamp(stamper: TimeStamper, authority: Authority, size: int) -> None:
    """Whatever comes instead of an answer is one error."""
    with pytest.raises(StampError):
        stamped_at(os.urandom(size), "note", (authority.root,))
    whole = await stamper.stamp("note")
    with pytest.raises(StampError):
        stamped_at(whole[: max(size, len(whole) - 1) // 2], "note", (authority.root,))
    with pytest.raises(StampError):
        stamped_at(whole, "another note", (authority.root,))


async def test_a_locked_object_outlives_a_rewritten_log(database: Database, bakery: Shop, s3: S3Server) -> None:
    """Nobody can remove it for seven years, and the server's own log has to continue it."""
    settings = s3.bucket(locked=True)
    blobs = S3Blobs(settings)
    await some_entries(database, bakery, 2)
    await checkpoints.checkpoint_all(database)
    for _ in range(2):
        await _anchor(database, blobs)
    ((name, _),) = s3.everything_in(settings.bucket)
    note = blobs.read_at(name, 0, 1 << 16).decode()
    with pytest.raises(BlobKeptError, match=f"until {years_after(datetime.now(UTC), AUDIT_YEARS).year}"):
        blobs.delete(name)
    keys = await checkpoints.public_keys(database, HOUSE)
    size = Note.parsed(note).proven_by(keys).size
    assert await _kinds(database, bakery.tenant_id) == {"object_lock": size}
    await some_entries(database, bakery, 2)
    own = await exported(database, HOUSE)
    assert verify(own.lines, keys, older=[note]).proven
    assert not verify([own.lines[0], *own.lines[2:]], keys, older=[note]).proven


async def test_what_is_away_does_not_keep_the_others(
    database: Database, bakery: Shop, authority: Authority, stamper: TimeStamper, s3: S3Server
) -> None:
    """The bucket gets its copy while the authority is away, and where no bucket locks, the stamp is there alone."""
    await some_entries(database, bakery, 1)
    await checkpoints.checkpoint_all(database)
    authority.refuses = True
    with pytest.raises(NotAnchoredError, match="time_stamp"):
        await _anchor(database, S3Blobs(s3.bucket(locked=True)), stamper)
    assert set(await _kinds(database, bakery.tenant_id)) == {"object_lock"}
    authority.refuses = False
    await _anchor(database, S3Blobs(s3.bucket(versioned=True)), stamper)
    assert set(await _kinds(database, bakery.tenant_id)) == {"object_lock", "time_stamp"}


async def test_without_an_address_for_requests_the_owners_are_written_to(
    database: Database, bakery: Shop, florist: Shop
) -> None:
    """Each of them, and nobody else of the business; where there is no owner, nobody."""
    emails = {"anna@bakery.example": "owner", "ben@bakery.example": "owner", "carla@bakery.example": "viewer"}
    for email, role in emails.items():
        async with open_house(database) as house:
            account = await accounts.find_or_make(house, email)
        async with database.tenant(bakery.tenant_id) as store:
            await grant_role(store, account.id, msgspec.convert(role, Role), actor=ANNA)
    await checkpoints.checkpoint_all(database)
    for shop in (bakery, florist, bakery):
        async with database.tenant(shop.tenant_id) as store:
            await anchors.mail_newest(store, database=database)
    sent = [(to, body) for to, _, body in await mails_of(database, bakery.tenant_id)]
    assert {to for to, _ in sent} == {"anna@bakery.example", "ben@bakery.example"}
    assert len(sent) == 2
    assert all("\naitelier/" in body for _, body in sent)
    assert await mails_of(database, florist.tenant_id) == []
    assert set(await _kinds(database, bakery.tenant_id)) == {"mail"}
    assert await _kinds(database, florist.tenant_id) == {}


async def test_the_owner_can_prove_it_with_a_mail(database: Database, bakery: Shop, florist: Shop) -> None:
    """Who has an address gets the newest checkpoint, once; the mail alone tells that the log was rewritten."""
    await some_entries(database, bakery, 3)
    async with database.tenant(bakery.tenant_id) as store:
        await set_contact(store, "owner@bakery.example", actor=ANNA)
    await checkpoints.checkpoint_all(database)
    for shop in (bakery, florist, bakery):
        async with database.tenant(shop.tenant_id) as store:
            await anchors.mail_newest(store, database=database)
    async with database.tenant(florist.tenant_id) as store:
        assert await store.all(select(MailTable.id)) == []
    async with database.tenant(bakery.tenant_id) as store:
        (mail_id,) = await store.all(select(MailTable.id))
        mail = await find_mail(store, mail_id)
    assert mail is not None
    assert mail.to == "owner@bakery.example"
    note = mail.body[mail.body.index("\naitelier/") + 1 :]
    found = await exported(database, bakery)
    assert found.verified(older=[note]).proven
    assert (await _kinds(database, bakery.tenant_id))["mail"] == Note.parsed(note).checkpoint.size

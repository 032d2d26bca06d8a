"""Anchors: checkpoints that lie out of this server's reach, so that not even its operator can rewrite a log unseen.

The server's own log knows every checkpoint of every tenant, so it is this log's checkpoints that are anchored, each
time there is a new one: under an object lock, where the bucket has it, and with a time stamp (RFC 3161), where an
authority is set. And once a week each tenant is sent its own newest checkpoint by mail: at its address for requests, or
else to its owners.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, get_args
from uuid import UUID

import structlog
from sqlmodel import col, select

from policies.retention import AUDIT_YEARS, years_after
from store import jobs
from store.audit.checkpoints import SignedCheckpoint, latest, origin_of
from store.audit.stamps import StampError, TimeStamper
from store.blobs import Blobs, BlobsAwayError
from store.dsar.contacts import contact_of
from store.engine import Database
from store.house import HOUSE, open_house
from store.outbox import queue_mail
from store.people import accounts
from store.people.memberships import owners_of
from store.scope import TenantStore
from store.tables.audit import AuditAnchorTable
from store.visits import each_tenant

log = structlog.get_logger()

Kind = Literal["mail", "object_lock", "time_stamp"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
TASK: Final = "audit_anchor"
MAILS: Final = "audit_mails"
_MAIL: Final = "audit_checkpoint"
_Way = Callable[[], Awaitable[bytes | None]]
"""Keeps it there and comes back with what proves that; with None where there is no such place."""


class NotAnchoredError(Exception):
    """Some of the places could not be reached; the job is tried again."""


@dataclass(frozen=True, slots=True)
class Anchored:
    """The newest checkpoint that lies in one kind of place."""

    kind: Kind
    size: int
    """Entries that it covers: of the tenant's log when it was mailed, else of the server's own."""
    made_at: datetime
    proof: bytes | None
    """The name of the object, or the authority's answer."""


async def leave_anchoring(database: Database) -> None:
    """Have the server's newest checkpoint anchored by a job."""
    async with open_house(database) as house:
        await jobs.defer(house, TASK, lock=TASK)


async def anchor(work: jobs.Work, *, stamper: TimeStamper | None) -> None:
    """The job `TASK`. Does nothing where the newest checkpoint is anchored already.

    Raises:
        NotAnchoredError: Of the places that there are, one is away.
    """
    async with work.database.tenant(HOUSE) as house:
        newest = await latest(house)
    if newest is None:
        return
    ways: dict[Kind, _Way] = {"object_lock": lambda: _lock(work.blobs, newest)}
    if stamper is not None:
        ways["time_stamp"] = lambda: stamper.stamp(newest.note)
    failed = []
    for kind, keep in ways.items():
        async with work.database.tenant(HOUSE) as house:
            known = await newest_of(house, kind)
        if known is not None and known.size == newest.size:
            continue
        try:
            proof = await keep()
        except (BlobsAwayError, StampError) as error:
            log.warning("audit_not_anchored", kind=kind, why=str(error))
            failed.append(kind)
            continue
        if proof is not None:
            async with work.database.tenant(HOUSE) as house:
                await _note_down(house, kind, newest.size, proof)
            log.info("audit_anchored", kind=kind, entries=newest.size)
    if failed:
        raise NotAnchoredError(", ".join(failed))


async def _lock(blobs: Blobs, made: SignedCheckpoint) -> bytes | None:
    """Keep it where nobody can remove it for as long as logs are kept; None where objects cannot be locked."""
    name = f"anchors/{made.size:012}"
    until = years_after(datetime.now(UTC), AUDIT_YEARS)
    locked = await asyncio.to_thread(blobs.put_locked, name, made.note.encode(), until)
    return name.encode() if locked else None


async def mail_round(this: jobs.Round) -> None:
    """The weekly round: each tenant is sent its newest checkpoint."""
    await each_tenant(this.database, MAILS, functools.partial(mail_newest, database=this.database))


async def mail_newest(store: TenantStore, *, database: Database) -> None:
    """Queue the mails of one tenant, unless it has had this checkpoint, or there is nobody to have it."""
    newest, known = await latest(store), await newest_of(store, "mail")
    if newest is None or (known is not None and known.size == newest.size):
        return
    addresses = await _addresses(store, database)
    for address in addresses:
        subject = f"Checkpoint of your audit log: {newest.size} entries"
        await queue_mail(store, to=address, subject=subject, body=letter(store, newest), kind=_MAIL)
    if addresses:
        await _note_down(store, "mail", newest.size, None)


async def _addresses(store: TenantStore, database: Database) -> Collection[str]:
    contact = await contact_of(store)
    if contact is not None:
        return (contact,)
    async with open_house(database) as house:
        return (await accounts.emails_of(house, await owners_of(store))).values()


def letter(store: TenantStore, made: SignedCheckpoint) -> str:
    """The text of the mail, which ends with the signed note as it is."""
    lines = (
        f"On {made.made_at.astimezone(UTC):%Y-%m-%d at %H:%M} UTC your audit log had {made.size} entries.",
        "Keep this mail, out of reach of whoever runs the server: with it, anybody can prove later that none of these",
        "entries was changed, removed or moved since. Save it as a text file, and have an export checked against it:",
        "",
        "    aitelier audit verify EXPORT --key KEYS --older MAIL",
        "",
        f"The log is {origin_of(store.tenant_id)}. Its signed checkpoint (c2sp.org/tlog-checkpoint):",
        "",
        made.note,
    )
    return "\n".join(lines)


async def newest_anchored(database: Database, tenant_id: UUID) -> tuple[Anchored, ...]:
    """Where the newest checkpoints of a tenant's log, and of the server's own that knows it, lie outside."""
    async with database.tenant(tenant_id) as store:
        found = [await newest_of(store, "mail")]
    async with database.tenant(HOUSE) as house:
        found += [await newest_of(house, kind) for kind in KINDS if kind != "mail"]
    return tuple(one for one in found if one is not None)


async def newest_of(store: TenantStore, kind: Kind) -> Anchored | None:
    """The newest checkpoint of this log that lies in such a place."""
    of_kind = select(AuditAnchorTable).where(AuditAnchorTable.kind == kind)
    row = await store.first(of_kind.order_by(col(AuditAnchorTable.size).desc()))
    return None if row is None else Anchored(kind, row.size, row.made_at, row.proof)


async def _note_down(store: TenantStore, kind: Kind, size: int, proof: bytes | None) -> None:
    row = {"size": size, "kind": kind, "proof": proof, "made_at": datetime.now(UTC)}
    await store.put(AuditAnchorTable, [row])

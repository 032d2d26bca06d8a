"""Restoring a backup, in two steps: everything is loaded, then what must not come back is erased again.

The database is loaded in one transaction, together with a mark that keeps every server from starting on it. The mark
goes when the second step is done. Both steps can be killed anywhere and done again.
"""

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final

import pyrage

from policies.audit_tags import Actor, Tag
from store.audit.log import record
from store.backup import (
    DATABASE_PART,
    KEYS_PART,
    LEDGER,
    OBJECTS_PART,
    Backup,
    Progress,
)
from store.blobs import BlobMissingError, Blobs
from store.engine import Database
from store.erasure.replay import Replayed, replay
from store.loading import let_servers_start, load, refuse_taken, replaced
from store.parts import Member, check, reading
from store.settings import StoreSettings
from store.visits import all_tenant_ids

_RECORDINGS: Final = "recordings/"


class RestoreError(Exception):
    """A backup cannot be restored here; says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """What an operator has said may be lost."""

    replace: bool = False
    """The data that is here now."""
    without_keys: bool = False
    """Everything that is sealed: the backup's wrapped keys are over their time, or gone."""
    ledger_lost: bool = False
    """The knowledge of what was erased since the newest backup."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What the second step did."""

    replayed: Replayed
    strangers: int
    """Recordings of tenants that are not there any more, removed."""


def load_backup(
    settings: StoreSettings,
    blobs: Blobs,
    backup: Backup,
    identities: list[pyrage.x25519.Identity],
    *,
    later: Backup | None,
    consents: Consents,
    progress: Progress,
) -> None:
    """The first step. Blocks. No server may run on this data.

    `later` is the newest backup there is, if it is not this one: its ledger is used.

    Raises:
        DatabaseTakenError: There is something here already, or a server is connected.
        RestoreError: Something is missing, and nobody has said that it may be.
        PartError: A file is damaged, or not for this key.
        SnapshotError: The rows do not fit.
        store.migrate.MigrationError: The database is away, or the backup is newer than this program.
        BlobsAwayError: Objects are away.
    """
    if not backup.has_keys and not consents.without_keys:
        raise RestoreError(
            f"{backup.folder} has no wrapped keys any more, so no call in it can ever be read. "
            "Restore a newer one, or what else is in it with --without-keys"
        )
    for name, file in backup.contents.parts.items():
        if name != KEYS_PART or backup.has_keys:
            progress("checks", 0)
            check(backup.folder / name, file)
    refuse_taken(settings, replace=consents.replace)
    if not (consents.ledger_lost or next(blobs.list(), None)):
        raise RestoreError(
            "The objects of the old server are lost, and with them the list of what was erased since the newest "
            "backup. What it held then comes back. Go on with --ledger-lost, and erase those calls again by hand"
        )
    if later is not None:
        _bring_ledger(blobs, later, identities)
    _bring_objects(blobs, backup, identities, progress)
    contents, tables = backup.contents, count()
    with replaced(
        settings, revision=contents.revision, backup=backup.folder.name, replace=consents.replace
    ) as connection:
        for name in (KEYS_PART, DATABASE_PART):
            if (backup.folder / name).exists():
                with reading(backup.folder / name, identities, compressed=True) as members:
                    load(connection, members, loaded=lambda _: progress("tables", next(tables)))


async def finish(
    settings: StoreSettings,
    database: Database,
    blobs: Blobs,
    *,
    backup_name: str,
    now: datetime,
    seller_country: str,
    actor: Actor,
) -> Finished:
    """The second step: erase again, remove what belongs to nobody, write it down, and let servers start.

    Raises:
        StoreAwayError: The database went away; do it again.
        BlobsAwayError: The same for the objects.
    """
    async with database.platform_jobs() as platform:
        tenant_ids = await all_tenant_ids(platform)
    for tenant_id in tenant_ids:
        async with database.tenant(tenant_id) as store:
            await store.keys.new_tenant_keys(store)  # only where the backup brought none
    replayed = await replay(database, blobs, now, seller_country=seller_country)
    strangers = await asyncio.to_thread(_remove_strangers, blobs, frozenset(map(str, tenant_ids)))
    for tenant_id in tenant_ids:
        async with database.tenant(tenant_id) as store:
            await record(store, actor, Tag.BACKUP_RESTORED, facts={"backup": backup_name})
    await asyncio.to_thread(let_servers_start, settings)
    return Finished(replayed, strangers)


def _remove_strangers(blobs: Blobs, tenant_ids: frozenset[str]) -> int:
    """Recordings of tenants that came after the backup: their keys are lost with everything else of them."""
    removed = 0
    for name in list(blobs.list(_RECORDINGS)):
        if name.split("/")[1] not in tenant_ids:
            removed += blobs.delete(name)
    return removed


def _bring_ledger(blobs: Blobs, later: Backup, identities: list[pyrage.x25519.Identity]) -> None:
    check(later.folder / OBJECTS_PART, later.contents.parts[OBJECTS_PART])
    with reading(later.folder / OBJECTS_PART, identities, compressed=False) as members:
        for member in members:
            if not member.name.startswith(LEDGER):
                return
            _keep(blobs, member)


def _bring_objects(blobs: Blobs, backup: Backup, identities: list[pyrage.x25519.Identity], progress: Progress) -> None:
    with reading(backup.folder / OBJECTS_PART, identities, compressed=False) as members:
        for number, member in enumerate(members):
            progress("objects", number)
            _keep(blobs, member)


def _keep(blobs: Blobs, member: Member) -> None:
    """Put an object, unless it is there: an object never changes once it is written."""
    with contextlib.suppress(BlobMissingError):
        if blobs.size(member.name) == member.size:
            return
    with tempfile.NamedTemporaryFile(buffering=0) as file:
        for piece in member.pieces():
            file.write(piece)
        blobs.put_file(member.name, Path(file.name))

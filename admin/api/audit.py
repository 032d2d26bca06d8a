"""The audit log: read, exported, and how far it is proven."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from admin.api.shown import Limit, ShownActor, shown_actors
from admin.ask import Ask
from admin.download import download
from admin.problems import BadRequestError, ConflictError
from policies.audit_tags import Tag
from store.audit import anchors, checkpoints, log
from store.audit.check import check, newest_check
from store.audit.export import export
from store.audit.log import Entry, JsonValue
from store.house import HOUSE

_MOST_AT_ONCE: Final = 20_000
"""Entries: about a second's work."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One act."""

    index: int
    at: datetime
    by: ShownActor
    tag: str
    """`source:subject:action`."""
    objects: Mapping[str, str]
    """Ids of what it was done to, by kind."""
    facts: Mapping[str, JsonValue]
    personal: Mapping[str, str] | None
    """What is about a person: of it the log holds only a commitment, so that it can be forgotten."""
    erased: bool
    """There was something personal, and it is gone."""
    pruned: bool
    """Older than logs are kept: only its hash is left."""


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Acts, newest first."""

    items: tuple[AuditEntry, ...]
    next_cursor: int | None


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which acts."""

    tag: Annotated[str, Meta(max_length=100)] | None = None
    """A whole tag, or its beginning, such as `tenant:` or `session:recording:`."""
    actor: Annotated[str, Meta(max_length=100)] | None = None
    """Id of who did it."""
    about: Annotated[str, Meta(max_length=128)] | None = None
    """Id of something it was done to."""
    since: Annotated[datetime, Meta(tz=True)] | None = None
    until: Annotated[datetime, Meta(tz=True)] | None = None
    """Before this moment."""
    cursor: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    limit: Limit = 50


class AuditCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A signed statement about the log when it had so many entries (c2sp.org/tlog-checkpoint)."""

    size: int
    root: str
    """Of the Merkle tree (RFC 9162), in hex."""
    made_at: datetime
    note: str


class AuditAnchor(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that lies out of this server's reach."""

    kind: Literal["mail", "object_lock", "time_stamp"]
    size: int
    """Entries that it covers: of this log where it was mailed, else of the server's own log, which knows this one."""
    made_at: datetime


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What the server found when it checked every entry where it lies; it does so each week."""

    at: datetime
    entries: int
    sound: bool
    """Nothing was changed, moved or removed."""


class AuditState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the log is proven."""

    entries: int
    checkpoint: AuditCheckpoint | None
    """The newest; made every hour, and with each export."""
    check: AuditCheck | None
    """The newest."""
    anchors: tuple[AuditAnchor, ...]


class AuditKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What verifying an export needs besides it."""

    public_keys: tuple[str, ...]
    """Of this log and of the server's own, for `aitelier audit verify`. Keep them apart from exports."""


async def list_audit(ask: Ask, query: AuditQuery) -> AuditPage:
    """List acts, newest first."""
    for name in ("since", "until"):
        at = getattr(query, name)
        if at is not None and at.tzinfo is None:
            raise BadRequestError("A moment has a zone.", field=name, remedy="Such as 2026-01-31T00:00:00Z")
    async with ask.store() as store:
        found = await log.entries(
            store,
            tag=query.tag,
            actor_id=query.actor,
            since=query.since,
            until=query.until,
            about=query.about,
            before=query.cursor,
            limit=query.limit + 1,
        )
    some = found[: query.limit]
    actors = await shown_actors(ask, (one.actor for one in some))
    items = tuple(_entry(one, actors[one.actor]) for one in some)
    return AuditPage(items=items, next_cursor=items[-1].index if len(found) > query.limit else None)


async def get_audit_state(ask: Ask) -> AuditState:
    """Show how long the log is, up to where it is signed, and where checkpoints lie out of this server's reach."""
    async with ask.store() as store:
        entries = await log.size_of(store)
        newest = await checkpoints.latest(store)
        checked = await newest_check(store)
    anchored = await anchors.newest_anchored(ask.services.database, ask.tenant_id)
    return AuditState(
        entries=entries,
        checkpoint=None
        if newest is None
        else AuditCheckpoint(size=newest.size, root=newest.root.hex(), made_at=newest.made_at, note=newest.note),
        check=None if checked is None else AuditCheck(at=checked.at, entries=checked.entries, sound=checked.sound),
        anchors=tuple(AuditAnchor(kind=one.kind, size=one.size, made_at=one.made_at) for one in anchored),
    )


async def get_audit_keys(ask: Ask) -> AuditKeys:
    """Show the public keys by which exports are verified."""
    database = ask.services.database
    keys = [*await checkpoints.public_keys(database, ask.tenant_id), *await checkpoints.public_keys(database, HOUSE)]
    return AuditKeys(public_keys=tuple(str(key) for key in keys))


async def check_audit(ask: Ask) -> AuditState:
    """Check every entry of the log now. A long log is checked each week only."""
    async with ask.store() as store:
        if await log.size_of(store) > _MOST_AT_ONCE:
            raise ConflictError("The log is too long to be checked on the spot.", remedy="It is checked each Sunday")
        await check(store, actor=ask.actor)
    return await get_audit_state(ask)


async def export_audit(ask: Ask) -> web.StreamResponse:
    """Download the whole log as JSON lines that `aitelier audit verify` proves anywhere. Stands in the log itself."""
    name = f"audit-{ask.tenant_id}-{ask.now:%Y-%m-%d}.jsonl"
    async with download(ask.request, name, "application/jsonl") as response:
        async for line in export(ask.services.database, ask.tenant_id, actor=ask.actor):
            await response.write(f"{line}\n".encode())
    return response


def _entry(entry: Entry, by: ShownActor) -> AuditEntry:
    return AuditEntry(
        index=entry.index,
        at=entry.at,
        by=by,
        tag=entry.tag,
        objects=entry.objects,
        facts=entry.facts,
        personal=entry.personal,
        erased=entry.erased,
        pruned=entry.pruned,
    )


TAGS: Final = tuple(str(tag) for tag in Tag)
"""Every act that a log can tell of."""

"""Writing and reading a tenant's audit log.

A leaf is the canonical JSON (RFC 8785) of one act. It is written in the transaction of the act it tells of, so there is
no act without its leaf and no leaf without its act. Nothing in a leaf is about a person: what is goes in as a
commitment, whose opening lies sealed under a key of that person, and ends with it.
"""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor, ActorKind, Tag
from policies.canonical_json import canonical
from policies.merkle import leaf_hash
from store.keys import KeyShreddedError
from store.scope import TenantStore
from store.sealing import SealBrokenError, Sealer, framed
from store.tables.audit import AuditAboutTable, AuditHeadTable, AuditLeafTable, AuditPersonalTable, SubjectKeyTable

JsonValue = str | int | bool | None | list[str]
"""What a leaf may say: no fractions, so that every language writes the same canonical JSON."""

VERSION = 1
_SALT_BYTES = 32
_HEAD = "SELECT size FROM audit_heads WHERE tenant_id = :tenant_id FOR UPDATE"
_SUBJECT_KEY = "SELECT wrapped FROM keys.subject_keys WHERE tenant_id = :tenant_id AND subject = :subject"
_KEEP_OPENING = """
INSERT INTO audit_personal (tenant_id, idx, subject, sealed) VALUES (:tenant_id, :idx, :subject, :sealed)
"""
_APPEND = "SELECT audit_append(:tenant_id, :leaf, :at, :tag, :actor_kind, :actor_id)"


class AuditDamagedError(Exception):
    """The stored log contradicts itself: it was changed by other hands. Nothing more is written to it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One act, as it can be shown."""

    index: int
    at: datetime
    actor: Actor
    tag: str
    objects: Mapping[str, str]
    facts: Mapping[str, JsonValue]
    personal: Mapping[str, str] | None
    """None where there was nothing personal, and once the person was erased."""
    erased: bool
    """There was something personal, and it is gone."""
    pruned: bool
    """Older than logs are kept: only its hash is left."""


async def record(
    store: TenantStore,
    actor: Actor,
    tag: Tag,
    *,
    objects: Mapping[str, str] | None = None,
    facts: Mapping[str, JsonValue] | None = None,
    personal: Mapping[str, str] | None = None,
    subject: bytes | None = None,
    at: datetime | None = None,
) -> int:
    """Write one act down, in the caller's transaction; its index in the tenant's log.

    Args:
        store: The transaction of the act.
        actor: Who did it.
        tag: Which act it was.
        objects: Ids of what it was done to, by kind.
        facts: What else is to be known, and says nothing about a person.
        personal: What is about a person. Only a commitment to it goes into the log.
        subject: Blind index of that person, by which their traces are erased (`forget`).
        at: When; now, unless a simulation says otherwise.

    Raises:
        AuditDamagedError: The log was tampered with.
    """
    at = at or datetime.now(UTC)
    leaf: dict[str, Any] = {
        "v": VERSION,
        "tenant": str(store.tenant_id),
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": {"kind": actor.kind, "id": actor.id},
        "tag": str(tag),
        "objects": dict(objects or {}),
        "facts": dict(facts or {}),
    }
    opening = None
    if personal:
        salt = os.urandom(_SALT_BYTES)
        leaf["personal"] = commitment(salt, personal)
        opening = msgspec.json.encode({"salt": salt.hex(), "personal": dict(personal)})
    ((index,),) = await store.fixed(
        _APPEND,
        leaf=canonical(leaf),
        at=at,
        tag=str(tag),
        actor_kind=actor.kind,
        actor_id=actor.id,
    )
    if index < 0:
        raise AuditDamagedError("the edge of the log is not one of its size")
    if opening is not None:
        await _keep_opening(store, index, subject or os.urandom(16), opening)
    return int(index)


def commitment(salt: bytes, personal: Mapping[str, str]) -> str:
    """HMAC-SHA-256 over the canonical JSON, in hex: binds to the text, and tells nothing of it without the salt."""
    return hmac.digest(salt, canonical(dict(personal)).encode(), "sha256").hex()


async def forget(store: TenantStore, subject: bytes) -> int:
    """Erase what the log knows of a person; how many leaves had something. The log stays verifiable."""
    await store.change(delete(SubjectKeyTable).where(col(SubjectKeyTable.subject) == subject))
    return await store.change(delete(AuditPersonalTable).where(col(AuditPersonalTable.subject) == subject))


async def forget_unused_keys(store: TenantStore) -> None:
    """Let go of the keys of people of whom the log knows nothing any more."""
    still = select(AuditPersonalTable.subject)
    await store.change(delete(SubjectKeyTable).where(col(SubjectKeyTable.subject).not_in(still)))


async def rename_subject(store: TenantStore, subject: bytes, renamed: bytes) -> bool:
    """Mean a person by another index from now on, and where that is known already, make the two one.

    False when nothing is known of the person, or cannot be read any more.
    """
    await lock(store)  # so that nobody is about to write something down under the old one
    old = await store.first(select(SubjectKeyTable).where(SubjectKeyTable.subject == subject))
    if old is None:
        return False
    traces = select(AuditPersonalTable).where(AuditPersonalTable.subject == subject)
    new = await store.first(select(SubjectKeyTable).where(SubjectKeyTable.subject == renamed))
    try:
        sealed = {}
        if new is None:
            wrapped = await store.keys.rewrap_subject_key(store, subject, old.wrapped, renamed=renamed)
            await store.put(SubjectKeyTable, [{"subject": renamed, "wrapped": wrapped}])
        else:
            opener = Sealer(await store.keys.unwrap_subject_key(store, subject, old.wrapped))
            sealer = Sealer(await store.keys.unwrap_subject_key(store, renamed, new.wrapped))
            for row in await store.all(traces):
                place = _place(store, row.idx)
                sealed[row.idx] = sealer.seal(opener.open(row.sealed, place), place)
    except (KeyShreddedError, SealBrokenError):
        return False
    for index, value in sealed.items():
        await store.change(update(AuditPersonalTable).where(col(AuditPersonalTable.idx) == index).values(sealed=value))
    await store.change(
        update(AuditPersonalTable).where(col(AuditPersonalTable.subject) == subject).values(subject=renamed)
    )
    await store.change(delete(SubjectKeyTable).where(col(SubjectKeyTable.subject) == subject))
    return True


async def entries(
    store: TenantStore,
    *,
    tag: str | None = None,
    actor_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    about: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Entry, ...]:
    """Acts, newest first; at most `limit`. The next page begins `before` the last index of this one.

    `tag` is a whole tag, or its beginning, such as "tenant:" or "session:recording:". `about` is the id of something
    that the act was done to.
    """
    statement = select(AuditLeafTable)
    if about is not None:
        found = select(AuditAboutTable.idx).where(AuditAboutTable.about == about)
        statement = statement.where(col(AuditLeafTable.idx).in_(found))
    if tag is not None:
        statement = statement.where(col(AuditLeafTable.tag).startswith(tag, autoescape=True))
    if actor_id is not None:
        statement = statement.where(col(AuditLeafTable.actor_id) == actor_id)
    if since is not None:
        statement = statement.where(col(AuditLeafTable.at) >= since)
    if until is not None:
        statement = statement.where(col(AuditLeafTable.at) < until)
    if before is not None:
        statement = statement.where(col(AuditLeafTable.idx) < before)
    rows = await store.all(statement.order_by(col(AuditLeafTable.idx).desc()).limit(limit))
    openings = await openings_of(store, [row.idx for row in rows])
    return tuple(_entry(row, openings.get(row.idx), is_there=row.idx in openings) for row in rows)


async def size_of(store: TenantStore) -> int:
    """Leaves in the tenant's log."""
    head = await store.first(select(AuditHeadTable))
    return 0 if head is None else head.size


@dataclass(frozen=True, slots=True)
class Opening:
    """What a commitment stands for."""

    salt: bytes
    personal: Mapping[str, str]


async def openings_of(store: TenantStore, indices: list[int]) -> dict[int, Opening | None]:
    """What these leaves say about persons; None where it was damaged.

    Those of people who were erased are missing, as are leaves that say nothing.
    """
    rows = await store.all(select(AuditPersonalTable).where(col(AuditPersonalTable.idx).in_(indices)))
    wrapped = {
        row.subject: row.wrapped
        for row in await store.all(
            select(SubjectKeyTable).where(col(SubjectKeyTable.subject).in_({row.subject for row in rows}))
        )
    }
    found: dict[int, Opening | None] = {}
    for row in rows:
        if row.subject in wrapped:
            try:
                key = await store.keys.unwrap_subject_key(store, row.subject, wrapped[row.subject])
                plain = msgspec.json.decode(Sealer(key).open(row.sealed, _place(store, row.idx)))
            except (KeyShreddedError, SealBrokenError):
                found[row.idx] = None
            else:
                found[row.idx] = Opening(bytes.fromhex(plain["salt"]), plain["personal"])
    return found


def agrees(row: AuditLeafTable) -> bool:
    """Whether what stands beside a leaf, for searching, is what the leaf says."""
    if row.leaf is None:
        return True
    try:
        leaf = msgspec.json.decode(row.leaf)
        said = (datetime.fromisoformat(leaf["at"]), leaf["tag"], leaf["actor"]["kind"], leaf["actor"]["id"])
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return False
    beside = (row.at, row.tag, row.actor_kind, row.actor_id)
    return said == beside and leaf_hash(row.leaf.encode()) == row.leaf_hash


async def lock(store: TenantStore) -> None:
    """Let nobody else write into the log until the transaction ends."""
    if not await store.fixed(_HEAD):
        await store.put(AuditHeadTable, [{"size": 0, "edge": b""}])
        await store.fixed(_HEAD)


async def _keep_opening(store: TenantStore, index: int, subject: bytes, opening: bytes) -> None:
    rows = await store.fixed(_SUBJECT_KEY, subject=subject)
    if not rows:
        made = await store.keys.make_subject_key(store, subject)
        await store.put(SubjectKeyTable, [{"subject": subject, "wrapped": made.wrapped}])
        key = made.key
    else:
        key = await store.keys.unwrap_subject_key(store, subject, rows[0].wrapped)
    await store.fixed(_KEEP_OPENING, idx=index, subject=subject, sealed=Sealer(key).seal(opening, _place(store, index)))


def _place(store: TenantStore, index: int) -> bytes:
    return framed(b"aitelier audit opening v1", str(store.tenant_id).encode(), str(index).encode())


def _entry(row: AuditLeafTable, opening: Opening | None, *, is_there: bool) -> Entry:
    leaf = {} if row.leaf is None else msgspec.json.decode(row.leaf)
    return Entry(
        index=row.idx,
        at=row.at,
        actor=Actor(msgspec.convert(row.actor_kind, ActorKind), row.actor_id),
        tag=row.tag,
        objects=leaf.get("objects", {}),
        facts=leaf.get("facts", {}),
        personal=None if opening is None else opening.personal,
        erased="personal" in leaf and not is_there,
        pruned=row.leaf is None,
    )

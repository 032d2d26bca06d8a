"""Answers of the HTTP API, kept for a day: a request that is sent again under the same key gets the same one.

Keys and requests are known by their hashes only, and answers are sealed, for both may hold what is personal.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement
from sqlmodel import col, delete, select, update

from policies.audit_tags import Actor
from store.scope import TenantStore
from store.tables.answers import KeptAnswerTable

KEPT_FOR: Final = timedelta(hours=24)
_GIVEN_UP: Final = timedelta(seconds=60)
"""After so long nobody is still doing it: the process that was has died."""
_TABLE: Final = "kept_answers"
_BEGIN: Final = """
INSERT INTO kept_answers (tenant_id, actor_kind, actor_id, key_hash, request_hash, begun_at)
VALUES (:tenant_id, :actor_kind, :actor_id, :key_hash, :request_hash, :begun_at)
ON CONFLICT DO NOTHING RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is known of a request that came before."""

    request_hash: bytes
    status: int | None
    """None: it is still being done."""
    text: str | None
    """As it was given to `keep`; None while it is being done."""


async def begin(
    store: TenantStore, actor: Actor, key_hash: bytes, request_hash: bytes, now: datetime
) -> KeptAnswer | None:
    """None if the request is to be done now; else what became of the one before. Commit before doing it."""
    await forget_old(store, now)
    made = await store.fixed(
        _BEGIN, actor_kind=actor.kind, actor_id=actor.id, key_hash=key_hash, request_hash=request_hash, begun_at=now
    )
    if made:
        return None
    found = await store.first(select(KeptAnswerTable).where(*_this(actor, key_hash)).with_for_update())
    if found is None:  # dropped between the two statements
        return KeptAnswer(request_hash, None, None)
    if found.status is None and found.begun_at < now - _GIVEN_UP and found.request_hash == request_hash:
        await store.change(update(KeptAnswerTable).where(*_this(actor, key_hash)).values(begun_at=now))
        return None
    if found.answer_sealed is None:
        return KeptAnswer(found.request_hash, found.status, None)
    columns = await store.keys.tenant_columns(store)
    text = columns.open(found.answer_sealed, _TABLE, "answer", actor.kind, actor.id, key_hash)
    return KeptAnswer(found.request_hash, found.status, text)


async def keep(store: TenantStore, actor: Actor, key_hash: bytes, status: int, text: str | None) -> None:
    """The request was done; `text` is kept for whoever sends it again, or None where it is shown once only."""
    columns = await store.keys.tenant_columns(store)
    sealed = None if text is None else columns.seal(text, _TABLE, "answer", actor.kind, actor.id, key_hash)
    await store.change(
        update(KeptAnswerTable).where(*_this(actor, key_hash)).values(status=status, answer_sealed=sealed)
    )


async def drop(store: TenantStore, actor: Actor, key_hash: bytes) -> None:
    """The request was not done, and may be sent again under its key."""
    await store.change(delete(KeptAnswerTable).where(*_this(actor, key_hash), col(KeptAnswerTable.status).is_(None)))


async def forget_old(store: TenantStore, now: datetime) -> int:
    """Delete what has been kept for its day; how many."""
    return await store.change(delete(KeptAnswerTable).where(col(KeptAnswerTable.begun_at) < now - KEPT_FOR))


def _this(actor: Actor, key_hash: bytes) -> tuple[ColumnElement[bool], ...]:
    return (
        col(KeptAnswerTable.actor_kind) == actor.kind,
        col(KeptAnswerTable.actor_id) == actor.id,
        col(KeptAnswerTable.key_hash) == key_hash,
    )

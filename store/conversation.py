"""What is inside a call: what was said, told, asked, and happened.

Whoever reads says who that is. What was said is opened for a `Reader` only, as far as the project lets them
(`store.visibility`); of projects for health care the log keeps who read it (`store.phi`).
"""

import contextlib
from collections.abc import Collection, Sequence
from typing import Literal
from uuid import UUID

import msgspec
from sqlmodel import col, select

from policies.access import Reader, Visibility
from policies.redaction import redact_together
from store.journals import ConsentEvent, SessionEvent, TakenMessage, Turn
from store.keys import KeyShreddedError
from store.phi import Content, note_reading
from store.scope import TenantStore
from store.sealing import CallColumns
from store.tables.calls import ConsentEventTable, MessageTable, SessionEventTable, TurnTable
from store.visibility import Sight, sight_of


async def turns_of(store: TenantStore, session_id: UUID, *, reader: Reader) -> tuple[Turn, ...]:
    """What was said, in order; nothing where the reader may not.

    Raises:
        KeyShreddedError: The call was erased.
        LockedError: Its project is being deleted.
    """
    rows = await store.all(select(TurnTable).where(TurnTable.session_id == session_id).order_by(col(TurnTable.ordinal)))
    sight = await sight_of(store, session_id, reader)
    if not rows or sight.visibility == "none":
        return ()
    columns = await _opened(store, session_id, sight, "transcript", reader)
    shown = await _shown(store, columns, session_id, _texts_of(columns, session_id, rows), sight.visibility)
    return tuple(
        Turn(
            role=msgspec.convert(row.role, Literal["caller", "agent"]),
            text=text,
            from_ms=row.from_ms,
            to_ms=row.to_ms,
            interrupted=row.interrupted,
        )
        for row, text in zip(rows, shown, strict=True)
    )


async def messages_of(store: TenantStore, session_id: UUID, *, reader: Reader) -> tuple[TakenMessage, ...]:
    """Messages the caller left, in order, as `turns_of` shows them. Raises as it does."""
    rows = await store.all(
        select(MessageTable).where(MessageTable.session_id == session_id).order_by(col(MessageTable.ordinal))
    )
    sight = await sight_of(store, session_id, reader)
    if not rows or sight.visibility == "none":
        return ()
    columns = await _opened(store, session_id, sight, "messages", reader)
    shown = await _shown(store, columns, session_id, _texts_of(columns, session_id, rows), sight.visibility)
    return tuple(
        TakenMessage(text=text, from_sample=row.from_sample, to_sample=row.to_sample)
        for row, text in zip(rows, shown, strict=True)
    )


async def consent_of(store: TenantStore, session_id: UUID) -> tuple[ConsentEvent, ...]:
    """How the caller was told and asked, and what was recorded because of it, in order. Outlives the call's key."""
    rows = await store.all(
        select(ConsentEventTable)
        .where(ConsentEventTable.session_id == session_id)
        .order_by(col(ConsentEventTable.ordinal))
    )
    return tuple(
        ConsentEvent(
            at_ms=row.at_ms,
            kind=row.kind,
            verdict=row.verdict,
            method=row.method,
            wording_sha256=row.wording_sha256,
            language=row.language,
            from_sample=row.from_sample,
            to_sample=row.to_sample,
        )
        for row in rows
    )


async def events_of(store: TenantStore, session_id: UUID, *, reader: Reader) -> tuple[SessionEvent, ...]:
    """Everything else its journal says, in order.

    `personal` is empty once the call was erased, and for readers who may not see everything. Raises `LockedError` where
    its project is being deleted.
    """
    rows = await store.all(
        select(SessionEventTable)
        .where(SessionEventTable.session_id == session_id)
        .order_by(col(SessionEventTable.ordinal))
    )
    sight, columns = await sight_of(store, session_id, reader), None
    if sight.visibility == "all" and any(row.personal_sealed is not None for row in rows):
        with contextlib.suppress(KeyShreddedError):
            columns = await _opened(store, session_id, sight, "events", reader)
    return tuple(
        SessionEvent(
            at_ms=row.at_ms,
            kind=row.kind,
            facts=row.facts,
            personal={}
            if columns is None or row.personal_sealed is None
            else msgspec.json.decode(
                columns.open(row.personal_sealed, "session_events", "personal", session_id, row.ordinal),
                type=dict[str, object],
            ),
        )
        for row in rows
    )


async def facts_of(store: TenantStore, session_id: UUID, kinds: Collection[str]) -> tuple[SessionEvent, ...]:
    """Events of these kinds in order, without what may be personal."""
    statement = select(SessionEventTable.at_ms, SessionEventTable.kind, SessionEventTable.facts).where(
        SessionEventTable.session_id == session_id, col(SessionEventTable.kind).in_(kinds)
    )
    rows = await store.rows(statement.order_by(col(SessionEventTable.ordinal)))
    return tuple(SessionEvent(at_ms=at_ms, kind=kind, facts=facts) for at_ms, kind, facts in rows)


async def _opened(store: TenantStore, session_id: UUID, sight: Sight, what: Content, reader: Reader) -> CallColumns:
    """What opens the columns of the call; where its project wants it, the log says who reads this."""
    if sight.wrapped_key is None:
        raise KeyShreddedError("the call was erased")
    key = await store.keys.unwrap_data_key(store, session_id, sight.wrapped_key)
    if sight.is_watched:
        await note_reading(store, what, (session_id,), actor=reader.actor)
    return CallColumns(key, store.tenant_id)


async def _shown(
    store: TenantStore, columns: CallColumns, session_id: UUID, texts: Sequence[str], visibility: Visibility
) -> Sequence[str]:
    """As far as they may be read. Where a name is said in a turn, it is masked in messages too, and the other way."""
    if visibility == "all":
        return texts
    turns = await store.all(select(TurnTable).where(TurnTable.session_id == session_id))
    messages = await store.all(select(MessageTable).where(MessageTable.session_id == session_id))
    return redact_together(texts, _texts_of(columns, session_id, (*turns, *messages)))


def _texts_of(columns: CallColumns, session_id: UUID, rows: Sequence[TurnTable | MessageTable]) -> Sequence[str]:
    return [columns.open(row.text_sealed, row.__tablename__, "text", session_id, row.ordinal) for row in rows]

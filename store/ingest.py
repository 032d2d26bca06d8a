"""Taking in what a call left behind, so that doing it twice, or again after a crash, changes nothing."""

import statistics
from datetime import UTC, datetime
from uuid import UUID, uuid5

import msgspec
from sqlmodel import col, select, update

from store import sessions
from store.journals import CallReport
from store.scope import TenantStore
from store.sealing import CallColumns
from store.tables.calls import (
    ConsentEventTable,
    MessageTable,
    RecordingTable,
    SessionEventTable,
    SessionTable,
    TurnTable,
    UsageEventTable,
)
from store.transfers import write_transfers

_USAGE = UUID("6f0d9a3c-6d0e-4b8a-9a53-2f3ad0f6c7b1")
"""Namespace of the ids of usage events, made from session and kind so that each is counted once."""


class SessionErasedError(Exception):
    """The call is not there, or its key was deleted: what its journal says must not come back."""


async def take_in(store: TenantStore, report: CallReport) -> None:
    """Write down everything about a call, in the caller's transaction.

    Rows that are there already stay as they are.

    Raises:
        SessionErasedError: The call was erased meanwhile. Delete its journal and recording.
    """
    session = await store.first(select(SessionTable).where(SessionTable.id == report.session_id).with_for_update())
    keys = await store.keys.data_keys(store, (report.session_id,))
    if session is None or report.session_id not in keys:
        raise SessionErasedError(str(report.session_id))
    key = keys[report.session_id]
    await _write_session(store, report, key, await sessions.jurisdiction_of(store, session.project_id))
    await _write_words(store, report, CallColumns(key, store.tenant_id))
    await store.put(
        ConsentEventTable,
        [
            {
                "session_id": report.session_id,
                "ordinal": ordinal,
                "at_ms": event.at_ms,
                "kind": event.kind,
                "verdict": event.verdict,
                "method": event.method,
                "wording_sha256": event.wording_sha256,
                "language": event.language,
                "from_sample": event.from_sample,
                "to_sample": event.to_sample,
            }
            for ordinal, event in enumerate(report.consent)
        ],
    )
    await store.put(
        UsageEventTable,
        [
            {
                "id": uuid5(_USAGE, f"{report.session_id}/{kind}"),
                "project_id": session.project_id,
                "session_id": report.session_id,
                "kind": kind,
                "quantity": quantity,
                "happened_at": report.ended_at,
            }
            for kind, quantity in report.usage.items()
        ],
    )
    await write_transfers(store, report.session_id, report.transfers)
    if report.recording is not None:
        await store.put(
            RecordingTable,
            [{"session_id": report.session_id, **{name: getattr(report.recording, name) for name in _RECORDING}}],
            replace=_RECORDING,
        )


_RECORDING = ("blob", "sealed_bytes", "samples", "starts_at_sample")


async def _write_session(store: TenantStore, report: CallReport, key: bytes, jurisdiction: str) -> None:
    sealed, index = (
        (None, None)
        if report.caller is None
        else await sessions.seal_caller(store, report.session_id, key, report.caller, jurisdiction)
    )
    await store.change(
        update(SessionTable)
        .where(col(SessionTable.id) == report.session_id, col(SessionTable.ingested_at).is_(None))
        .values(
            state="ended",
            started_at=report.started_at,
            ended_at=report.ended_at,
            ended_by=report.ended_by,
            end_reason=report.end_reason,
            caller_sealed=sealed,
            caller_index=index,
            language=report.language,
            trunk=report.trunk,
            heard_samples=report.heard_samples or None,
            first_audio_ms=_median(report, "answer_to_first_audio"),
            reply_ms=_median(report, "caller_stopped_to_agent_audio"),
            consent=next((event.verdict for event in reversed(report.consent) if event.verdict is not None), None),
            ingested_at=datetime.now(UTC),
        )
    )


def _median(report: CallReport, what: str) -> int | None:
    """In ms, of what was measured of this kind; None where nothing was."""
    waits = [
        took_ms
        for event in report.events
        if event.kind == "latency_measured"
        and event.facts.get("what") == what
        and isinstance(took_ms := event.facts.get("took_ms"), int | float)
    ]
    return round(statistics.median(waits)) if waits else None


async def _write_words(store: TenantStore, report: CallReport, columns: CallColumns) -> None:
    call = report.session_id
    await store.put(
        TurnTable,
        [
            {
                "session_id": call,
                "ordinal": ordinal,
                "role": turn.role,
                "text_sealed": columns.seal(turn.text, "turns", "text", call, ordinal),
                "from_ms": turn.from_ms,
                "to_ms": turn.to_ms,
                "interrupted": turn.interrupted,
            }
            for ordinal, turn in enumerate(report.turns)
        ],
    )
    await store.put(
        MessageTable,
        [
            {
                "session_id": call,
                "ordinal": ordinal,
                "text_sealed": columns.seal(message.text, "messages", "text", call, ordinal),
                "from_sample": message.from_sample,
                "to_sample": message.to_sample,
            }
            for ordinal, message in enumerate(report.messages)
        ],
    )
    await store.put(
        SessionEventTable,
        [
            {
                "session_id": call,
                "ordinal": ordinal,
                "at_ms": event.at_ms,
                "kind": event.kind,
                "facts": dict(event.facts),
                "personal_sealed": columns.seal(
                    msgspec.json.encode(event.personal).decode(), "session_events", "personal", call, ordinal
                )
                if event.personal
                else None,
            }
            for ordinal, event in enumerate(report.events)
        ],
    )

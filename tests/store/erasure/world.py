"""Calls with everything that a call can leave, and a look at what is left of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from sqlmodel import col, update

from store import jobs, sessions
from store.blobs import Blobs
from store.engine import Database
from store.ingest import take_in
from store.journals import CallReport, ConsentEvent, NewRecording, SessionEvent, TakenMessage, Turn
from store.recordings import blob_name
from store.tables.calls import SessionTable
from tests.database import Shop

CALLER = "+4915123456789"
PHRASE = "the heron waits at the weir"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a test."""

    id: UUID
    at: datetime
    recorded: bool


async def make_call(
    database: Database,
    blobs: Blobs,
    shop: Shop,
    at: datetime,
    *,
    caller: str = CALLER,
    recorded: bool = True,
    in_queue: bool = False,
) -> Call:
    """A call that ended at this moment, taken in, with its recording in the blobs."""
    async with database.tenant(shop.tenant_id) as store:
        opened = await sessions.open_session(
            store,
            project_id=shop.project_id,
            scenario_id=shop.scenario_id,
            scenario_version=1,
            called=shop.called,
            caller=caller,
            trunk="loopback",
            language="de",
        )
        name = blob_name(shop.tenant_id, opened.id)
        size = blobs.put(name, b"sealed sound") if recorded else 0
        recording = NewRecording(blob=name, sealed_bytes=size, samples=8000, starts_at_sample=0) if recorded else None
        await take_in(
            store,
            CallReport(
                session_id=opened.id,
                started_at=at - timedelta(minutes=2),
                ended_at=at,
                ended_by="caller",
                end_reason="hung_up",
                caller=caller,
                language="de",
                trunk="loopback",
                heard_samples=8000,
                turns=(Turn(role="caller", text=PHRASE, from_ms=0, to_ms=900),),
                consent=(
                    ConsentEvent(at_ms=100, kind="disclosure_played", from_sample=0, wording_sha256="ab"),
                    ConsentEvent(at_ms=900, kind="consent_decided", from_sample=9, verdict="given", method="key"),
                ),
                events=(SessionEvent(at_ms=5, kind="key_pressed", facts={}, personal={"digit": "1"}),),
                messages=(TakenMessage(text=PHRASE),),
                usage={"call_ms": 120_000},
                recording=recording,
            ),
        )
        await store.change(
            update(SessionTable)
            .where(col(SessionTable.id) == opened.id)
            .values(planned_at=at - timedelta(minutes=2), ingested_at=at)
        )
        if in_queue:
            await jobs.defer(store, "some_webhook", session_id=str(opened.id))
    return Call(opened.id, at, recorded)


def everything(all_seeing: str) -> Iterator[tuple[str, str]]:
    """Every row of every table of every schema of ours as text, with the table's name."""
    with psycopg.connect(all_seeing) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('public', 'keys', 'jobs')"
        ).fetchall()
        for (table,) in tables:
            for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {table} t").fetchall():  # noqa: S608
                yield table, json.dumps(row)


def rows_of(all_seeing: str, table: str) -> list[dict[str, Any]]:
    """All rows of one table."""
    with psycopg.connect(all_seeing) as connection:
        return [row for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {table} t").fetchall()]  # noqa: S608


def where(all_seeing: str, needle: object) -> set[str]:
    """Tables with a row that holds this text anywhere."""
    return {table for table, row in everything(all_seeing) if str(needle) in row}


def objects(blobs: Blobs, prefix: str = "recordings/") -> Sequence[str]:
    """Names of what is there."""
    return list(blobs.list(prefix))

"""A store that is full: a million calls and a million audit entries, put there in minutes by COPY.

Only here, beside the store itself, does a program speak SQL: as the embedded server's superuser, whom no wall holds
back, on a home that is thrown away. Ids, times, blind indexes and the audit log's hashes are real. Sealed values and
keys are real where something is going to be opened, and bytes of the right length elsewhere.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from policies.audit_tags import Tag
from policies.merkle import Edge, leaf_hash
from scripts.benchmarks.stage import say
from store import postgres, seed, sessions
from store.audit.log import VERSION
from store.blobs import FolderBlobs
from store.engine import Database
from store.recordings import blob_name
from store.scope import TenantStore

_CALLS_OF_ONE = 5
"""Calls of one caller, on average."""
_PROBES = 300
_PAGES = 100
_PAGE = 60
_CHUNK = 20_000
_OBJECT_BYTES = 24 << 10
_SPAN = timedelta(days=360)
_SEALED_BYTES, _WRAPPED_BYTES = 46, 65

_SESSIONS = (
    "COPY sessions (tenant_id, id, project_id, scenario_id, scenario_version, state, called, caller_sealed,"
    " caller_index, trunk, language, planned_at, started_at, ended_at, ended_by, end_reason, heard_samples,"
    " first_audio_ms, reply_ms, consent, ingested_at) FROM STDIN"
)
_KEYS = "COPY keys.data_keys (tenant_id, session_id, wrapped) FROM STDIN"
_TURNS = "COPY turns (tenant_id, session_id, ordinal, role, text_sealed, from_ms, to_ms, interrupted) FROM STDIN"
_EVENTS = "COPY session_events (tenant_id, session_id, ordinal, at_ms, kind, facts, personal_sealed) FROM STDIN"
_CONSENT = "COPY consent_events (tenant_id, session_id, ordinal, at_ms, kind, from_sample) FROM STDIN"
_USAGE = "COPY usage_events (tenant_id, id, project_id, session_id, kind, quantity, happened_at) FROM STDIN"
_RECORDINGS = "COPY recordings (tenant_id, session_id, blob, sealed_bytes, samples, starts_at_sample) FROM STDIN"
_LEAVES = "COPY audit_leaves (tenant_id, idx, leaf_hash, leaf, at, tag, actor_kind, actor_id) FROM STDIN"
_HEAD = "SELECT size, edge FROM audit_heads WHERE tenant_id = %s"
_NEW_HEAD = (
    "INSERT INTO audit_heads (tenant_id, size, edge) VALUES (%s, %s, %s)"
    " ON CONFLICT (tenant_id) DO UPDATE SET size = excluded.size, edge = excluded.edge"
)
_TABLES = (
    "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.relkind = 'r' AND n.nspname IN ('public', 'keys') AND c.relforcerowsecurity"
)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Calls of one tenant, and which of them can be opened."""

    tenant_id: UUID
    project_id: UUID
    callers: Sequence[str]
    """Numbers all of whose calls can be opened."""
    pages: Sequence[UUID]
    """Ids before which at least 50 calls can be opened."""
    doomed: Sequence[UUID]
    """Calls with words, events and an object, to be erased."""


@contextlib.contextmanager
def database_server(home: Path) -> Iterator[None]:
    """The embedded server on this home, as a server of ours runs it."""
    postgres.prepare(home)
    with (home / "postgres.log").open("ab") as log, subprocess.Popen(postgres.command(home), stderr=log) as server:
        try:
            while not postgres.is_ready(home):
                time.sleep(0.05)
            yield
        finally:
            server.send_signal(postgres.STOP_SIGNAL)


async def gather_crowd(database: Database, home: Path, *, calls: int, doomed: int, recorded: int = 0) -> Crowd:
    """So many calls of one tenant over a year: the oldest are going to be erased, the newest have a recording."""
    place = await seed.seed_demo(database)
    assert place is not None, "the home is new"  # noqa: S101 - tells the type checker
    ids = [_id_at(datetime.now(UTC) - _SPAN + _SPAN * number / calls) for number in range(calls)]
    callers = max(1, calls // _CALLS_OF_ONE)
    probes = set(range(0, callers, max(1, callers // _PROBES)))
    pages = {calls - 1 - number * (calls // (_PAGES + 1)) for number in range(_PAGES)}
    opened = {number - back for number in pages for back in range(_PAGE)} | set(range(doomed))
    began = time.monotonic()
    with _superuser(home) as connection:
        indexes: dict[int, bytes] = {}
        for start in range(0, calls, _CHUNK):
            rows, keys = [], []
            async with database.tenant(place.tenant_id) as store:
                for number in range(start, min(start + _CHUNK, calls)):
                    who = number * 7919 % callers
                    real = number in opened or who in probes
                    sealed, index, wrapped = await _sealed(store, ids[number], who, indexes, real=real)
                    keys.append((place.tenant_id, ids[number], wrapped))
                    rows.append((place, ids[number], sealed, index))
            _copy(connection, _SESSIONS, (_session(*row) for row in rows))
            _copy(connection, _KEYS, keys)
            say(f"{min(start + _CHUNK, calls):,} of {calls:,} calls, {time.monotonic() - began:.0f} s")
        _fill(connection, place, ids[:doomed])
        _record(connection, place.tenant_id, ids[calls - recorded :])
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")  # a year of calls is not still being written when people look at them
    await asyncio.to_thread(_put_objects, FolderBlobs(home / "blobs"), place.tenant_id, ids[:doomed])
    return Crowd(
        place.tenant_id,
        place.project_id,
        tuple(_number(who) for who in sorted(probes)),
        tuple(ids[number] for number in sorted(pages)),
        tuple(ids[:doomed]),
    )


async def _sealed(
    store: TenantStore, session_id: UUID, who: int, indexes: dict[int, bytes], *, real: bool
) -> tuple[bytes, bytes, bytes]:
    """The caller's number sealed, its blind index, and the call's wrapped key."""
    if real:
        key = await store.keys.make_data_key(store, session_id)
        return *await sessions.seal_caller(store, session_id, key.key, _number(who), "DE"), key.wrapped
    if who not in indexes:
        indexes[who] = await sessions.caller_index(store, _number(who))
    return os.urandom(_SEALED_BYTES), indexes[who], os.urandom(_WRAPPED_BYTES)


def _session(place: seed.Demo, session_id: UUID, sealed: bytes, index: bytes) -> tuple[Any, ...]:
    at = _time_of(session_id)
    end = at + timedelta(minutes=2)
    return (
        *(place.tenant_id, session_id, place.project_id, place.scenario_id, 1, "ended", seed.DEMO_NUMBER),
        *(sealed, index, "loopback", "en", at, at, end, "caller", "hung_up"),
        *(960_000, 40, 600 + at.microsecond // 1000, "not_asked", end),
    )


def _fill(connection: "psycopg.Connection[Any]", place: seed.Demo, ids: Sequence[UUID]) -> None:
    tenant = place.tenant_id
    several = [(one, ordinal) for one in ids for ordinal in range(8)]
    words = os.urandom(90)
    _copy(connection, _TURNS, ((tenant, one, at, "caller", words, at * 9, at * 9 + 5, False) for one, at in several))
    _copy(connection, _EVENTS, ((tenant, one, at, at, "metric", "{}", words) for one, at in several if at < 4))
    _copy(connection, _CONSENT, ((tenant, one, at, at, "disclosure_played", 0) for one, at in several if at < 2))
    _record(connection, tenant, ids)
    usage = ((tenant, _id_at(_time_of(one)), place.project_id, one, "call_ms", 120_000, _time_of(one)) for one in ids)
    _copy(connection, _USAGE, usage)


def _record(connection: "psycopg.Connection[Any]", tenant: UUID, ids: Sequence[UUID]) -> None:
    _copy(connection, _RECORDINGS, ((tenant, one, blob_name(tenant, one), _OBJECT_BYTES, 9_000, 0) for one in ids))


def _put_objects(blobs: FolderBlobs, tenant_id: UUID, ids: Sequence[UUID]) -> None:
    content = os.urandom(_OBJECT_BYTES)
    for one in ids:
        blobs.put(blob_name(tenant_id, one), content)


def write_audit_log(home: Path, tenant_id: UUID, entries: int) -> None:
    """Put so many entries into the audit log of a tenant, behind those that are there."""
    began = datetime.now(UTC) - _SPAN
    edge = Edge()

    def rows() -> Iterator[tuple[Any, ...]]:
        nonlocal edge
        for index in range(edge.size, edge.size + entries):
            at = began + _SPAN * index / entries
            leaf = {
                "v": VERSION,
                "tenant": str(tenant_id),
                "at": at.isoformat(timespec="microseconds"),
                "actor": {"kind": "user", "id": f"user-{index % 40}"},
                "tag": str(Tag.RECORDING_PLAYED),
                "objects": {"session": str(UUID(int=index))},
                "facts": {},
            }
            # The canonical JSON of what is ASCII and has no fractions (RFC 8785), in a tenth of the time.
            text = json.dumps(leaf, sort_keys=True, separators=(",", ":"))
            found = leaf_hash(text.encode())
            edge = edge.appended(found)
            yield tenant_id, index, found, text, at, leaf["tag"], "user", f"user-{index % 40}"

    with _superuser(home) as connection:
        head = connection.execute(_HEAD, (tenant_id,)).fetchone()
        edge = edge if head is None else Edge.unpacked(*head)
        _copy(connection, _LEAVES, rows())
        connection.execute(_NEW_HEAD, (tenant_id, edge.size, edge.packed()))
        connection.execute("VACUUM (ANALYZE) audit_leaves")


@contextlib.contextmanager
def row_security_off(home: Path) -> Iterator[None]:
    """Take the second wall away from every table for a while, to see what it costs."""

    def switch(word: str) -> None:
        with _superuser(home) as connection:
            for (table,) in connection.execute(_TABLES).fetchall():
                connection.execute(f"ALTER TABLE {table} {word} ROW LEVEL SECURITY")

    switch("DISABLE")
    try:
        yield
    finally:
        switch("ENABLE")


def _copy(connection: "psycopg.Connection[Any]", statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _superuser(home: Path) -> "psycopg.Connection[Any]":
    url = postgres.url(home, postgres.SUPERUSER).replace("+psycopg", "")
    return psycopg.connect(url, autocommit=True)


def _number(who: int) -> str:
    return f"+4930{10_000_000 + who:08}"


def _id_at(moment: datetime) -> UUID:
    """A UUIDv7 (RFC 9562, 5.7) of that millisecond."""
    random = int.from_bytes(os.urandom(10))
    value = int(moment.timestamp() * 1000) << 80 | random
    value = value & ~(0xF << 76) | 7 << 76
    return UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


def _time_of(session_id: UUID) -> datetime:
    return datetime.fromtimestamp((session_id.int >> 80) / 1000, UTC)

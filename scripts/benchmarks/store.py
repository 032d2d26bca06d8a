"""`bench store`: how long people wait for a store that holds a million calls, and what its proofs cost.

Everything is measured through the functions that the server itself uses, on a PostgreSQL of its own with the settings
it has in production, in a home that is thrown away.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from uuid_utils.compat import uuid7

from policies.access import READS_ALL
from policies.audit_tags import OPERATOR, Tag
from policies.chunks import ChunkSealer, recording_context
from policies.erasure import Reason
from scripts.benchmarks.crowd import Crowd, database_server, gather_crowd, row_security_off, write_audit_log
from scripts.benchmarks.stage import BenchError, say, scratch
from store import answering, call_lists, ingest, recordings, seed, sessions, tenants
from store.audit import checkpoints
from store.audit.export import export
from store.audit.log import record
from store.audit.verify import verify
from store.blobs import FolderBlobs
from store.call_lists import Wanted
from store.dsar import search as dsar
from store.dsar.search import read_number
from store.engine import Database
from store.erasure import sessions as erasing
from store.journals import CallReport, NewRecording
from store.migrate import migrate
from store.scope import TenantStore
from store.settings import StoreSettings

Row = dict[str, Any]
_LIST_OF = 50
_RECORDING_S = 600
_RANGE_BYTES = 1 << 16
"""What a browser's player asks for first, about."""


def distribution(seconds: Sequence[float], unit: float = 1000.0) -> dict[str, float]:
    """The four figures by which a distribution is reported, in thousandths of a second."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * unit, 3) for name, part in at.items()
    }


class Bench:
    """The filled store and what was measured on it."""

    def __init__(self, database: Database, blobs: FolderBlobs, home: Path, crowd: Crowd, rounds: int) -> None:
        self.database = database
        self.blobs = blobs
        self.home = home
        self.crowd = crowd
        self.rounds = rounds
        self.rows: list[Row] = []

    def report(self, what: str, *, goal: float | None = None, is_met: float | None = None, **figures: Any) -> None:
        """Keep a row, and show it."""
        row: Row = {"what": what, **figures}
        if goal is not None and is_met is not None:
            row |= {"goal": goal, "met": is_met <= goal}
        self.rows.append(row)
        say(" ".join(f"{name}={value}" for name, value in row.items()))

    async def each(self, one: Callable[[TenantStore, int], Awaitable[object]]) -> list[float]:
        """How long a transaction of the tenant with this in it takes, many times (s)."""
        taken = []
        for number in range(-10, self.rounds):
            began = time.perf_counter()
            async with self.database.tenant(self.crowd.tenant_id) as store:
                await one(store, number)
            if number >= 0:
                taken.append(time.perf_counter() - began)
        return taken

    async def lists(self, what: str) -> None:
        """Looking for a number as people type it, on the calls page and for a caller's request, and leafing."""

        async def search(store: TenantStore, number: int) -> None:
            wanted = Wanted(number=read_number(self._typed(number)))
            page = await call_lists.list_calls(store, wanted, limit=_LIST_OF, actor=OPERATOR)
            if not page.calls:
                raise BenchError("a number that is there was not found")

        async def request(store: TenantStore, number: int) -> None:
            found = await dsar.search(store, read_number(self._typed(number)), limit=_LIST_OF, actor=OPERATOR)
            if not found.sessions:
                raise BenchError("a caller who is there was not found")

        async def page(store: TenantStore, number: int) -> None:
            before = self.crowd.pages[number % len(self.crowd.pages)]
            found = await call_lists.list_calls(store, Wanted(), before=before, limit=_LIST_OF, actor=OPERATOR)
            if len(found.calls) != _LIST_OF or not all(one.readable for one in found.calls):
                raise BenchError("a page that is there was not found")

        for name, goal, one in (
            ("search by number", 20.0, search),
            ("search for a caller's request", 20.0, request),
            (f"list of {_LIST_OF}", 15.0, page),
        ):
            ms = distribution(await self.each(one))
            self.report(f"{name}{what}", goal=goal, is_met=ms["p95"], ms=ms)

    def _typed(self, number: int) -> str:
        """A caller's number with the gaps that people leave in it."""
        plain = self.crowd.callers[number % len(self.crowd.callers)]
        return f"{plain[:3]} {plain[3:5]} {plain[5:]}"

    async def audit(self) -> None:
        """What an entry in the audit log adds to a transaction."""
        taken = []

        async def append(store: TenantStore, number: int) -> None:
            await tenants.find(store)
            began = time.perf_counter()
            await record(store, OPERATOR, Tag.RECORDING_PLAYED, objects={"session": str(UUID(int=number + 10))})
            taken.append(time.perf_counter() - began)

        await self.each(append)
        ms = distribution(taken[10:])
        self.report("audit append", goal=1.0, is_met=ms["p95"], ms=ms)

    async def verification(self, entries: int) -> None:
        """Verifying a long audit log from its export."""
        tenant_id = uuid7()
        async with self.database.tenant(tenant_id) as store:
            await tenants.create(store, "Benchmark", actor=OPERATOR)
        say(f"writing {entries:,} audit entries")
        await asyncio.to_thread(write_audit_log, self.home, tenant_id, entries)
        file = self.home / "audit.jsonl"
        began = time.perf_counter()
        with file.open("w", encoding="utf-8") as target:
            async for line in export(self.database, tenant_id, actor=OPERATOR):
                target.write(line + "\n")
        exported = time.perf_counter() - began
        keys = await checkpoints.public_keys(self.database, tenant_id)
        began = time.perf_counter()
        with file.open(encoding="utf-8") as lines:
            found = verify(lines, keys)
        seconds = time.perf_counter() - began
        if not found.proven or found.entries < entries:
            raise BenchError(f"the log was not proven: {found.problems[:3]}")
        self.report(
            "verify audit log",
            goal=60.0,
            is_met=seconds,
            entries=entries,
            s=round(seconds, 1),
            export_s=round(exported, 1),
        )

    async def sealing(self) -> None:
        """Sealing and opening a column, and the blind index of a number, per row."""
        count = 5000
        async with self.database.tenant(self.crowd.tenant_id) as store:
            columns = await store.keys.tenant_columns(store)
            ids = [uuid7() for _ in range(count)]
            began = time.perf_counter()
            sealed = [columns.seal("+493012345678", "sessions", "caller", one) for one in ids]
            between = time.perf_counter()
            for one, value in zip(ids, sealed, strict=True):
                columns.open(value, "sessions", "caller", one)
            opened = time.perf_counter()
            for number in range(count):
                await sessions.caller_index(store, f"+4930{number:08}")
            indexed = time.perf_counter()
        per_row = {"seal": between - began, "open": opened - between, "blind_index": indexed - opened}
        self.report("column", us={name: round(seconds / count * 1e6, 1) for name, seconds in per_row.items()})

    async def playback(self) -> None:
        """The first sound of a range of a long recording, from the request on."""
        async with self.database.tenant(self.crowd.tenant_id) as store:
            session_id = await self._recorded(store)
        chance = random.Random(1)  # noqa: S311 - places in a recording, not a secret

        async def play(store: TenantStore, _: int) -> None:
            recording = await recordings.open_recording(store, self.blobs, session_id, reader=READS_ALL)
            if recording is None or not await recording.read_wav(chance.randrange(recording.wav_bytes), _RANGE_BYTES):
                raise BenchError("the recording is not there")

        ms = distribution(await self.each(play))
        self.report("ranged playback start", goal=20.0, is_met=ms["p95"], recording_s=_RECORDING_S, ms=ms)

    async def _recorded(self, store: TenantStore) -> UUID:
        where = await answering.route(store, seed.DEMO_NUMBER)
        if where is None:
            raise BenchError("the demo is not there")
        opened = await answering.open_session(
            store, where, called=seed.DEMO_NUMBER, caller=None, trunk="loopback", language="en"
        )
        samples = _RECORDING_S * recordings.SAMPLES_PER_SECOND
        context = recording_context(str(store.tenant_id), str(opened.id))
        sealer = ChunkSealer(recordings.recording_key(opened.data_key.key), context, os.urandom(24), AESGCM)
        sealed = sealer.header + sealer.update(os.urandom(samples * 2)) + sealer.finish()
        blob = recordings.blob_name(store.tenant_id, opened.id)
        self.blobs.put(blob, sealed)
        now = datetime.now(UTC)
        kept = NewRecording(blob=blob, sealed_bytes=len(sealed), samples=samples, starts_at_sample=0)
        report = CallReport(
            session_id=opened.id,
            started_at=now,
            ended_at=now,
            ended_by="caller",
            end_reason="hung_up",
            caller=None,
            language="en",
            trunk="loopback",
            heard_samples=samples,
            recording=kept,
        )
        await ingest.take_in(store, report)
        return opened.id

    async def erasure(self) -> None:
        """Erasing many calls with their objects, from the wish to the receipt."""
        doomed = self.crowd.doomed
        shown = 0

        async def progress(done: int, of: int) -> None:
            nonlocal shown
            shown += 1
            say(f"erased {done:,} of {of:,}")

        began = time.perf_counter()
        async with self.database.tenant(self.crowd.tenant_id) as store:
            asked = await erasing.erase_sessions(store, self.blobs, doomed, actor=OPERATOR, reason=Reason.MEMBER_ASKED)
        unreadable = time.perf_counter() - began
        receipt = await erasing.carry_out(
            self.database, self.blobs, self.crowd.tenant_id, asked.erasure_id, progress=progress
        )
        seconds = time.perf_counter() - began
        if receipt.finished_at is None or receipt.sessions != len(doomed):
            raise BenchError("not everything was erased")
        self.report(
            f"erase {len(doomed):,} sessions",
            goal=90.0,
            is_met=seconds,
            s=round(seconds, 1),
            unreadable_after_s=round(unreadable, 1),
            progress_shown=shown,
        )


async def run(folder: Path, calls: int, doomed: int, entries: int, rounds: int) -> list[Row]:
    """Fill a store and measure."""
    home = folder / "home"
    home.mkdir(mode=0o711)
    settings = StoreSettings(None, home, os.urandom(32))
    with database_server(home):
        await migrate(settings)
        database = await Database.open(settings)
        try:
            began = time.monotonic()
            crowd = await gather_crowd(database, home, calls=calls, doomed=doomed)
            bench = Bench(database, FolderBlobs(home / "blobs"), home, crowd, rounds)
            gc.collect()
            gc.freeze()  # as a server does before it works; a million ids are not what is measured
            bench.report("fill", sessions=calls, s=round(time.monotonic() - began, 1))
            await bench.lists("")
            with row_security_off(home):
                await bench.lists(", row security off")
            await bench.playback()
            await bench.sealing()
            await bench.audit()
            await bench.erasure()
            await bench.verification(entries)
            return bench.rows
        finally:
            await database.close()


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="bench store", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--erase", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=1_000_000, help="of the audit log")
    parser.add_argument("--rounds", type=int, default=500, help="times that each thing is done")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    arguments = parser.parse_args()
    try:
        with scratch() as folder:
            folder.chmod(0o711)
            rows = asyncio.run(run(folder, arguments.sessions, arguments.erase, arguments.entries, arguments.rounds))
    except BenchError as error:
        sys.exit(f"bench store: {error}")
    if arguments.json:
        print(json.dumps({"bench": "store", "rows": rows}))


if __name__ == "__main__":
    main()

"""`bench admin`: how long people wait for pages and answers over a million calls, and what looking at calls costs them.

A hundred people who are signed in look at pages of a tenant with a million calls, of which the last quarter of a year
is recorded, each every few seconds, whether the last page has come or not; then all in the same moment. Then 40 calls
are up on a whole server: by themselves, with a live page that reads along, and with a crowd (`admin_live`).
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from scripts.benchmarks.admin_browsers import Addresses, look, look_at_once, sign_in, until_up
from scripts.benchmarks.admin_live import live
from scripts.benchmarks.crowd import Crowd, database_server, gather_crowd
from scripts.benchmarks.stage import BenchError, cpu_seconds, say, scratch
from scripts.benchmarks.store import distribution
from scripts.ports import free_port
from scripts.settings import ROOT
from store import answering, ingest, seed
from store.engine import Database
from store.journals import CallReport, Turn
from store.migrate import migrate
from store.settings import StoreSettings

Row = dict[str, Any]
GOAL_MS: Final = 60.0
AT_ONCE_GOAL_MS: Final = 5000.0
"""Of the last of a hundred who ask in the same moment, on two cores."""
_TALKS: Final = 40
_RECORDED_SHARE: Final = 4
"""One of so many calls is recorded: those of the last quarter, where a project keeps recordings for 90 days."""


async def have_talked(database: Database, crowd: Crowd) -> Sequence[UUID]:
    """Calls with words in them that can be opened: what a page of a call is made of."""
    made = []
    for _ in range(_TALKS):
        async with database.tenant(crowd.tenant_id) as store:
            where = await answering.route(store, seed.DEMO_NUMBER)
            if where is None:
                raise BenchError("the demo's number is not answered")
            opened = await answering.open_session(
                store, where, called=seed.DEMO_NUMBER, caller="+442079460123", trunk="loopback", language="en"
            )
            now = datetime.now(UTC)
            report = CallReport(
                session_id=opened.id,
                started_at=now - timedelta(minutes=2),
                ended_at=now,
                ended_by="caller",
                end_reason="hung_up",
                caller="+442079460123",
                language="en",
                trunk="loopback",
                heard_samples=960_000,
                turns=[
                    Turn(role=("agent", "caller")[at % 2], text="We are open until 5. " * 6, from_ms=at, to_ms=at + 1)
                    for at in range(24)
                ],
            )
            await ingest.take_in(store, report)
        made.append(opened.id)
    return made


def looks(crowd: Crowd, talks: Sequence[UUID]) -> Addresses:
    """What people look at."""
    tenant = f"/t/{crowd.tenant_id}"
    api = "/api/v1"
    whose = f"tenant_id={crowd.tenant_id}"

    def number(chance: random.Random) -> str:
        return chance.choice(crowd.callers).replace("+", "%2B")

    return {
        "page of calls": lambda _: f"{tenant}/calls",
        "page of calls, number": lambda chance: f"{tenant}/calls?caller={number(chance)}",
        "page of calls, recorded": lambda _: f"{tenant}/calls?recorded=true",
        "page of calls, not recorded": lambda _: f"{tenant}/calls?recorded=false",
        "page of calls, missed": lambda _: f"{tenant}/calls?outcome=missed",
        "page of a call": lambda chance: f"{tenant}/calls/{chance.choice(talks)}",
        "overview": lambda _: f"{tenant}/",
        "overview, 30 days": lambda _: f"{tenant}/?days=30",
        "API, calls": lambda _: f"{api}/sessions?{whose}",
        "API, calls, number": lambda chance: f"{api}/sessions?{whose}&caller={number(chance)}",
        "API, calls, not recorded": lambda _: f"{api}/sessions?{whose}&recorded=false",
        "API, a call": lambda chance: f"{api}/sessions/{chance.choice(talks)}?{whose}",
        "API, overview, 30 days": lambda _: f"{api}/overview?{whose}&days=30",
    }


@contextlib.contextmanager
def admin_server(home: Path, port: int, master_key: bytes) -> Iterator[int]:
    """The admin in a process of its own; its process id."""
    command = [sys.executable, "-m", "scripts.benchmarks.admin_server", str(home), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None  # noqa: S101 - asked for above; tells the type checker
        process.stdin.write(master_key)
        process.stdin.close()
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(10)


async def pages(folder: Path, calls: int, people: int, seconds: float, every_s: float) -> list[Row]:
    """A row for each thing that people look at."""
    home, port, master_key = folder / "home", free_port(), os.urandom(32)
    home.mkdir(mode=0o711)
    base_url = f"http://127.0.0.1:{port}"
    settings = StoreSettings(None, home, master_key)
    with database_server(home):
        await migrate(settings)
        database = await Database.open(settings)
        try:
            crowd = await gather_crowd(database, home, calls=calls, doomed=0, recorded=calls // _RECORDED_SHARE)
            talks = await have_talked(database, crowd)
            cookies = await sign_in(database, home, crowd.tenant_id, base_url, people)
        finally:
            await database.close()
        with admin_server(home, port, master_key) as pid:
            await until_up(base_url)
            used, until = cpu_seconds([pid]), time.monotonic() + seconds
            found = await look(
                base_url, cookies, looks(crowd, talks), every_s=every_s, ended=lambda: time.monotonic() > until
            )
            used = cpu_seconds([pid]) - used
            at_once = await look_at_once(base_url, cookies, f"/t/{crowd.tenant_id}/calls")
    rows: list[Row] = []
    for name, taken in found.seconds.items():
        shown = distribution(taken)
        rows.append(
            {"what": name, "requests": len(taken), "ms": shown, "goal": GOAL_MS, "met": shown["p95"] <= GOAL_MS}
        )
    rows.append(
        {
            "what": "the admin's process",
            "people": people,
            "sessions": calls,
            "failed": found.failed,
            "requests_per_s": round(people / every_s, 1),
            "core_percent": round(100 * used / seconds, 1),
        }
    )
    (together,) = map(distribution, at_once.seconds.values())
    met = not at_once.failed and together["max"] <= AT_ONCE_GOAL_MS
    rows.append({"what": "all at once", "failed": at_once.failed, "ms": together, "goal": AT_ONCE_GOAL_MS, "met": met})
    for row in rows:
        say(" ".join(f"{key}={value}" for key, value in row.items()))
    if not found.seconds or found.failed:
        raise BenchError(f"{found.failed} requests failed, {sum(map(len, found.seconds.values()))} were answered")
    return rows


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="bench admin", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0, help="so long people look")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two looks of one person")
    parser.add_argument("--calls", type=int, default=40, help="that are up while people look on; 0 leaves them out")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    arguments = parser.parse_args()
    rows: list[Row] = []
    try:
        if arguments.sessions:
            with scratch() as folder:
                folder.chmod(0o711)
                rows += asyncio.run(
                    pages(folder, arguments.sessions, arguments.people, arguments.seconds, arguments.every)
                )
        if arguments.calls:
            rows += live(arguments.calls, 20.0, arguments.people, arguments.every)
    except BenchError as error:
        sys.exit(f"bench admin: {error}")
    if arguments.json:
        print(json.dumps({"bench": "admin", "rows": rows}))


if __name__ == "__main__":
    main()

"""`bench admin`: how long people wait for pages and answers over a million calls, and what looking at calls costs them.

A hundred people who are signed in look at pages of a tenant with a million calls, each every few seconds, whether the
last page has come or not. Then 40 calls are up on a whole server, once by themselves and once with browsers that read
along and look at pages, to see that the sound of the calls does not change.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import aiohttp

from admin.auth.cookies import cookie_name
from admin.auth.tokens import Tokens
from policies.access import Scope
from policies.api_keys import KeyWish
from policies.audit_tags import OPERATOR
from scripts.benchmarks import calls as calls_bench
from scripts.benchmarks.admin_server import services_of
from scripts.benchmarks.crowd import Crowd, database_server, gather_crowd
from scripts.benchmarks.stage import BenchError, Server, cpu_seconds, free_port, say, scratch
from scripts.benchmarks.store import distribution
from scripts.cli_store import books_of
from scripts.settings import ROOT
from store import answering, ingest, seed
from store.api_keys import make_key
from store.engine import Database
from store.house import open_house
from store.journals import CallReport, Turn
from store.migrate import migrate
from store.people import accounts, devices
from store.people.challenges import new_secret
from store.people.memberships import grant_role
from store.settings import StoreSettings

Row = dict[str, Any]
GOAL_MS: Final = 60.0
_WARM_S: Final = 3.0
_TALKS: Final = 40
_READERS: Final = 20
"""Browsers that read along while 40 calls are up."""


@dataclass(slots=True)
class Looking:
    """What came of requests."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: int = 0


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


def looks(crowd: Crowd, talks: Sequence[UUID]) -> Mapping[str, Callable[[random.Random], str]]:
    """What people look at: the name of it, and an address."""
    tenant = f"/t/{crowd.tenant_id}"
    api = "/api/v1"
    whose = f"tenant_id={crowd.tenant_id}"

    def number(chance: random.Random) -> str:
        return chance.choice(crowd.callers).replace("+", "%2B")

    return {
        "page of calls": lambda _: f"{tenant}/calls",
        "page of calls, number": lambda chance: f"{tenant}/calls?caller={number(chance)}",
        "page of a call": lambda chance: f"{tenant}/calls/{chance.choice(talks)}",
        "overview": lambda _: f"{tenant}/",
        "API, calls": lambda _: f"{api}/sessions?{whose}",
        "API, calls, number": lambda chance: f"{api}/sessions?{whose}&caller={number(chance)}",
        "API, a call": lambda chance: f"{api}/sessions/{chance.choice(talks)}?{whose}",
    }


async def sign_in(database: Database, home: Path, crowd: Crowd, base_url: str, people: int) -> Sequence[str]:
    """So many editors; the header by which a browser of each is known."""
    services, tokens, cookies = services_of(database, home, base_url), Tokens(), []
    for number in range(people):
        async with open_house(database) as house:
            email = accounts.read_email(f"person{number}@example.org")
            account = await accounts.find_or_make(house, email)
            device = await devices.open_device(
                house, account.id, label="Firefox on Linux", browser=new_secret(), at=datetime.now(UTC)
            )
        async with database.tenant(crowd.tenant_id) as store:
            await grant_role(store, account.id, "editor", actor=OPERATOR)
        token = await tokens.sign(services, user_id=account.id, device_id=device.device_id)
        cookies.append(f"{cookie_name('access', secure=False)}={token}")
    return cookies


async def look(
    base_url: str,
    cookies: Sequence[str],
    addresses: Mapping[str, Callable[[random.Random], str]],
    *,
    seconds: float,
    every_s: float,
) -> Looking:
    """Each person asks for something every `every_s` seconds, from a moment of their own on."""  # fmt: skip
    found, chance, names = Looking(), random.Random(4), list(addresses)  # noqa: S311 - the same each time
    began = time.monotonic()

    async def ask(session: aiohttp.ClientSession, cookie: str, name: str) -> None:
        sent = time.perf_counter()
        try:
            async with session.get(base_url + addresses[name](chance), headers={"Cookie": cookie}) as answer:
                await answer.read()
        except aiohttp.ClientError:
            found.failed += 1
            return
        if answer.status != 200:
            found.failed += 1
        elif time.monotonic() > began + _WARM_S:
            found.seconds[name].append(time.perf_counter() - sent)

    async def person(session: aiohttp.ClientSession, asking: asyncio.TaskGroup, cookie: str) -> None:
        await asyncio.sleep(chance.random() * every_s)
        while time.monotonic() < began + seconds:
            asking.create_task(ask(session, cookie, chance.choice(names)))
            await asyncio.sleep(every_s)

    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
        asyncio.TaskGroup() as group,
    ):
        for cookie in cookies:
            group.create_task(person(session, group, cookie))
    return found


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
            crowd = await gather_crowd(database, home, calls=calls, doomed=0)
            talks = await have_talked(database, crowd)
            cookies = await sign_in(database, home, crowd, base_url, people)
        finally:
            await database.close()
        with admin_server(home, port, master_key) as pid:
            await _until_up(base_url)
            used = cpu_seconds([pid])
            found = await look(base_url, cookies, looks(crowd, talks), seconds=seconds, every_s=every_s)
            used = cpu_seconds([pid]) - used
    rows: list[Row] = []
    for name, taken in found.seconds.items():
        shown = distribution(taken)
        rows.append(
            {"what": name, "requests": len(taken), "ms": shown, "goal": GOAL_MS, "met": shown["p95"] <= GOAL_MS}
        )
        say(" ".join(f"{key}={value}" for key, value in rows[-1].items()))
    asked = sum(map(len, found.seconds.values()))
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
    say(" ".join(f"{key}={value}" for key, value in rows[-1].items()))
    if not asked or found.failed:
        raise BenchError(f"{found.failed} requests failed, {asked} were answered")
    return rows


async def _until_up(base_url: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            try:
                async with session.get(f"{base_url}/healthz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise BenchError("the admin does not come up")


def live(calls: int, seconds: float) -> list[Row]:
    """The sound of calls without and with people who look on."""
    rows: list[Row] = []
    for readers in (0, _READERS):
        watching = Watching(readers)
        measured = calls_bench.measure(calls, seconds, 0, beside=watching.beside)
        rows.append(
            {
                "what": f"{calls} calls, {readers} browsers that read along",
                "failed": measured["failed"],
                "rtp_gap_ms": measured["rtp_gap_ms"],
                "model_to_caller_ms": measured["model_to_caller_ms"],
                "underruns": measured["underruns"],
                "events": watching.events,
                "admin_core_percent": watching.core_percent,
            }
        )
        say(" ".join(f"{key}={value}" for key, value in rows[-1].items()))
    return rows


class Watching:
    """Browsers that read along with all calls of a server, for the length of a block."""

    def __init__(self, readers: int) -> None:
        self._readers = readers
        self.events = 0
        """That they were sent."""
        self.core_percent = 0.0
        """What the admin's process used meanwhile."""

    @contextlib.contextmanager
    def beside(self, server: Server) -> Iterator[None]:
        """Read along while something else is done."""
        pids = [one.pid for one in server.status().processes if one.name == "admin" and one.pid]
        began, used = time.monotonic(), cpu_seconds(pids)
        ended = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._read(server, ended)), name="readers")
        thread.start()
        try:
            yield
        finally:
            self.core_percent = round(100 * (cpu_seconds(pids) - used) / (time.monotonic() - began), 2)
            ended.set()
            thread.join(10)

    async def _read(self, server: Server, ended: threading.Event) -> None:
        if not self._readers:
            return
        key = await _key_of(server)
        base_url = f"http://127.0.0.1:{server.environment['AITELIER_ADMIN_PORT']}"
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
            reading = [asyncio.ensure_future(self._one(session, base_url)) for _ in range(self._readers)]
            while not ended.is_set():  # noqa: ASYNC110  # set by another thread
                await asyncio.sleep(0.1)
            for one in reading:
                one.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _one(self, session: aiohttp.ClientSession, base_url: str) -> None:
        async with session.get(f"{base_url}/api/v1/live/events", timeout=aiohttp.ClientTimeout(None)) as answer:
            if answer.status != 200:
                raise BenchError(f"reading along is answered with {answer.status}")
            async for line in answer.content:
                self.events += line.startswith(b"data:")


async def _key_of(server: Server) -> str:
    wish = KeyWish(
        name="Benchmark",
        scopes=frozenset({Scope.SESSIONS_READ, Scope.TRANSCRIPTS_READ}),
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    async with books_of(server.environment) as books:
        tenant_id = await books.tenant(None)
        async with books.database.tenant(tenant_id) as store:
            return (await make_key(store, wish, actor=OPERATOR)).secret.reveal()


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
            rows += live(arguments.calls, 20.0)
    except BenchError as error:
        sys.exit(f"bench admin: {error}")
    if arguments.json:
        print(json.dumps({"bench": "admin", "rows": rows}))


if __name__ == "__main__":
    main()

"""The browsers of `bench admin`: people who are signed in, look at pages, and read along with calls."""

import asyncio
import json
import random
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
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
from scripts.benchmarks.admin_server import services_of
from scripts.benchmarks.stage import BenchError
from store.api_keys import make_key
from store.engine import Database
from store.house import open_house
from store.people import accounts, devices
from store.people.challenges import new_secret
from store.people.memberships import grant_role

Addresses = Mapping[str, Callable[[random.Random], str]]
"""What people look at: the name of it, and an address."""
_WARM_S: Final = 3.0
_UP_WITHIN_S: Final = 60.0
_STAMP: Final = re.compile(r"said(\d+)\.(\d+)")
"""What the benchmark's model says: the answer, and the how-manieth word of it."""


@dataclass(slots=True)
class Looking:
    """What came of requests."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: int = 0


async def sign_in(database: Database, home: Path, tenant_id: UUID, base_url: str, people: int) -> Sequence[str]:
    """So many editors; the header by which a browser of each is known."""
    services, tokens, cookies = services_of(database, home, base_url), Tokens(), []
    for number in range(people):
        async with open_house(database) as house:
            email = accounts.read_email(f"person{number}@example.org")
            account = await accounts.find_or_make(house, email)
            device = await devices.open_device(
                house, account.id, label="Firefox on Linux", browser=new_secret(), at=datetime.now(UTC)
            )
        async with database.tenant(tenant_id) as store:
            await grant_role(store, account.id, "editor", actor=OPERATOR)
        token = await tokens.sign(services, user_id=account.id, device_id=device.device_id)
        cookies.append(f"{cookie_name('access', secure=False)}={token}")
    return cookies


async def reading_key(database: Database, tenant_id: UUID) -> str:
    """An API key with which one can read along."""
    wish = KeyWish(
        name="Benchmark",
        scopes=frozenset({Scope.SESSIONS_READ, Scope.TRANSCRIPTS_READ}),
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    async with database.tenant(tenant_id) as store:
        return (await make_key(store, wish, actor=OPERATOR)).secret.reveal()


async def look(
    base_url: str,
    cookies: Sequence[str],
    addresses: Addresses,
    *,
    every_s: float,
    ended: Callable[[], bool],
) -> Looking:
    """Each person asks for something every `every_s` seconds, from a moment of their own on, until it has ended.

    Whether the last answer has come or not; what is asked within the first seconds does not count.
    """
    found, chance, names = Looking(), random.Random(4), list(addresses)  # noqa: S311 - the same each time
    began = time.monotonic()

    async def ask(session: aiohttp.ClientSession, cookie: str, name: str) -> None:
        seconds = await _asked(session, base_url + addresses[name](chance), cookie)
        if seconds is None:
            found.failed += 1
        elif time.monotonic() > began + _WARM_S:
            found.seconds[name].append(seconds)

    async def person(session: aiohttp.ClientSession, asking: asyncio.TaskGroup, cookie: str) -> None:
        await asyncio.sleep(chance.random() * every_s)
        while not ended():
            asking.create_task(ask(session, cookie, chance.choice(names)))
            await asyncio.sleep(every_s)

    async with _browsers() as session, asyncio.TaskGroup() as group:
        for cookie in cookies:
            group.create_task(person(session, group, cookie))
    return found


async def look_at_once(base_url: str, cookies: Sequence[str], address: str) -> Looking:
    """All people ask for the same page in the same moment."""
    found = Looking()
    async with _browsers() as session:
        taken = await asyncio.gather(*(_asked(session, base_url + address, cookie) for cookie in cookies))
    found.seconds[address] = [one for one in taken if one is not None]
    found.failed = len(taken) - len(found.seconds[address])
    return found


def _browsers() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar())


async def _asked(session: aiohttp.ClientSession, url: str, cookie: str) -> float | None:
    """How long the answer took (s); None where it was none."""
    sent = time.perf_counter()
    try:
        async with session.get(url, headers={"Cookie": cookie}) as answer:
            await answer.read()
    except aiohttp.ClientError:
        return None
    return time.perf_counter() - sent if answer.status == 200 else None


async def until_up(base_url: str) -> None:
    """Wait for the admin.

    Raises:
        BenchError: It does not come up.
    """
    deadline = time.monotonic() + _UP_WITHIN_S
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < deadline:
            try:
                async with session.get(f"{base_url}/healthz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise BenchError("the admin does not come up")


@dataclass
class ReadingAlong:
    """Live pages that lie open: all are sent everything, and the first one notes when it could show each word."""

    base_url: str
    key: str
    readers: int
    events: int = 0
    arrived: dict[tuple[int, int], int] = field(default_factory=dict)
    """When which word of which answer was there first: ns, of the machine's clock."""

    async def read(self, ended: threading.Event) -> None:
        """Read along until it has ended."""
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.key}"}) as session:
            reading = [asyncio.ensure_future(self._one(session, notes=not number)) for number in range(self.readers)]
            while not ended.is_set():  # noqa: ASYNC110  # set by another thread
                await asyncio.sleep(0.1)
            for one in reading:
                one.cancel()
            await asyncio.gather(*reading, return_exceptions=True)

    async def _one(self, session: aiohttp.ClientSession, *, notes: bool) -> None:
        """One page; the stream ends every minute, and a browser comes back by itself."""
        while True:
            async with session.get(
                f"{self.base_url}/api/v1/live/events", timeout=aiohttp.ClientTimeout(None)
            ) as answer:
                if answer.status != 200:
                    raise BenchError(f"reading along is answered with {answer.status}")
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        self.events += 1
                        if notes:
                            self._note(json.loads(line[5:]), time.time_ns())

    def _note(self, content: Mapping[str, Any], now_ns: int) -> None:
        for answer, word in _STAMP.findall(content.get("text", "")):
            self.arrived.setdefault((int(answer), int(word)), now_ns)

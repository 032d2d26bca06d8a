"""The half of `bench admin` about calls that are up: how far live pages are behind the voice, what looking costs."""

import asyncio
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from scripts.benchmarks import calls as calls_bench
from scripts.benchmarks.admin_browsers import Addresses, Looking, ReadingAlong, look, reading_key, sign_in
from scripts.benchmarks.stage import BenchError, Server, cpu_seconds, say
from scripts.benchmarks.store import distribution
from scripts.cli_store import books_of

Row = dict[str, Any]
_READERS: Final = 20
"""Live pages that lie open while people look at other pages."""
_BEHIND_MS: Final = 1000.0
_CORE_PERCENT: Final = 5.0
_GAP_GROWS_MS: Final = 1.0
"""By so much the 99th percentile of the gap between two packets may differ: what one run differs from the next by."""
_PAGE_MS: Final = 60.0
_WORD_NS: Final = 200_000_000
"""Sound of one delta of the benchmark's model, by which its words are numbered: 10 frames."""


def live(calls: int, seconds: float, people: int, every_s: float) -> list[Row]:
    """Calls by themselves, with one live page open, and with a crowd."""
    alone, one, crowd = Watching(0, 0, every_s), Watching(1, 0, every_s), Watching(_READERS, people, every_s)
    sound = [_measured(calls, seconds, watching) for watching in (alone, one, crowd)]
    rows: list[Row] = [{"what": f"{calls} calls, nobody looks", "admin_core_percent": alone.core_percent, **sound[0]}]
    for watching, measured in ((one, sound[1]), (crowd, sound[2])):
        name = f"{calls} calls, {watching.name}"
        goal = round(sound[0]["rtp_gap_ms"]["p99"] + _GAP_GROWS_MS, 2)
        rows.append({"what": name, **measured, "goal": goal, "met": measured["rtp_gap_ms"]["p99"] <= goal})
        behind = distribution(watching.behind_s)
        rows.append(
            {
                "what": f"{name}: behind the voice",
                "words": len(watching.behind_s),
                "events": watching.events,
                "ms": behind,
                "goal": _BEHIND_MS,
                "met": behind["p95"] <= _BEHIND_MS,
            }
        )
    rows.append(
        {
            "what": f"{calls} calls, {one.name}: the admin's process",
            "core_percent": one.core_percent,
            "goal": _CORE_PERCENT,
            "met": one.core_percent <= _CORE_PERCENT,
        }
    )
    for what, taken in crowd.looking.seconds.items():
        ms = distribution(taken)
        name = f"{calls} calls, {crowd.name}: {what}"
        rows.append({"what": name, "requests": len(taken), "ms": ms, "goal": _PAGE_MS, "met": ms["p95"] <= _PAGE_MS})
    rows.append(
        {
            "what": f"{calls} calls, {crowd.name}: the admin's process",
            "failed": crowd.looking.failed,
            "core_percent": crowd.core_percent,
        }
    )
    for row in rows:
        say(" ".join(f"{key}={value}" for key, value in row.items()))
    return rows


def _measured(calls: int, seconds: float, watching: "Watching") -> Row:
    measured = calls_bench.measure(calls, seconds, 0, beside=watching.beside)
    return {name: measured[name] for name in ("failed", "rtp_gap_ms", "model_to_caller_ms", "underruns")}


@dataclass
class Watching:
    """Live pages of a server, and people who look at its other pages, for the length of a block."""

    readers: int
    people: int
    every_s: float
    events: int = 0
    """That the live pages were sent."""
    behind_s: list[float] = field(default_factory=list)
    """Of each word: from the end of its sound on the line to where a page could show it."""
    core_percent: float = 0.0
    """What the admin's process used meanwhile."""
    looking: Looking = field(default_factory=Looking)
    _ended: threading.Event = field(default_factory=threading.Event)

    @property
    def name(self) -> str:
        """Who looks."""
        pages = f"{self.readers} live page{'s' if self.readers != 1 else ''}"
        return f"{pages} and {self.people} people who look" if self.people else pages

    @contextlib.contextmanager
    def beside(self, server: Server) -> Iterator[None]:
        """Watch while something else is done."""
        if not self.readers:
            with self._counting(server):
                yield
            return
        reading = asyncio.run(self._prepared(server))
        thread = threading.Thread(target=lambda: asyncio.run(self._watch(reading)), name="browsers")
        thread.start()
        try:
            with self._counting(server):
                yield
        finally:
            self._ended.set()
            thread.join(10)
        self.events = reading.along.events
        self.behind_s = _behind(reading.along.arrived, server.home.parent / "responses.tsv")

    @contextlib.contextmanager
    def _counting(self, server: Server) -> Iterator[None]:
        pids = [one.pid for one in server.status().processes if one.name == "admin" and one.pid]
        began, used = time.monotonic(), cpu_seconds(pids)
        yield
        self.core_percent = round(100 * (cpu_seconds(pids) - used) / (time.monotonic() - began), 2)

    async def _prepared(self, server: Server) -> "_Prepared":
        base_url = f"http://127.0.0.1:{server.environment['AITELIER_ADMIN_PORT']}"
        async with books_of(server.environment) as books:
            tenant_id = await books.tenant(None)
            cookies = await sign_in(books.database, server.home, tenant_id, base_url, self.people)
            key = await reading_key(books.database, tenant_id)
        return _Prepared(ReadingAlong(base_url, key, self.readers), cookies, _looks(tenant_id))

    async def _watch(self, reading: "_Prepared") -> None:
        reads = asyncio.ensure_future(reading.along.read(self._ended))
        self.looking = await look(
            reading.along.base_url, reading.cookies, reading.looks, every_s=self.every_s, ended=self._ended.is_set
        )
        await reads


@dataclass(frozen=True)
class _Prepared:
    along: ReadingAlong
    cookies: Sequence[str]
    looks: Addresses


def _looks(tenant_id: UUID) -> Addresses:
    pages = {"live page": "live", "page of calls": "calls", "overview": ""}
    api = {"API, live": "live", "API, calls": "sessions"}
    paths = {name: f"/t/{tenant_id}/{path}" for name, path in pages.items()}
    paths |= {name: f"/api/v1/{path}?tenant_id={tenant_id}" for name, path in api.items()}
    return {name: _always(path) for name, path in paths.items()}


def _always(path: str) -> Callable[[random.Random], str]:
    return lambda _: path


def _behind(arrived: Mapping[tuple[int, int], int], responses: Path) -> list[float]:
    """How much later than its sound each word was there (s)."""
    first_heard = {}
    for line in responses.read_text().splitlines():
        _, response, first, *_ = (int(part) for part in line.split())
        first_heard[response] = first
    found = [
        (at_ns - first_heard[answer] - (word + 1) * _WORD_NS) / 1e9
        for (answer, word), at_ns in arrived.items()
        if answer in first_heard
    ]
    if not found:
        raise BenchError("no word of the calls has come to the live page")
    return found

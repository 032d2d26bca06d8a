"""S3, PostgreSQL and the disk fail under a whole server: it says so, loses nothing, and heals by itself."""

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from store.blobs_s3 import S3Blobs
from tests.calls.damage import all_ready, becomes, kept_away, kill, show, store_answers
from tests.calls.model import Words
from tests.calls.stack import Stack, running
from tests.peers import s3_server
from tests.peers.tcp_proxy import TcpProxy, proxied
from tests.store.disks import small_disk

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWER = Words("an answer", 700)
QUESTION = Words("a question", 500)


@dataclass
class World:
    """A server whose home is a small disk of its own, and whose bucket is at the end of a way that can fail."""

    stack: Stack
    way: TcpProxy
    disk: Path

    async def ready(self) -> tuple[int, dict[str, Any]]:
        """What `/readyz` says."""
        return await self._got("/readyz", "json")

    async def metrics(self) -> str:
        """What `/metrics` says."""
        return (await self._got("/metrics", "text"))[1]

    async def _got(self, path: str, kind: str) -> tuple[int, Any]:
        trusting = ssl.create_default_context(cafile=str(self.stack.authority))
        url = f"https://127.0.0.1:{self.stack.server.environment['AITELIER_ADMIN_PORT']}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=trusting) as answer:
            return answer.status, await getattr(answer, kind)()

    async def says(self, status: int, *parts: str, seconds: float = 60) -> dict[str, dict[str, str]]:
        """Wait until these parts, and no others, have problems; the problems by part."""
        told: tuple[int, dict[str, Any]] = (0, {})
        try:
            async with asyncio.timeout(seconds):
                while True:
                    told = await self.ready()
                    problems = {problem["part"]: problem for problem in told[1]["problems"]}
                    if told[0] == status and set(problems) == set(parts):
                        return problems
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"readyz was to say {status} and name {parts}; it says {told}") from None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world() -> AsyncIterator[World]:
    with (
        s3_server.running() as s3,
        proxied(s3.port) as way,
        tempfile.TemporaryDirectory(prefix="aitelier-disk-") as folder,
        small_disk(Path(folder) / "disk", "400m") as disk,
        pytest.MonkeyPatch.context() as patch,
    ):
        for passed in (Path(folder), disk):
            passed.chmod(0o711)  # the database's own user has to pass
        bucket = s3.bucket()
        patch.setattr(tempfile, "tempdir", str(disk))
        settings = {
            "s3_endpoint": f"http://127.0.0.1:{way.port}",
            "s3_bucket": bucket.bucket,
            "s3_access_key": bucket.access_key,
            "s3_secret_key": bucket.secret_key,
        }
        async with running(**settings) as stack:
            patch.undo()
            stack.blobs = S3Blobs(bucket)
            yield World(stack, way, disk)


async def test_all_is_well(world: World) -> None:
    """Nothing is named that works."""
    assert await world.says(200) == {}
    assert "aitelier_problem{" not in await world.metrics()


async def test_s3_is_away(world: World) -> None:
    """It is named, with what to do; calls go on, wait in the spool as a whole, and arrive when it is back."""
    business = await world.stack.business((ANSWER.step,), (ANSWER.step,), opening="Greet.")
    spool = world.stack.home / "spool"
    world.way.refusing = True
    world.way.cut()
    problem = (await world.says(200, "objects"))["objects"]
    assert "S3 service cannot be reached" in problem["problem"]
    assert "AITELIER_S3_ENDPOINT" in problem["remedy"]
    assert 'aitelier_problem{part="objects"} 1.0' in await world.metrics()
    async with business.called_by() as caller:
        await caller.hears(ANSWER)
    await becomes(lambda: list(spool.glob("*.journal")), "it waits")
    world.way.heal()
    await world.says(200)
    (story,) = await business.stories(1, seconds=60)
    assert story.recording is not None
    assert ANSWER.mulaw in story.agent
    await becomes(lambda: not list(spool.iterdir()), "the spool is empty again")


async def test_s3_hangs(world: World) -> None:
    """Whoever asks is told in time, and it is well again when it answers."""
    world.way.paused = True
    try:
        problem = (await world.says(200, "objects"))["objects"]
        assert "does not answer" in problem["problem"]
    finally:
        world.way.heal()
    await world.says(200)


async def test_postgresql_is_away(world: World) -> None:
    """503, and the database is named with what to do; the call that ends meanwhile is there when it is back."""
    business = await world.stack.business((ANSWER.step,), opening="Greet.")
    async with business.called_by() as caller:
        await caller.hears(ANSWER)
        async with kept_away(world.stack.server, "database"):
            problem = (await world.says(503, "database"))["database"]
            assert "database" in (await world.ready())[1]["waiting_for"]
            assert "AITELIER_DATABASE_URL" in problem["remedy"]
            await caller.hangs_up()
            await asyncio.sleep(1)
    await all_ready(world.stack.server, "database", 0)
    await world.says(200)
    await store_answers(business)
    (story,) = await business.stories(1, seconds=60)
    assert ANSWER.mulaw in story.agent


async def test_the_disk_is_full(world: World) -> None:
    """503, and the disk is named; nothing ends, a call goes on, and all of it is there once there is room."""
    business = await world.stack.business((ANSWER.step,), (ANSWER.step,), opening="Greet.", pace=0)
    async with business.called_by() as caller:
        await caller.hears(ANSWER)
        ballast = _fill(world.disk)
        problem = (await world.ready())[1]["problems"]
        assert "disk" in {one["part"] for one in problem}, problem
        caller.speaks(QUESTION)
        await caller.hears(ANSWER)
        killed = kill(world.stack.server, "rehearsal")
        await asyncio.sleep(5)
        assert (await world.ready())[0] == 503
        assert world.stack.server.process.poll() is None, "the supervisor goes on"
        assert not caller.dialog.ended.is_set()
        ballast.unlink()
    await all_ready(world.stack.server, "rehearsal", killed)
    await world.says(200)
    await store_answers(business)
    (story,) = await business.stories(1, seconds=60)
    assert story.end == ("caller_hung_up", "caller")
    assert [text for _, text in story.said()].count(ANSWER.text) == 2
    assert ANSWER.mulaw in story.agent
    restarts = {one.name: one.restarts for one in world.stack.server.status().processes if one.restarts}
    show(f"started again since the first test, on the full disk above all: {restarts}")


def _fill(folder: Path) -> Path:
    """Take all the room on a disk; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for piece in (bytes(1 << 20), bytes(1 << 12)):
            try:
                while file.write(piece):
                    pass
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0
    return ballast

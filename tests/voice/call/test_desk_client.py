"""The worker's side of the desk's socket: deadlines, a desk that goes and comes, spare plans, notices that wait."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.fakes.desk import LocalDesk
from tests.fakes.plans import PLAN, make_plan
from tests.voice.call.conftest import until
from voice.call import desk_client as module
from voice.call.desk_client import DeskAwayError, DeskClient
from voice.waist.messages import (
    AnyMessage,
    CallClosed,
    Done,
    HangUpOrdered,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    TokenMinted,
    TokenRequested,
    WorkerIntroduced,
)

ASK_TOKEN = TokenRequested(session_id="s", tenant_id="t", project_id="p")
ASK_PLAN = PlanRequested(called="+4930123456", caller=None, trunk="loopback", sip_call_id="c")


async def obey(order: AnyMessage) -> Done:
    """Do as told, and say what that was."""
    return Done(ok=True, why=type(order).__name__)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[DeskClient]:
    """A client of a desk that may come up later."""
    client = DeskClient(tmp_path / "desk.sock", "worker 3")
    client.start(obey)
    yield client
    await client.close()


async def test_asks_and_obeys(client: DeskClient, tmp_path: Path) -> None:
    """It introduces itself, gets replies to what it asked, and answers orders."""
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        assert await client.wait_connected(5)
        assert isinstance(await client.ask(ASK_TOKEN, seconds=2), TokenMinted)
        assert desk.told == [WorkerIntroduced(worker="worker 3")]
        assert await desk.order(HangUpOrdered(session_id="s")) == Done(ok=True, why="HangUpOrdered")


async def test_deadline_is_kept(client: DeskClient, tmp_path: Path) -> None:
    """A desk that is slow is as good as away once the deadline has passed; its late reply harms nobody."""
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        assert await client.wait_connected(5)
        desk.delay_seconds = 0.4
        began = time.monotonic()
        with pytest.raises(DeskAwayError):
            await client.ask(ASK_TOKEN, seconds=0.1)
        assert time.monotonic() - began < 0.3
        desk.delay_seconds = 0.0
        await asyncio.sleep(0.4)
        assert isinstance(await client.ask(ASK_TOKEN, seconds=2), TokenMinted)


async def test_desk_that_dies_and_comes_back(client: DeskClient, tmp_path: Path) -> None:
    """Requests under way fail at once, notices wait and arrive in order, and the client finds the desk again."""
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        assert await client.wait_connected(5)
        desk.delay_seconds = 30
        asking = asyncio.ensure_future(client.ask(ASK_TOKEN, seconds=10))
        await until(lambda: desk.asked)
        await desk.stop()
        with pytest.raises(DeskAwayError):
            await asking
        with pytest.raises(DeskAwayError):
            await client.ask(ASK_TOKEN, seconds=10)
        for number in range(3):
            client.notify(CallClosed(session_id=str(number)))
        desk.told.clear()
        await desk.start()
        await until(lambda: len(desk.told) == 4)
        assert desk.told[1:] == [CallClosed(session_id=str(number)) for number in range(3)]


async def test_spare_plan_is_used_once(client: DeskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the desk is away one call per number is answered with the spare plan; the next gets a 503."""
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.05)
    plan, spare = make_plan("ws://x"), make_plan("ws://x")
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        assert await client.wait_connected(5)
        desk.plan = lambda request: PlanGranted(plan=plan, spare=spare if request.spare_wanted else None)
        assert await client.plan(ASK_PLAN) == PlanGranted(plan=plan, spare=spare)
        assert await client.plan(ASK_PLAN) == PlanGranted(plan=plan)
        await desk.stop()
        assert await client.plan(ASK_PLAN) == PlanGranted(plan=spare)
        denied = await client.plan(ASK_PLAN)
        assert isinstance(denied, PlanDenied)
        assert denied.sip_status == 503
        other = await client.plan(msgspec.structs.replace(ASK_PLAN, called="+4930999"))
        assert isinstance(other, PlanDenied)


async def test_desk_that_cannot_know_uses_the_spare_and_one_that_says_no_drops_it(
    client: DeskClient, tmp_path: Path
) -> None:
    """A 503 of the desk's own calls for the spare plan; a 404 means that the number is gone, and its spare with it."""
    spare = make_plan("ws://x")
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        assert await client.wait_connected(5)

        async def asked_of(answer: PlanDenied) -> PlanGranted | PlanDenied:
            desk.plan = lambda _: PlanGranted(plan=PLAN, spare=spare)
            await client.plan(ASK_PLAN)
            desk.plan = lambda _: answer
            return await client.plan(ASK_PLAN)

        assert await asked_of(PlanDenied(sip_status=503, reason="no database")) == PlanGranted(plan=spare)
        gone = PlanDenied(sip_status=404, reason="no such number")
        assert await asked_of(gone) == gone
        away = PlanDenied(sip_status=503, reason="no database")
        desk.plan = lambda _: away
        answer = await client.plan(ASK_PLAN)
        assert isinstance(answer, PlanDenied)
        assert answer.sip_status == 503


async def test_spares_are_limited(client: DeskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the latest numbers have a spare plan, so that memory stays bounded."""
    monkeypatch.setattr(module, "RECONNECT_SECONDS", 0.05)
    async with LocalDesk(tmp_path / "desk.sock") as desk:
        assert await client.wait_connected(5)
        desk.plan = lambda _: PlanGranted(plan=PLAN, spare=PLAN)
        numbers = [msgspec.structs.replace(ASK_PLAN, called=f"+49{number}") for number in range(module.MOST_SPARES + 1)]
        for request in numbers:
            await client.plan(request)
        await desk.stop()
        assert isinstance(await client.plan(numbers[0]), PlanDenied)
        assert isinstance(await client.plan(numbers[-1]), PlanGranted)


async def test_garbage_from_the_desk_costs_the_connection_only(tmp_path: Path) -> None:
    """Bytes that are no message end the connection, and a new one is made."""
    seen: list[bytes] = []

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read(10))
        writer.write(b"\x00\x00\x00\x04abcd" if len(seen) % 2 else b"\xff\xff\xff\xffabcd")
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(babble, tmp_path / "desk.sock")
    client = DeskClient(tmp_path / "desk.sock", "worker")
    client.start(obey)
    await until(lambda: len(seen) >= 3)
    await client.close()
    server.close()
    await server.wait_closed()

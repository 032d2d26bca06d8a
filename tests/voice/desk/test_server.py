import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import pytest

from policies.audit_tags import OPERATOR
from scripts.operators import ask
from store import sessions, trunks
from store.blobs import FolderBlobs
from store.engine import Database
from store.settings import StoreSettings
from tests.database import Shop
from tests.voice.desk.conftest import (
    BOOKING,
    Worker,
    connected,
    database_away,
    open_desk,
    running,
    settings_in,
    stock,
    until,
)
from tests.voice.desk.left_behind import CALL, STARTED_UNIX_MS
from voice.desk import server
from voice.desk.live import LiveChange
from voice.desk.server import Desk
from voice.desk.settings import DeskSettings
from voice.desk.sockets import DeskRunningError
from voice.rehearsal.server import RehearsalServer
from voice.waist.journal import Header, JournalSealer
from voice.waist.messages import (
    LENGTH,
    CallClosed,
    CallStateChanged,
    DeskAwayError,
    Done,
    Envelope,
    HangUpOrdered,
    LiveCallChanged,
    LiveCallsListed,
    LiveCallsRequested,
    PauseOrdered,
    PlanDenied,
    PlanGranted,
    PlanRequested,
    TokenDenied,
    TokenMinted,
    TokenRequested,
    ToolDone,
    ToolRequested,
    TransferOrdered,
    TrunksListed,
    TrunksRequested,
    TrunkTerms,
    TurnHeard,
    TurnSounding,
    decode_envelope,
    frame,
)
from voice.waist.plan import CallPlan


def tool_request(plan: CallPlan, **arguments: object) -> ToolRequested:
    return ToolRequested(
        session_id=plan.session_id,
        tenant_id=plan.tenant_id,
        project_id=plan.project_id,
        name="book_day",
        arguments=arguments,
    )


async def state_of(database: Database, shop: Shop, session_id: str) -> tuple[str, str | None] | None:
    async with database.tenant(shop.tenant_id) as store:
        session = await sessions.find_session(store, UUID(session_id), actor=OPERATOR)
    return session and (session.state, session.end_reason)


async def is_in(database: Database, shop: Shop, session_id: str, state: tuple[str, str | None] | None) -> bool:
    return await state_of(database, shop, session_id) == state


def is_state(desk: Desk, state: str) -> bool:
    return [call.state for call in desk.live.up()] == [state]


async def test_sockets_are_private(desk: Desk, settings: DeskSettings) -> None:
    """Only the desk's own user may connect; a second desk on the same sockets refuses to start."""
    for path in (settings.workers_socket, settings.operators_socket):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(BaseExceptionGroup) as refused:
        await Desk.run(desk)
    assert refused.group_contains(DeskRunningError)


async def test_stale_socket_is_replaced(settings: DeskSettings, database: Database, blobs: FolderBlobs) -> None:
    """What a killed desk left does not keep the next one from starting; a group may be let in."""
    settings.workers_socket.touch()
    grouped = DeskSettings(
        home=settings.home,
        run=settings.run,
        model=settings.model,
        local_speech=settings.local_speech,
        worker_group=os.getgid(),
    )
    async with open_desk(grouped, database, blobs) as desk, running(desk):
        assert stat.S_IMODE(grouped.workers_socket.stat().st_mode) == 0o660
        assert stat.S_IMODE(grouped.operators_socket.stat().st_mode) == 0o600
    assert not grouped.workers_socket.exists()


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        LENGTH.pack(1 << 30),
        LENGTH.pack(4) + b"\xc1\xc1\xc1\xc1",
        frame(Envelope(number=0, is_reply=False, body=Done(ok=True))),
        frame(Envelope(number=1, is_reply=False, body=LiveCallsRequested())),
    ],
)
async def test_bad_message_ends_its_connection_only(
    worker: Worker, bakery: Shop, settings: DeskSettings, garbage: bytes
) -> None:
    """Noise, an endless message, or an operator's question on the workers' socket: that peer is cut off, others not."""
    reader, writer = await asyncio.open_unix_connection(settings.workers_socket)
    writer.write(garbage)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    assert isinstance(await worker.plan(bakery.called), PlanGranted)


async def test_requests_are_answered_beside_each_other(worker: Worker, bakery: Shop) -> None:
    """A slow plan does not hold up the next question of the same worker."""
    plan = await worker.granted(bakery.called)
    slow = asyncio.ensure_future(worker.plan("+4915550000000"))
    done = await worker.client.ask(tool_request(plan, day="monday"), seconds=5)
    assert done == ToolDone(ok=True, result={"tenant": plan.tenant_id, "day": "monday"}) or isinstance(done, ToolDone)
    assert isinstance(await slow, PlanDenied)


async def has_turn(listed: Callable[[], Awaitable[LiveCallsListed]]) -> bool:
    calls = (await listed()).calls
    return bool(calls) and calls[0].turns > 0


async def test_live_calls_and_orders(worker: Worker, bakery: Shop, settings: DeskSettings) -> None:
    """An operator sees the calls that are up and sends orders to the worker that has them."""
    plan = await worker.granted(bakery.called)
    worker.client.notify(CallStateChanged(session_id=plan.session_id, state="conversing"))
    worker.client.notify(TurnHeard(session_id=plan.session_id, role="caller", text="canary"))

    async def listed() -> LiveCallsListed:
        return await ask(settings.run, LiveCallsRequested(tenant_id=plan.tenant_id), LiveCallsListed)

    await until(lambda: has_turn(listed))
    (call,) = (await listed()).calls
    assert (call.session_id, call.state, call.worker) == (plan.session_id, "conversing", "worker 0")
    assert "canary" not in repr(call)
    for order in (
        HangUpOrdered(session_id=plan.session_id),
        TransferOrdered(session_id=plan.session_id, target_id="boss"),
        PauseOrdered(session_id=plan.session_id, by="operator"),
    ):
        assert await ask(settings.run, order, Done) == Done(ok=True)
    assert [type(order).__name__ for order in worker.orders] == ["HangUpOrdered", "TransferOrdered", "PauseOrdered"]
    other = await ask(settings.run, LiveCallsRequested(tenant_id="somebody else"), LiveCallsListed)
    assert other == LiveCallsListed(calls=())
    unknown = await ask(settings.run, HangUpOrdered(session_id="unknown"), Done)
    assert unknown == Done(ok=False, why="no such call is up")


async def test_watchers_hear_turns(desk: Desk, worker: Worker, bakery: Shop) -> None:
    """A live view in this process is told each turn and the end, and nothing after it has left."""
    plan = await worker.granted(bakery.called)
    heard: list[str] = []

    def told(change: LiveChange) -> None:
        heard.append(
            change.call.state if isinstance(change, LiveCallChanged) else f"{change.number} {change.turn.text}"
        )

    stop = desk.live.watch(told)
    worker.client.notify(CallStateChanged(session_id=plan.session_id, state="conversing"))
    worker.client.notify(TurnSounding(session_id=plan.session_id, text="Hel"))
    worker.client.notify(TurnHeard(session_id=plan.session_id, role="agent", text="Hello"))
    worker.client.notify(TurnHeard(session_id=plan.session_id, role="caller", text="Hi"))
    worker.client.notify(CallClosed(session_id=plan.session_id))
    await until(lambda: "ended" in heard)
    assert heard == ["conversing", "0 Hel", "0 Hello", "1 Hi", "ended"]
    stop()


async def test_trunks_are_listed(desk: Desk, settings: DeskSettings, database: Database, bakery: Shop) -> None:
    """The edge's list of who may send calls comes from all tenants."""
    async with database.tenant(bakery.tenant_id) as store:
        trunk = await trunks.create(store, name="Carrier", networks=["192.0.2.0/24"], actor=OPERATOR)
    assert await ask(settings.run, TrunksRequested(), TrunksListed) == TrunksListed(
        trunks=(
            TrunkTerms(
                id=str(trunk.id), networks=("192.0.2.0/24",), transports=("tls",), srtp="mandatory", min_tls="1.3"
            ),
        )
    )


async def test_nobody_answers_without_a_desk(folder: Path) -> None:
    """An operator without a desk gets an error, at once."""
    with pytest.raises(DeskAwayError):
        await ask(folder, LiveCallsRequested(), LiveCallsListed)


async def test_call_that_left_no_journal_is_closed(worker: Worker, bakery: Shop, database: Database) -> None:
    """A caller who gave up before the answer leaves no journal; the call counts no more."""
    plan = await worker.granted(bakery.called)
    worker.client.notify(CallClosed(session_id=plan.session_id))
    await until(lambda: is_in(database, bakery, plan.session_id, ("ended", "not_answered")))


async def test_database_away_is_503_and_comes_back(
    worker: Worker, bakery: Shop, database_home: Path, store_settings: StoreSettings
) -> None:
    """While nothing can be decided the worker is told so at once; when the database is back, so are plans."""
    await worker.granted(bakery.called)
    with database_away(database_home, store_settings):
        assert await worker.plan(bakery.called) == PlanDenied(sip_status=503, reason="the desk cannot decide now")
    assert isinstance(await worker.plan(bakery.called), PlanGranted)


async def test_call_answered_while_the_desk_was_away_is_not_lost(
    settings: DeskSettings, database: Database, blobs: FolderBlobs, bakery: Shop
) -> None:
    """A worker answers with its spare plan while there is no desk; the next desk takes the call in as any other."""
    await stock(settings, database, bakery)
    request = PlanRequested(called=bakery.called, caller="+493012345678", trunk="loopback", sip_call_id="call@test")
    async with contextlib.AsyncExitStack() as worker_lives:
        async with open_desk(settings, database, blobs) as first, running(first):
            worker = await worker_lives.enter_async_context(connected(settings))
            assert isinstance(await worker.client.plan(request), PlanGranted)
        answer = await worker.client.plan(request)
        assert isinstance(answer, PlanGranted)
        plan = answer.plan
        assert await state_of(database, bakery, plan.session_id) == ("spare", None)
        await asyncio.to_thread(write_journal, settings.spool, plan)
        async with open_desk(settings, database, blobs) as second, running(second):
            await until(lambda: is_in(database, bakery, plan.session_id, ("ended", "hung_up")))
    async with database.tenant(bakery.tenant_id) as store:
        session = await sessions.find_session(store, UUID(plan.session_id), actor=OPERATOR)
    assert session is not None
    assert session.caller == "+493012345678"


def write_journal(spool: Path, plan: CallPlan) -> None:
    """As the worker does, under the key of its plan."""
    header = Header(
        session_id=plan.session_id,
        tenant_id=plan.tenant_id,
        project_id=plan.project_id,
        scenario_id=plan.scenario_id,
        scenario_version=plan.scenario_version,
        wrapped_data_key=plan.wrapped_data_key,
        started_at_unix_ms=STARTED_UNIX_MS,
    )
    sealer = JournalSealer(header, plan.data_key)
    (spool / f"{plan.session_id}.journal").write_bytes(sealer.preamble + b"".join(map(sealer.seal, CALL)))


async def test_spare_counts_once_it_is_used(worker: Worker, bakery: Shop, database: Database) -> None:
    """The first sign of life of a call that was answered with a spare plan makes it a call of the tenant's."""
    answer = await worker.plan(bakery.called, spare=True)
    assert isinstance(answer, PlanGranted)
    assert answer.spare is not None
    worker.client.notify(CallStateChanged(session_id=answer.spare.session_id, state="disclosing"))
    await until(lambda: is_in(database, bakery, answer.spare.session_id, ("open", None)))


async def test_plan_nobody_used_is_closed(
    worker: Worker, bakery: Shop, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that came too late for its call stops counting, though its worker lives and says nothing."""
    plan = await worker.granted(bakery.called)
    monkeypatch.setattr(server, "UNUSED_PLAN_SECONDS", 0.0)
    await until(lambda: is_in(database, bakery, plan.session_id, ("ended", "not_answered")))


async def test_tokens_are_for_calls_that_are_up(
    folder: Path, rehearsal: RehearsalServer, database: Database, blobs: FolderBlobs, bakery: Shop
) -> None:
    """A call gets tokens for its model, but not without end; a made-up call gets none."""
    settings = settings_in(folder, rehearsal.url)
    await stock(settings, database, bakery)
    async with open_desk(settings, database, blobs) as desk, running(desk), connected(settings) as worker:
        plan = await worker.granted(bakery.called)

        async def token(session_id: str) -> object:
            request = TokenRequested(session_id=session_id, tenant_id=plan.tenant_id, project_id=plan.project_id)
            return await worker.client.ask(request, seconds=5)

        for _ in range(server.MOST_TOKENS):
            assert isinstance(await token(plan.session_id), TokenMinted)
        assert await token(plan.session_id) == TokenDenied(code="too_many_tokens")
        assert await token("0192f0c1-0000-7000-8000-000000000000") == TokenDenied(code="unknown_session")


FOREIGN_WORKER = """
import asyncio, structlog, sys
from pathlib import Path
from voice.call.desk_client import DeskClient
from voice.call.journal import Journal, SpoolWriter
from voice.waist.messages import *
import time

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

async def obey(_): return Done(ok=True)

async def main(socket, spool, called):
    client = DeskClient(Path(socket), "foreign")
    client.start(obey)
    await client.wait_connected(5)
    request = PlanRequested(called=called, caller=None, trunk="loopback", sip_call_id="x", spare_wanted=True)
    answer = await client.ask(request, seconds=5)
    writer = SpoolWriter()
    journal = Journal(writer, Path(spool), answer.plan, time.monotonic())
    await writer.done()
    print(answer.plan.session_id, answer.plan.tenant_id, answer.spare.session_id, flush=True)
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        words = line.split()
        if words[0] == "alone":
            while client.connected:
                await asyncio.sleep(0.01)
            print("alone", flush=True)
            continue
        await client.wait_connected(5)
        if words[0] == "state":
            client.notify(CallStateChanged(session_id=answer.plan.session_id, state=words[1]))
        elif words[0] == "tool":
            plan = answer.plan
            request = ToolRequested(session_id=plan.session_id, tenant_id=plan.tenant_id, project_id=plan.project_id,
                                    name="book_day", arguments={"day": "friday"})
            print(await client.ask(request, seconds=5), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class Foreign:
    """A worker in a process of its own."""

    def __init__(self, settings: DeskSettings, called: str) -> None:
        settings.spool.mkdir(exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", FOREIGN_WORKER, str(settings.workers_socket), str(settings.spool), called],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(20):
            return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


async def test_worker_may_speak_for_its_own_calls_only(
    desk: Desk, worker: Worker, bakery: Shop, settings: DeskSettings
) -> None:
    """Another process' call gets no token, no tool and no change of state, even for its right ids."""
    foreign = Foreign(settings, bakery.called)
    try:
        session_id, tenant_id, _ = (await foreign.line()).split()
        foreign.say("state conversing")
        await until(lambda: is_state(desk, "conversing"))
        token = TokenRequested(session_id=session_id, tenant_id=tenant_id, project_id=str(bakery.project_id))
        assert await worker.client.ask(token, seconds=5) == TokenDenied(code="unknown_session")
        tool = ToolRequested(
            session_id=session_id,
            tenant_id=tenant_id,
            project_id=str(bakery.project_id),
            name="book_day",
            arguments={"day": "monday"},
        )
        done = await worker.client.ask(tool, seconds=5)
        assert isinstance(done, ToolDone)
        assert not done.ok
        worker.client.notify(CallStateChanged(session_id=session_id, state="ended"))
        worker.client.notify(CallClosed(session_id=session_id))
        await worker.client.ask(token, seconds=5)
        assert desk.live.up()[0].state == "conversing"
    finally:
        foreign.kill()


async def test_killed_worker_loses_its_calls_at_once(
    desk: Desk, worker: Worker, bakery: Shop, settings: DeskSettings, database: Database
) -> None:
    """Its call ends as lost, its unused spare plan is gone with its key, and other workers' calls stay."""
    plan = await worker.granted(bakery.called)
    foreign = Foreign(settings, bakery.called)
    session_id, _, spare_id = (await foreign.line()).split()
    assert desk.live.find(session_id) is not None
    foreign.kill()
    await until(lambda: is_in(database, bakery, session_id, ("ended", "worker_lost")))
    await until(lambda: is_in(database, bakery, spare_id, None))
    assert desk.live.find(session_id) is None
    assert desk.live.find(plan.session_id) is not None
    async with database.tenant(bakery.tenant_id) as store:
        assert UUID(spare_id) not in await store.keys.data_keys(store, [UUID(spare_id)])


async def test_restarted_desk_takes_its_calls_over(
    settings: DeskSettings, database: Database, blobs: FolderBlobs, bakery: Shop
) -> None:
    """After a restart the worker's next word is enough: its call is live again and its tools run in its tenant."""
    await stock(settings, database, bakery)
    async with open_desk(settings, database, blobs, tools=[BOOKING]) as first, running(first):
        foreign = Foreign(settings, bakery.called)
        session_id, tenant_id, _ = (await foreign.line()).split()
    try:
        assert await state_of(database, bakery, session_id) == ("open", None)
        foreign.say("alone")
        assert await foreign.line() == "alone"  # else what it asks next may still go to the first
        async with open_desk(settings, database, blobs, tools=[BOOKING]) as second, running(second):
            foreign.say("tool")
            assert "this call has no such tool" in await foreign.line()  # known again; its scenario offers no such tool
            foreign.say("state conversing")
            await until(lambda: is_state(second, "conversing"))
            assert second.live.up(tenant_id)[0].session_id == session_id
            async with connected(settings) as thief:
                tool = ToolRequested(
                    session_id=session_id, tenant_id=tenant_id, project_id="", name="book_day", arguments={}
                )
                done = await thief.client.ask(tool, seconds=5)
                assert isinstance(done, ToolDone)
                assert done.result == {"error": "unknown session"}
    finally:
        foreign.kill()


def test_envelope_survives_the_wire() -> None:
    """The operators' messages are part of the protocol."""
    envelope = Envelope(number=3, is_reply=True, body=LiveCallsListed(calls=()))
    assert decode_envelope(frame(envelope)[LENGTH.size :]) == envelope

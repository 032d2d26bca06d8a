"""The edge under noise, floods and rudeness."""

import asyncio
import os
import random
import subprocess
import sys
import time

import pytest

from sip.control import request_report
from sip.settings import EdgeLimits
from tests.peers.edge_world import Opener, World
from tests.peers.raw_sip import Peer
from tests.peers.torture import honest, mutated

UNLIMITED = EdgeLimits(cooling_s=0.0, invites_per_s=1e9, invites_burst=10**9, messages_per_s=1e9, messages_burst=10**9)
MUTATED = 5_000


async def _drain(peer: Peer, statuses: dict[int, int]) -> None:
    await asyncio.sleep(0)
    while not peer.received.empty():
        status = peer.received.get_nowait().status
        statuses[status] = statuses.get(status, 0) + 1


async def test_mutated_invites_over_udp(open_edge: Opener) -> None:
    """5,000 damaged INVITEs: nothing breaks inside, refusals are honest, and the next good call works."""
    random_, statuses = random.Random(4475), {}
    async with open_edge(limits=UNLIMITED, max_calls=10**6) as world:
        await world.worker(slots=10**6)
        peer = await world.udp()
        for number in range(MUTATED):
            message = peer.request("INVITE", "sip:busy@x", call_id=f"m{number}@test").encode()
            peer.send(mutated(message, random_))
            if number % 20 == 19:
                await asyncio.sleep(0.001)
                await _drain(peer, statuses)
        await asyncio.sleep(0.1)
        await _drain(peer, statuses)
        assert honest(statuses), statuses
        assert statuses[400] > 500
        assert "internal error" not in world.edge.report().metrics
        assert (await peer.call()).status == 200


async def test_mutated_invites_over_tcp(open_edge: Opener) -> None:
    """The same over connections, which the damage often ends."""
    random_, statuses = random.Random(3261), {}
    async with open_edge(limits=UNLIMITED, max_calls=10**6) as world:
        await world.worker(slots=10**6)
        peer = await world.tcp()
        for number in range(MUTATED):
            if number % 25 == 24 or peer.lost.is_set():
                await asyncio.sleep(0.001)
                await _drain(peer, statuses)
                peer.close()
                world.peers.remove(peer)
                peer = await world.tcp()
            message = peer.request("INVITE", "sip:busy@x", call_id=f"m{number}@test").encode()
            peer.send(mutated(message, random_))
        await _drain(peer, statuses)
        assert honest(statuses), statuses
        assert statuses[400] > 100
        assert "internal error" not in world.edge.report().metrics
        good = await world.tcp()
        assert (await good.call()).status == 200


async def test_a_flood_of_calls_from_one_source(open_edge: Opener) -> None:
    """At 300 INVITE/s no worker gets more than its slots, the rest are honest 503s, a running call goes on."""
    async with open_edge(limits=EdgeLimits(cooling_s=0.7)) as world:
        for _ in range(3):
            await world.worker()
        talking, flood = await world.udp(), await world.udp()
        ok = await talking.call(call_id="talking@test")
        statuses: dict[int, int] = {}
        began = time.monotonic()
        for number in range(600):
            flood.send(flood.request("INVITE", call_id=f"f{number}@test"))
            await asyncio.sleep(max(0.0, began + number / 300 - time.monotonic()))
            await _drain(flood, statuses)
            assert all(len(worker.invites) <= 4 for worker in world.workers)
        await asyncio.sleep(0.1)
        await _drain(flood, statuses)
        assert statuses == {200: 11, 503: 589}
        talking.send(talking.request("BYE", ok.target, call_id="talking@test", cseq=2, to_tag=ok.tag("to")))
        assert (await talking.get()).status == 200
        noted = world.edge.report().refusals
        assert sum(refusal.times for refusal in noted) == 589
        assert {refusal.reason for refusal in noted} == {"no free line", "more new calls than one source may make"}


async def test_invite_and_cancel_at_speed(open_edge: Opener) -> None:
    """Cancelled calls cool their slots too: the worker never sees more than its slots within one cooling time."""
    cooling_s = 0.3
    async with open_edge(limits=EdgeLimits(cooling_s=cooling_s, invites_per_s=1e6, invites_burst=10**6)) as world:
        worker = await world.worker()
        peer = await world.udp()
        arrivals: list[float] = []
        for number in range(200):
            via, seen = peer.via(), len(worker.invites)
            peer.send(peer.request("INVITE", "sip:ring@x", call_id=f"c{number}@test", via=via))
            answer = await peer.get(180, 503)
            if answer.status == 180:
                assert len(worker.invites) == seen + 1
                arrivals.append(time.monotonic())
                peer.send(peer.request("CANCEL", "sip:ring@x", call_id=f"c{number}@test", via=via))
                await peer.get(487)
            await asyncio.sleep(0.003)
        windows = [sum(1 for other in arrivals if at <= other < at + cooling_s) for at in arrivals]
        assert max(windows) <= 4
        assert len(arrivals) >= 8


async def test_the_41st_call(open_edge: Opener) -> None:
    """40 calls spread evenly over more workers than needed, the 41st gets 503, and a freed slot is given again."""
    async with open_edge(max_calls=40, limits=EdgeLimits(cooling_s=0.05)) as world:
        for _ in range(12):
            await world.worker()
        peer = await world.udp()
        calls = [await peer.call(call_id=f"k{number}@test") for number in range(41)]
        assert [ok.status for ok in calls] == [200] * 40 + [503]
        assert {len(worker.invites) for worker in world.workers} == {3, 4}
        peer.send(peer.request("BYE", calls[0].target, call_id="k0@test", cseq=2, to_tag=calls[0].tag("to")))
        await peer.get(200)
        await asyncio.sleep(0.02)
        assert (await peer.call()).status == 200


async def test_a_slot_cools_before_it_is_given_again(open_edge: Opener) -> None:
    """After the end of a call its slot is not given for the cooling time, then it is."""
    async with open_edge(limits=EdgeLimits(cooling_s=0.3)) as world:
        await world.worker(slots=1)
        peer = await world.udp()
        assert (await peer.call("sip:busy@x")).status == 486
        await asyncio.sleep(0.1)
        assert (await peer.call()).status == 503
        await asyncio.sleep(0.3)
        assert (await peer.call()).status == 200


async def test_more_messages_than_one_source_may_send(open_edge: Opener) -> None:
    """Over UDP what is too much is dropped; over TCP the sender is read more slowly and loses nothing."""
    limits = EdgeLimits(messages_per_s=200.0, messages_burst=20)
    async with open_edge(limits=limits) as world:
        peer = await world.udp()
        for _ in range(100):
            peer.send(peer.request("OPTIONS"))
        await asyncio.sleep(0.1)
        assert 20 <= peer.received.qsize() <= 45
        stream = await world.tcp()
        began = time.monotonic()
        for _ in range(60):
            stream.send(stream.request("OPTIONS"))
        for _ in range(60):
            await stream.get(200)
        assert time.monotonic() - began > 0.15


async def test_slow_and_idle_connections_are_cut(open_edge: Opener) -> None:
    """A message that takes too long to come, and a silent connection, end; keep-alives are answered and keep it."""
    async with open_edge(limits=EdgeLimits(partial_message_s=0.2, idle_s=0.6)) as world:
        await world.worker()
        slow, idle, alive, talking = [await world.tcp() for _ in range(4)]
        assert (await talking.call()).status == 200
        slow.send("OPTIONS sip:x SIP/2.0\r\n")
        for _ in range(5):
            await asyncio.sleep(0.2)
            slow.send("X: y\r\n")
            alive.send("\r\n\r\n")
        assert slow.lost.is_set()
        assert idle.lost.is_set()
        assert not alive.lost.is_set()
        assert not talking.lost.is_set(), "its call still needs it"
        await asyncio.sleep(0.02)
        assert bytes(alive.bytes_in) == b"\r\n" * 5


async def test_headers_without_end(world: World) -> None:
    """A header block or a message above the limit ends the connection."""
    for noise in ("A" * 20_000, "INVITE sip:x SIP/2.0\r\nContent-Length: 999999\r\n\r\n"):
        peer = await world.tcp()
        peer.send(noise)
        await asyncio.wait_for(peer.lost.wait(), 2)


async def test_connections_of_one_source(open_edge: Opener) -> None:
    """One source gets so many connections and no more; another still gets in."""
    async with open_edge(limits=EdgeLimits(connections_per_source=5, connections=6)) as world:
        peers = [await world.tcp() for _ in range(7)]
        await asyncio.sleep(0.05)
        assert [peer.lost.is_set() for peer in peers] == [False] * 5 + [True] * 2
        other = await world.tcp(source="127.0.0.8")
        other.send(other.request("OPTIONS"))
        assert (await other.get()).status == 200
        refused = await world.tcp(source="127.0.0.7")
        await asyncio.wait_for(refused.lost.wait(), 1)
        for peer in peers:
            peer.close()
        await asyncio.sleep(0.05)
        assert (await request_report(world.control)).connections == 1


async def test_tiny_datagrams_are_keepalives(world: World) -> None:
    """CRLF, NUL and an empty datagram over UDP get no answer and do no harm."""
    peer = await world.udp()
    for noise in (b"", b"\r\n", b"\r\n\r\n", b"\0", b"\0\0\0\0"):
        peer.send(noise)
    peer.send(peer.request("OPTIONS"))
    assert (await peer.get()).status == 200


@pytest.mark.parametrize(
    "order", ["WorkerReady(index=0, sip_port=9, slots=4)", "DrainOrdered()", "WorkerDied(index=0)"]
)
async def test_another_process_cannot_speak_for_a_worker(world: World, order: str) -> None:
    """The kernel names the sender: no process takes over a living worker's index, no other user gives orders."""
    program = (
        "import os, sys; from pathlib import Path; from sip.control import *; s = ControlSender(Path(sys.argv[1]));\n"
        "os.chdir(sys.argv[2])\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        f"sys.exit(0 if s.send({order}) else 1)"
    )
    if os.geteuid() != 0 and not order.startswith("WorkerReady"):
        pytest.skip("NOT TESTED: only root can take another user's place")
    world.control.parent.chmod(0o711)
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, world.control.name, str(world.control.parent), stdin=subprocess.DEVNULL
    )
    assert await started.wait() == 0
    await asyncio.sleep(0.02)
    peer = await world.udp()
    assert (await peer.call()).status == 200
    assert world.edge.report().workers_up == 1
    assert "aitelier_sip_dropped_total" in world.edge.report().metrics


async def test_an_index_that_there_is_not(open_edge: Opener) -> None:
    """A worker beyond the known number is not believed: an exploited one cannot multiply itself."""
    async with open_edge(workers=1) as world:
        await world.worker()
        await world.worker()
        assert world.edge.report().workers_up == 1

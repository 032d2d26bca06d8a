"""The edge with real workers behind it: what gets past the edge must not harm the SIP stack."""

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from sip.settings import EdgeLimits
from tests.peers.edge_world import World, opened_edge
from tests.peers.raw_sip import SDP, Answer, Peer
from tests.peers.sip_phone import SipPhone
from tests.peers.torture import honest, mutated, torture_messages
from tests.sip.worker_process import WorkerProcess

LIMITS = EdgeLimits(
    cooling_s=0.7, invites_per_s=1e9, invites_burst=10**9, messages_per_s=1e9, messages_burst=10**9, silent_worker_s=1.0
)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[World, WorkerProcess]]:
    """One real worker behind an edge; it must be alive at the end and leave cleanly."""
    async with opened_edge(tmp_path_factory.mktemp("run"), limits=LIMITS) as world:
        inner = str(world.edge.inner_address[1])
        process = WorkerProcess(tmp_path_factory.mktemp("w"), control=str(world.control), edge=inner, index="0")
        async with process:
            yield world, process
        assert process.exit_code == 0


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def all_free(worker: tuple[World, WorkerProcess]) -> AsyncIterator[None]:
    """Each test finds all slots free and leaves the worker alive."""
    world, process = worker
    async with asyncio.timeout(10):
        for number in range(len(process.events("arrived"))):
            process.order("hang_up", line=number)
        while world.edge.report().free_slots < 4:  # noqa: ASYNC110 - another process' state has no event
            await asyncio.sleep(0.05)
    yield
    assert process.process.returncode is None, "the worker died"
    assert world.edge.report().workers_up == 1


async def test_a_call_with_sound_keys_and_hold(worker: tuple[World, WorkerProcess]) -> None:
    """Our own caller talks through the edge: echo, a key, a hold, the end from the worker's side."""
    world, process = worker
    async with SipPhone(world.edge.port("udp"), "echo") as phone:
        await phone.talk()
        phone.start_sending(bytes([number % 256]) * 160 for number in range(10**6))
        await asyncio.sleep(0.4)
        assert len(phone.packets) > 10
        await phone.press("7")
        assert (await process.event("KeyPressed"))["digit"] == "7"
        phone.invite(phone.sdp(direction="sendonly"))
        await process.event("HeldByCaller")
        process.order("hang_up", line=len(process.events("arrived")) - 1)
        assert (await phone.request("BYE")).get("Call-ID") == phone.call_id
    await asyncio.sleep(0.1)
    assert world.edge.report().calls == 0


async def test_the_caller_refreshes_its_session(worker: tuple[World, WorkerProcess]) -> None:
    """UPDATE and re-INVITE pass with their interval and are answered with it (RFC 4028); one too short gets 422."""
    world, _ = worker
    async with SipPhone(world.edge.port("udp"), "echo") as phone:
        ok = await phone.talk(None, "Supported: timer", "Session-Expires: 90;refresher=uac")
        assert ok.get("Session-Expires") == "90;refresher=uac"
        phone.send("UPDATE", "", "Supported: timer", "Session-Expires: 100;refresher=uac")
        assert (await phone.response(200, "UPDATE")).get("Session-Expires") == "100;refresher=uac"
        for seconds, status in ((110, 200), (60, 422)):
            phone.messages.clear()
            phone.invite(None, "Supported: timer", f"Session-Expires: {seconds};refresher=uac")
            answered = await phone.response(status)
            told = answered.get("Session-Expires" if status == 200 else "Min-SE")
            assert told == ("110;refresher=uac" if status == 200 else "90")
        phone.bye()
        await phone.response(200, "BYE")


@pytest.mark.long
@pytest.mark.timeout(200)
async def test_sessions_that_are_not_refreshed_run_out(worker: tuple[World, WorkerProcess]) -> None:
    """At 90 s: we refresh at half of it where that is ours; a caller who stops refreshing loses the call."""
    world, process = worker
    began = time.monotonic()
    async with (
        SipPhone(world.edge.port("udp"), "echo") as refreshed,
        SipPhone(world.edge.port("udp"), "echo") as forgetful,
    ):
        await refreshed.talk(None, "Supported: timer", "Session-Expires: 90;refresher=uas")
        await forgetful.talk(None, "Supported: timer", "Session-Expires: 90;refresher=uac")
        ours = await refreshed.heard(lambda message: message.method in {"INVITE", "UPDATE"}, 60)
        assert ours.get("Session-Expires").startswith("90")
        assert 40 < time.monotonic() - began < 50
        forgetful.send("UPDATE", "", "Supported: timer", "Session-Expires: 90;refresher=uac")
        await forgetful.response(200, "UPDATE")
        again = time.monotonic()
        with pytest.raises(TimeoutError):  # the first interval would have run out by now
            await forgetful.request("BYE", began + 75 - again)
        await forgetful.request("BYE", 60)
        assert 55 < time.monotonic() - again < 65, "a third of the interval before its end (RFC 4028, 10)"
        line = await process.line_of(forgetful)
        assert "CallerHungUp" not in process.line_events(line)


async def test_both_kinds_of_key_by_info(worker: tuple[World, WorkerProcess]) -> None:
    """PJSIP knows one of the two bodies that carry a key in INFO; the edge makes the other into that one."""
    world, process = worker
    async with SipPhone(world.edge.port("udp"), "echo") as phone:
        await phone.talk()
        line = await process.line_of(phone)
        for kind, body in (("application/dtmf-relay", "Signal=7\r\nDuration=160\r\n"), ("application/dtmf", "8")):
            phone.messages.clear()
            phone.send("INFO", body, content_type=kind)
            await phone.response(200, "INFO")
        await process.event("KeyPressed", line, count=2)
        assert [told["digit"] for told in process.events("KeyPressed", line)] == ["7", "8"]


@pytest.mark.parametrize("offer", [SDP, ""])
async def test_refusals(worker: tuple[World, WorkerProcess], offer: str) -> None:
    """A call refused as soon as it is seen, with and without an offer, leaves the worker alive and the slot free."""
    world, _ = worker
    peer = await world.udp()
    peer.send(peer.request("INVITE", "sip:refuse486@x", body=offer))
    assert (await peer.get()).status == 486
    await asyncio.sleep(0.05)
    assert world.edge.report().calls == 0


async def test_streams_the_product_does_not_take(worker: tuple[World, WorkerProcess]) -> None:
    """The worker's answer has one line for each line of the offer, only the chosen one turned on."""
    world, _ = worker
    peer = await world.udp()
    extra = "m=video 5000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
    peer.send(peer.request("INVITE", "sip:echo@x", body=SDP + extra))
    ok = await peer.get()
    assert ok.status == 200
    lines = [line.split()[:3] for line in ok.body.decode().split("\r\n") if line.startswith("m=")]
    assert [line[0] for line in lines] == ["m=audio", "m=video", "m=application"]
    assert [line[1] for line in lines[1:]] == ["0", "0"]
    peer.send(peer.request("ACK", ok.target, call_id=ok.get("call-id"), to_tag=ok.tag("to")))


async def test_the_torture_messages(worker: tuple[World, WorkerProcess], vectors: Path) -> None:
    """RFC 4475 again: what is due 200 reaches the worker, which answers it as told; nothing dies."""
    world, process = worker
    wrong = {}
    for name, (sent, due) in torture_messages(vectors, "udp").items():
        peer = await world.udp()
        peer.send(sent)
        got: set[int] | None = None
        if due is not None:
            first = await peer.get(*range(100, 700))
            if first.status == 100:
                process.order("hang_up", line=len(process.events("arrived")) - 1)
                first = await peer.get()
                got = {200} if first.status == 480 else {first.status}
            else:
                got = {first.status}
        if got != due:
            wrong[name] = (got, due)
    assert wrong == {}


async def test_mutated_calls(worker: tuple[World, WorkerProcess]) -> None:
    """Damaged INVITEs, as many as slots allow, reach a real SIP stack: it lives and every answer is honest."""
    world, process = worker
    random_, statuses, peer = random.Random(2543), {}, await world.udp()
    until, number = time.monotonic() + 4.0, 0
    while time.monotonic() < until:
        if world.edge.report().free_slots:
            message = peer.request("INVITE", "sip:refuse486@x", call_id=f"m{number}@test").encode()
            peer.send(mutated(message, random_))
            number += 1
        await _answer_all(peer, statuses)
    assert honest(statuses), statuses
    assert len(process.events("arrived")) >= 12


async def test_mutated_dialogs(worker: tuple[World, WorkerProcess]) -> None:
    """Damaged re-INVITE, UPDATE, INFO, PRACK, NOTIFY within one call: the stack lives, the edge finds no error."""
    world, _ = worker
    random_, statuses, peer = random.Random(3265), {}, await world.udp()
    ok = await peer.call("sip:echo@x", call_id="fuzzed@test")
    assert ok.status == 200
    bodies = {"INFO": "Signal=5\r\nDuration=100\r\n", "NOTIFY": "SIP/2.0 200 OK\r\n", "INVITE": SDP, "UPDATE": SDP}
    kinds = {"INFO": "application/dtmf-relay", "NOTIFY": "message/sipfrag"}
    extras = ["Session-Expires: 90;refresher=uac", "Supported: timer, 100rel", "RAck: 1 1 INVITE", "Event: refer"]
    for number in range(1_500):
        method = random_.choice(["INFO", "UPDATE", "INVITE", "OPTIONS", "NOTIFY", "PRACK", "ACK"])
        message = peer.request(
            method,
            ok.target,
            call_id="fuzzed@test",
            cseq=number + 2,
            to_tag=ok.tag("to"),
            headers=random_.sample(extras, random_.randint(0, 2)),
            body=bodies.get(method, ""),
            kind=kinds.get(method, "application/sdp"),
        ).encode()
        peer.send(mutated(message, random_) if random_.random() < 0.8 else message)
        if number % 5 == 4:
            await _answer_all(peer, statuses)
    assert statuses[200] > 50
    assert "internal error" not in world.edge.report().metrics


async def test_invite_and_cancel_at_200_a_second(worker: tuple[World, WorkerProcess]) -> None:
    """The flood that kills an unprotected worker within a second: slots cool, the worker lives."""
    world, _ = worker
    peer, began = await world.udp(), time.monotonic()
    cancelled = 0
    for number in range(500):
        via, call_id = peer.via(), f"c{number}@test"
        peer.send(peer.request("INVITE", "sip:ring@x", call_id=call_id, via=via))
        peer.send(peer.request("CANCEL", "sip:ring@x", call_id=call_id, via=via))
        await asyncio.sleep(max(0.0, began + number / 200 - time.monotonic()))
        while not peer.received.empty():
            answer = peer.received.get_nowait()
            if answer.status == 487:
                cancelled += 1
                tag, via = answer.tag("to"), answer.get("via")
                peer.send(peer.request("ACK", "sip:ring@x", call_id=answer.get("call-id"), via=via, to_tag=tag))
    assert cancelled >= 8


async def _answer_all(peer: Peer, statuses: dict[int, int]) -> None:
    """Count what came, answer the worker's requests, acknowledge final answers."""
    await asyncio.sleep(0.002)
    while not peer.received.empty():
        message = peer.received.get_nowait()
        if message.status:
            statuses[message.status] = statuses.get(message.status, 0) + 1
            if message.status >= 200 and re.match("[0-9]+ INVITE$", message.get("cseq")):
                number, tag = int(message.get("cseq").split()[0]), message.tag("to")
                target = message.target or "sip:refuse486@x"
                via = None if message.status < 300 else message.get("via")
                call_id = message.get("call-id")
                peer.send(peer.request("ACK", target, call_id=call_id, cseq=number, to_tag=tag, via=via))
        else:
            peer.send(_ok(message))


def _ok(request: Answer) -> str:
    lines = ["SIP/2.0 200 OK", *(f"Via: {value}" for value in request.all("via"))]
    lines += [f"{name}: {request.get(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
    return "\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n"

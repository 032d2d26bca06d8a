"""Whole calls through a running edge, with a stand-in worker behind it."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest
import trustme

from sip.control import WorkerDied
from sip.edge import Edge
from sip.settings import EdgeLimits
from sip.trunks import Trunk
from tests.peers.edge_world import Opener, World
from tests.peers.raw_sip import SDP, Answer, Peer, stream_peer


@pytest.fixture(params=["udp", "tcp"])
async def peer(request: pytest.FixtureRequest, world: World) -> Peer:
    return await (world.udp() if request.param == "udp" else world.tcp())


async def test_a_call_is_set_up_and_ended_by_the_caller(world: World, peer: Peer) -> None:
    """INVITE, 200, ACK and BYE reach the worker; nothing of the inner side reaches the caller."""
    worker = world.workers[0]
    ok = await peer.call("sip:+4930123;phone-context=+49@example.com", call_id="one@test")
    assert ok.status == 200
    invite = await worker.got("INVITE")
    assert invite.start == f"INVITE sip:+4930123;phone-context=+49@127.0.0.1:{worker.port} SIP/2.0"
    assert invite.get("x-aitelier-trunk") == "loopback"
    assert f"{peer.kind} 127.0.0.1:{peer.address[1]}" == invite.get("x-aitelier-source")
    await worker.got("ACK")
    peer.send(peer.request("BYE", ok.target, call_id="one@test", cseq=2, to_tag=ok.tag("to")))
    assert (await peer.get()).status == 200
    await worker.got("BYE")
    assert f":{world.edge.inner_address[1]}".encode() not in peer.bytes_in
    assert f":{worker.port}".encode() not in peer.bytes_in
    assert b"secret" not in peer.bytes_in


async def test_the_agent_ends_a_call(world: World, peer: Peer) -> None:
    """A worker's BYE goes out on the caller's own flow, shows no inner address, and its answer comes back."""
    worker = world.workers[0]
    await peer.call(call_id="one@test")
    worker.request("BYE", "one@test")
    bye = await peer.get("BYE")
    assert f":{worker.port}".encode() not in bye.data
    peer.send(_answer_to(bye))
    answered = await worker.got(200)
    assert answered.get("cseq") == "1 BYE"
    assert len(answered.all("via")) == 1


async def test_a_transfer_and_its_notify(world: World, peer: Peer) -> None:
    """REFER goes out, the caller's NOTIFY comes in with a sipfrag of its status line alone."""
    worker = world.workers[0]
    ok = await peer.call(call_id="one@test")
    worker.request("REFER", "one@test", headers=["Refer-To: <sip:+4989@example.com>"])
    refer = await peer.get("REFER")
    assert refer.get("refer-to") == "<sip:+4989@example.com>"
    peer.send(_answer_to(refer, 202))
    assert (await worker.got(202)).status == 202
    headers = ["Event: refer;id=1", "Subscription-State: terminated;reason=noresource"]
    body = "SIP/2.0 503 Unavailable\r\nWarning: leak\r\n"
    notify = peer.request(
        "NOTIFY",
        ok.target,
        call_id="one@test",
        cseq=2,
        to_tag=ok.tag("to"),
        headers=headers,
        body=body,
        kind="message/sipfrag;version=2.0",
    )
    peer.send(notify)
    seen = await worker.got("NOTIFY")
    assert seen.body == b"SIP/2.0 503 Reported\r\n"
    assert seen.get("subscription-state") == "terminated"
    assert (await peer.get()).status == 200


async def test_keys_by_info_reach_the_worker(world: World, peer: Peer) -> None:
    """INFO with a key passes, written anew; INFO with anything else gets 415."""
    ok = await peer.call(call_id="one@test")
    common = {"call_id": "one@test", "to_tag": ok.tag("to")}
    body = "Signal=5\nDuration=99999\n"
    peer.send(peer.request("INFO", ok.target, cseq=2, body=body, kind="application/dtmf-relay", **common))
    assert (await world.workers[0].got("INFO")).body == b"Signal=5\r\nDuration=8000\r\n"
    assert (await peer.get()).status == 200
    peer.send(peer.request("INFO", ok.target, cseq=3, body="<x/>", kind="application/media_control+xml", **common))
    assert (await peer.get()).status == 415


async def test_hold_and_resume_by_the_caller(world: World, peer: Peer) -> None:
    """A re-INVITE reaches the same worker with its SDP rebuilt; one that fits nothing gets 488 and the call goes on."""
    ok = await peer.call(call_id="one@test")
    common = {"call_id": "one@test", "to_tag": ok.tag("to")}
    peer.send(peer.request("INVITE", ok.target, cseq=2, body=SDP + "a=sendonly\r\na=junk:1\r\n", **common))
    await world.workers[0].got("INVITE")
    again = await world.workers[0].got("INVITE")
    assert b"a=sendonly" in again.body
    assert b"junk" not in again.body
    assert (await peer.get()).status == 200
    peer.send(peer.request("INVITE", ok.target, cseq=3, body=SDP.replace("0 8 101", "18"), **common))
    assert (await peer.get()).status == 488


async def test_cancel_while_it_rings(world: World, peer: Peer) -> None:
    """CANCEL reaches the worker that has the INVITE, by the INVITE's branch; the caller gets 200 and 487."""
    via = peer.via()
    peer.send(peer.request("INVITE", "sip:ring@x", call_id="one@test", via=via))
    await peer.get(180)
    peer.send(peer.request("CANCEL", "sip:ring@x", call_id="one@test", via=via, body=""))
    assert {(await peer.get()).status, (await peer.get()).status} == {200, 487}
    worker = world.workers[0]
    branches = {message.all("via")[0] for message in worker.seen if message.method in {"INVITE", "CANCEL"}}
    assert len(branches) == 1
    peer.send(peer.request("ACK", "sip:ring@x", call_id="one@test", via=via, to_tag="worker0"))
    assert (await worker.got("ACK")).all("via")[0] in branches


async def test_cancel_of_nothing_and_of_an_answered_call(world: World, peer: Peer) -> None:
    """481 where there is no INVITE; 200 without effect where it is answered already."""
    peer.send(peer.request("CANCEL", call_id="none@test"))
    assert (await peer.get()).status == 481
    via = peer.via()
    peer.send(peer.request("INVITE", call_id="one@test", via=via))
    await peer.get(200)
    peer.send(peer.request("CANCEL", call_id="one@test", via=via))
    assert (await peer.get()).get("cseq") == "1 CANCEL"
    assert "CANCEL" not in {message.method for message in world.workers[0].seen}


async def test_retransmissions_of_an_invite(world: World) -> None:
    """Before the final answer they reach the worker; after it they do not, or it would see a new call."""
    peer, worker = await world.udp(), world.workers[0]
    ringing = peer.request("INVITE", "sip:ring@x", call_id="one@test")
    for _ in range(3):
        peer.send(ringing)
        await peer.get(180)
    assert len(worker.seen) == 3
    answered = peer.request("INVITE", call_id="two@test")
    peer.send(answered)
    await peer.get(200)
    peer.send(answered)
    await asyncio.sleep(0.05)
    assert len(worker.seen) == 4


async def test_the_same_call_by_two_ways(world: World, peer: Peer) -> None:
    """An INVITE with a known Call-ID and another branch or sender is a merged request: 482."""
    await peer.call(call_id="one@test")
    peer.send(peer.request("INVITE", call_id="one@test"))
    assert (await peer.get()).status == 482
    peer.send(peer.request("INVITE", call_id="one@test", from_tag="other"))
    assert (await peer.get()).status == 482


async def test_another_try_after_a_refusal(world: World, peer: Peer) -> None:
    """After a 486 the caller may try again under the same Call-ID with the next CSeq."""
    assert (await peer.call("sip:busy@x", call_id="one@test")).status == 486
    await asyncio.sleep(0.1)
    peer.send(peer.request("INVITE", call_id="one@test", cseq=2))
    assert (await peer.get()).status == 200


async def test_a_caller_over_ipv6(open_edge: Opener) -> None:
    """The whole call works on ::1, brackets and all."""
    async with open_edge(binds=("127.0.0.1", "::1")) as world:
        worker = await world.worker()
        for peer in (await world.udp("::1"), await world.tcp("::1")):
            call_id = f"{peer.kind}@test"
            ok = await peer.call(call_id=call_id)
            assert "@[::1]:" in ok.target
            worker.request("BYE", call_id)
            peer.send(_answer_to(await peer.get("BYE")))
            assert (await worker.got(200)).get("cseq") == "1 BYE"


async def test_tls_is_1_3_and_nothing_below(open_edge: Opener, tmp_path: Path, authority: trustme.CA) -> None:
    """A call over TLS 1.3 works, 1.2 is refused in the handshake, a renewed certificate is used without a restart."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    _issue(authority, chain, key)
    async with open_edge(tls_certificate=chain, tls_key=key) as world:
        await world.worker()
        client = ssl.create_default_context()
        authority.configure_trust(client)
        peer = await stream_peer(world.edge.port("tls"), tls=client)
        world.peers.append(peer)
        ok = await peer.call()
        assert ok.status == 200
        assert ";transport=tls" in ok.target
        assert peer.transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        before = peer.transport.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await stream_peer(world.edge.port("tls"), tls=client)
        (noted,) = world.edge.report().refusals
        assert (noted.method, noted.status, noted.reason) == (
            "TLS",
            0,
            "the TLS handshake failed: unsupported protocol",
        )
        client.maximum_version = ssl.TLSVersion.TLSv1_3
        _issue(authority, chain, key)
        world.edge.reload_certificates()
        renewed = await stream_peer(world.edge.port("tls"), tls=client)
        world.peers.append(renewed)
        assert renewed.transport.get_extra_info("ssl_object").getpeercert()["serialNumber"] != before


async def test_an_audited_trunk_may_use_tls_1_2(open_edge: Opener, tmp_path: Path, authority: trustme.CA) -> None:
    """The exception holds for that trunk's addresses alone; another source is cut off after its 1.2 handshake."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    _issue(authority, chain, key)
    async with open_edge(tls_certificate=chain, tls_key=key) as world:
        world.edge.set_trunks([Trunk(id="old", networks=("127.0.0.9/32",), min_tls="1.2")])
        client = ssl.create_default_context()
        authority.configure_trust(client)
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        old = await stream_peer(world.edge.port("tls"), tls=client, source="127.0.0.9")
        world.peers.append(old)
        old.send(old.request("OPTIONS"))
        assert (await old.get()).status == 200
        with contextlib.suppress(ssl.SSLError, ConnectionError):  # cut off already within the handshake
            other = await stream_peer(world.edge.port("tls"), tls=client)
            world.peers.append(other)
            await asyncio.wait_for(other.lost.wait(), 2)
        assert world.edge.report().refusals[-1].reason == "TLSv1.2 is below the trunk's floor"


async def test_a_dead_worker_ends_its_calls(world: World) -> None:
    """Its answered calls get BYE, its ringing ones 503, later requests 481; another worker's calls go on."""
    dying = world.workers[0]
    talking, ringing = await world.udp(), await world.udp()
    ok = await talking.call(call_id="talking@test")
    ringing.send(ringing.request("INVITE", "sip:ring@x", call_id="ringing@test"))
    await ringing.get(180)
    other = await world.worker()
    spared = await world.udp()
    kept = await spared.call(call_id="spared@test")
    dying.close()
    world.workers[1]._control.send(WorkerDied(index=0))
    bye = await talking.get("BYE")
    assert bye.get("from") == ok.get("to")
    assert bye.start == f"BYE sip:caller@127.0.0.1:{talking.address[1]};transport=udp SIP/2.0"
    assert (await talking.get("BYE")).data == bye.data, "repeated until it is answered"
    talking.send(_answer_to(bye))
    refused = await ringing.get(503)
    assert refused.get("retry-after")
    ringing.send(ringing.request("ACK", "sip:ring@x", call_id="ringing@test", to_tag=refused.tag("to")))
    await asyncio.sleep(0.05)
    while not ringing.received.empty():
        assert ringing.received.get_nowait().data == refused.data
    talking.send(talking.request("INFO", ok.target, call_id="talking@test", cseq=2, to_tag=ok.tag("to")))
    assert (await talking.get(481)).status == 481
    spared.send(spared.request("BYE", kept.target, call_id="spared@test", cseq=2, to_tag=kept.tag("to")))
    assert (await spared.get()).status == 200
    await asyncio.sleep(0.8)
    assert talking.received.empty()
    assert ringing.received.empty()
    assert other.port != dying.port


async def test_calls_outlive_a_restart_of_the_edge(world: World) -> None:
    """A new edge on the same ports and folder routes both directions of a running call, and knows the taken slot."""
    peer, worker = await world.udp(), world.workers[0]
    ok = await peer.call(call_id="one@test")
    settings = world.settings
    fixed = type(settings)(
        run_folder=settings.run_folder,
        binds=settings.binds,
        sip_port=world.edge.port("udp"),
        sip_tls_port=0,
        inner_port=world.edge.inner_address[1],
    )
    world.edge.stop()
    await asyncio.sleep(0.05)
    world.edge = Edge(fixed)
    async with asyncio.TaskGroup() as group:
        group.create_task(world.edge.run())
        await world.edge.started.wait()
        peer.send(peer.request("INFO", ok.target, call_id="one@test", cseq=2, to_tag=ok.tag("to")))
        assert (await peer.get()).status == 200
        worker.announce()
        await asyncio.sleep(0.02)
        assert world.edge.report().calls == 1
        worker.request("BYE", "one@test")
        peer.send(_answer_to(await peer.get("BYE")))
        await worker.got(200)
        world.edge.stop()


async def test_a_caller_whose_connection_broke_is_called_back(world: World) -> None:
    """A worker's BYE reaches a TCP caller at its Contact when its connection is gone; if nobody is there, 481 comes."""
    worker, heard = world.workers[0], asyncio.Queue[Peer]()

    def made() -> Peer:
        heard.put_nowait(Peer("tcp"))
        return heard._queue[-1]  # type: ignore[attr-defined]  # the one just put

    listening = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    for call_id in ("one@test", "two@test"):
        peer = await world.tcp()
        invite = peer.request("INVITE", call_id=call_id)
        peer.send(invite.replace(f"caller@127.0.0.1:{peer.address[1]}", f"caller@127.0.0.1:{port}"))
        ok = await peer.get(200)
        peer.send(peer.request("ACK", ok.target, call_id=call_id, to_tag=ok.tag("to")))
        await worker.got("ACK")
        peer.close()
        await peer.lost.wait()
    await asyncio.sleep(0.02)
    worker.request("BYE", "one@test")
    caller = await heard.get()
    caller.send(_answer_to(await caller.get("BYE")))
    assert (await worker.got(200)).get("call-id") == "one@test"
    caller.close()
    listening.close()
    await listening.wait_closed()
    worker.request("BYE", "two@test")
    assert (await worker.got(481)).get("call-id") == "two@test"


async def test_a_worker_that_says_nothing(open_edge: Opener) -> None:
    """An INVITE that the worker swallows gets 503 within a few seconds: never a hang."""
    async with open_edge(limits=EdgeLimits(silent_worker_s=0.2)) as world:
        await world.worker()
        peer = await world.tcp()
        peer.send(peer.request("INVITE", "sip:dead@x", call_id="one@test"))
        assert (await peer.get(503, within_s=3)).get("retry-after")
        assert (await world.workers[0].got("CANCEL")).get("call-id") == "one@test"


async def test_an_answer_that_is_never_acknowledged(open_edge: Opener) -> None:
    """The edge ends such a call on both sides and the slot is free again."""
    async with open_edge(limits=EdgeLimits(unacknowledged_s=0.2, cooling_s=0.05)) as world:
        worker = await world.worker(slots=1)
        peer = await world.udp()
        peer.send(peer.request("INVITE", call_id="one@test"))
        await peer.get(200)
        assert (await worker.got("BYE", within_s=3)).get("from").endswith("tag=mine")
        assert (await peer.get("BYE")).get("call-id") == "one@test"
        await asyncio.sleep(0.1)
        assert (await peer.call()).status == 200


async def test_a_call_without_an_offer(world: World, peer: Peer) -> None:
    """An INVITE without SDP passes; the answer in ACK is rebuilt like any other."""
    via = peer.via()
    peer.send(peer.request("INVITE", call_id="one@test", body="", via=via))
    ok = await peer.get(200)
    ack = peer.request("ACK", ok.target, call_id="one@test", to_tag=ok.tag("to"), body=SDP + "a=junk:1\r\n")
    peer.send(ack)
    seen = await world.workers[0].got("ACK")
    assert b"m=audio 40000 RTP/AVP 0 8 101" in seen.body
    assert b"junk" not in seen.body


def _answer_to(request: Answer, status: int = 200) -> str:
    lines = [f"SIP/2.0 {status} OK", *(f"Via: {value}" for value in request.all("via"))]
    lines += [f"{name}: {request.get(name)}" for name in ("From", "To", "Call-ID", "CSeq")]
    return "\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n"


def _issue(authority: trustme.CA, chain: Path, key: Path) -> None:
    issued = authority.issue_cert("localhost")
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())

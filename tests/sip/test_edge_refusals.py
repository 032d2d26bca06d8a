"""What the edge refuses, with which status, and what it does not answer at all."""

import asyncio
import re
from pathlib import Path

import pytest

from sip.control import DrainOrdered, request_report
from sip.counters import RefusalRing
from sip.tokens import Flow
from sip.trunks import Trunk, write_trunks
from tests.peers.edge_world import Opener, World
from tests.peers.raw_sip import SDP, Peer
from tests.peers.torture import torture_messages


async def _status(peer: Peer, message: str | bytes) -> int:
    peer.send(message)
    return (await peer.get()).status


@pytest.mark.parametrize(
    ("method", "headers", "expected"),
    [
        ("OPTIONS", [], 200),
        ("REGISTER", [], 405),
        ("SUBSCRIBE", ["Event: presence"], 405),
        ("MESSAGE", [], 405),
        ("PUBLISH", [], 405),
        ("REFER", ["Refer-To: <sip:a@b>"], 405),
        ("PING", [], 405),
        ("BYE", [], 481),
        ("NOTIFY", ["Event: refer", "Subscription-State: active"], 481),
        ("INFO", [], 481),
        ("UPDATE", [], 481),
        ("PRACK", ["RAck: 1 1 INVITE"], 481),
        ("INVITE", ["Require: 100rel"], 200),
        ("INVITE", ["Require: unknown-thing"], 420),
        ("INVITE", ["Proxy-Require: unknown-thing"], 420),
        ("INVITE", ["Content-Encoding: gzip"], 415),
    ],
)
async def test_methods_and_headers(world: World, method: str, headers: list[str], expected: int) -> None:
    """Each request outside a dialog gets its status."""
    peer = await world.udp()
    peer.send(peer.request(method, headers=headers))
    answer = await peer.get()
    assert answer.status == expected
    if expected == 405:
        assert "INVITE" in answer.get("allow")
    if expected == 420:
        assert answer.get("unsupported") == "unknown-thing"
    if method == "OPTIONS":
        assert "application/sdp" in answer.get("accept")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"), 505),
        (("sip:desk@example.com SIP", "mailto:desk@example.com SIP"), 416),
        (("sip:desk@example.com SIP", "tel:+4930123 SIP"), 200),
        (("sip:desk@example.com SIP", "<sip:desk@example.com> SIP"), 400),
        (("Max-Forwards: 70", "Max-Forwards: 0"), 483),
        (("Max-Forwards: 70", "Max-Forwards: 256"), 400),
        (("Max-Forwards: 70\r\n", ""), 200),
        (("CSeq: 1 INVITE", "CSeq: 1 OPTIONS"), 400),
        (("CSeq: 1 INVITE", "CSeq: 4294967296 INVITE"), 400),
        (("tag=mine", "nothing=mine"), 400),
        (("Contact: <", "Contact: <sip:a@b>, <"), 400),
        (("Contact: <sip:caller", "Contact: <mailto:caller"), 400),
        (("Contact:", "X-Contact:"), 400),
        (("To: <sip:desk@example.com>", 'To: "x <sip:desk@example.com>'), 400),
        (("To: <sip:desk@example.com>", "To: <sip:desk@example.com>;tag=unknown"), 481),
        (("Content-Type: application/sdp", "Content-Type: text/plain"), 415),
        (("m=audio 40000 RTP/AVP 0 8 101", "m=audio 40000 RTP/AVP 18 96"), 488),
        (("m=audio 40000", "m=audio 99999"), 400),
        (("v=0", "v=1"), 400),
        (("c=IN IP4 127.0.0.1", "c=IN IP4 host.example.com"), 488),
        (("Contact:", "X-Aitelier-Trunk: gold\r\nContact:"), 200),
    ],
)
async def test_malformed_and_unwanted_invites(world: World, change: tuple[str, str], expected: int) -> None:
    """One thing is changed in a good INVITE."""
    peer = await world.tcp()
    message = peer.request("INVITE")
    assert change[0] in message
    changed = message.replace(*change, 1)
    head, _, body = changed.partition("\r\n\r\n")
    changed = re.sub(r"Content-Length: \d+", f"Content-Length: {len(body)}", head) + "\r\n\r\n" + body
    assert await _status(peer, changed) == expected
    if expected == 200:
        invite = await world.workers[0].got("INVITE")
        assert invite.all("x-aitelier-trunk") == ["loopback"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_the_torture_messages(world: World, vectors: Path, transport: str) -> None:
    """All messages of RFC 4475 get the status they are due, and the edge answers a good request after them."""
    wrong = {}
    for name, (sent, due) in torture_messages(vectors, transport).items():
        peer = await (world.udp() if transport == "udp" else world.tcp())
        peer.send(sent)
        try:
            got: set[int] | None = {(await peer.get(within_s=0.1 if due is None else 2)).status}
        except TimeoutError:
            got = None
        if got != due:
            wrong[name] = (got, due)
        for call_id in list(world.workers[0].invites):
            world.workers[0].ended(call_id)
        await asyncio.sleep(0.06 if sent.startswith(b"INVITE") else 0)
    assert wrong == {}
    peer = await world.udp()
    assert await _status(peer, peer.request("OPTIONS")) == 200
    assert "internal error" not in world.edge.report().metrics


async def test_two_requests_in_one_segment(world: World) -> None:
    """On a stream each of two messages that come together is answered."""
    peer = await world.tcp()
    peer.send(peer.request("OPTIONS", call_id="a@test") + "\r\n\r\n" + peer.request("OPTIONS", call_id="b@test"))
    assert [(await peer.get(200)).get("call-id") for _ in range(2)] == ["a@test", "b@test"]


async def test_the_longest_prefix_names_the_trunk(world: World) -> None:
    """The worker is told which trunk; one that may not use this transport gets 403 without a challenge, and a note."""
    over_tls = Trunk(id="over-tls", networks=("127.0.0.9/32",), transports=("tls",))
    world.edge.set_trunks([Trunk(id="only", networks=("127.0.0.1/32",)), over_tls])
    allowed = await world.udp()
    assert (await allowed.call()).status == 200
    assert (await world.workers[0].got("INVITE")).get("x-aitelier-trunk") == "only"
    other = await world.udp(source="127.0.0.9")
    other.send(other.request("INVITE"))
    refused = await other.get()
    assert refused.status == 403
    assert "authenticate" not in refused.data.decode().lower()
    report = await request_report(world.control)
    assert report.refusals[-1].status == 403
    assert "transport" in report.refusals[-1].reason
    assert report.refusals[-1].called == ("desk",)


async def test_what_a_worker_refuses_is_noted_too(world: World) -> None:
    """The number that was dialled and the worker's reason; a caller who hung up was not refused."""
    peer = await world.udp()
    assert await _status(peer, peer.request("INVITE", "sip:busy@example.com")) == 486
    noted = (await request_report(world.control)).refusals[-1]
    assert (noted.status, noted.method, noted.called) == (486, "INVITE", ("busy",))
    assert noted.reason


async def test_strangers_do_not_push_out_what_happened_to_trunks() -> None:
    """Each of the two has room of its own, and the same refusal of one source takes one place."""
    ring = RefusalRing()
    ring.add(Flow("udp", 0, "192.0.2.1", 5060, 0), "INVITE", 488, "why", 1.0, of_trunk=True, called="+4930")
    for number in range(1_000):
        source = Flow("udp", 0, f"198.51.{number // 250}.{number % 250}", 5060, 0)
        ring.add(source, "INVITE", 403, "why", 2.0 + number, of_trunk=False, called=f"+{number}")
    for number in range(10):
        ring.add(source, "INVITE", 403, "why", 2_000.0 + number, of_trunk=False, called=f"+49{number % 6}")
    listed = ring.listed()
    assert listed[0].called == ("+4930",)
    assert len(listed) == 129
    assert listed[-1].times == 11
    assert listed[-1].called == ("+490", "+491", "+492", "+493")


async def test_an_unknown_source(open_edge: Opener) -> None:
    """A source outside all networks: 403 to a request, nothing to what is none."""
    async with open_edge(binds=("0.0.0.0",)) as world:
        await world.worker()
        world.edge._exchange.trunks._networks[:] = [
            row for row in world.edge._exchange.trunks._networks if row[0].version == 6
        ]
        peer = await world.udp()
        assert await _status(peer, peer.request("INVITE")) == 403
        assert await _status(peer, peer.request("OPTIONS")) == 403
        for silent in ("garbage" * 10, peer.request("ACK"), peer.request("INVITE").replace("CSeq: 1", "CSeq: x")):
            peer.send(silent)
        await asyncio.sleep(0.1)
        assert peer.received.empty()


@pytest.mark.parametrize(
    ("mode", "offer", "expected"),
    [
        ("off", "plain", 200), ("optional", "plain", 200), ("mandatory", "plain", 488),
        ("off", "savp", 488), ("optional", "savp", 200), ("mandatory", "savp", 200),
        ("mandatory", "none", 488), ("optional", "none", 200), ("mandatory", "both", 200),
    ],
)  # fmt: skip
async def test_srtp_policy(world: World, mode: str, offer: str, expected: int) -> None:
    """The trunk's rule for SRTP is applied to the offer before any worker sees it."""
    world.edge.set_trunks([Trunk(id="t", networks=("127.0.0.0/8",), srtp=mode)])  # type: ignore[arg-type]  # from the table
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + "A" * 40 + "\r\n"
    secure = SDP.replace("RTP/AVP", "RTP/SAVP") + key
    both = SDP + "m=audio 40002 RTP/SAVP 0\r\n" + key
    peer = await world.udp()
    body = {"plain": SDP, "savp": secure, "both": both, "none": ""}[offer]
    assert await _status(peer, peer.request("INVITE", body=body)) == expected
    if offer == "both":
        seen = (await world.workers[0].got("INVITE")).body
        assert b"m=audio 0 RTP/AVP 0\r\n" in seen
        assert b"m=audio 40002 RTP/SAVP 0\r\n" in seen


async def test_draining(world: World) -> None:
    """While draining new calls get 503 with Retry-After and those that run go on."""
    peer = await world.udp()
    ok = await peer.call(call_id="one@test")
    world.workers[0]._control.send(DrainOrdered(retry_after_s=17))
    await asyncio.sleep(0.02)
    peer.send(peer.request("INVITE"))
    refused = await peer.get()
    assert (refused.status, refused.get("retry-after")) == (503, "17")
    peer.send(peer.request("BYE", ok.target, call_id="one@test", cseq=2, to_tag=ok.tag("to")))
    assert (await peer.get()).status == 200
    report = await request_report(world.control)
    assert report.draining
    assert not report.ready


async def test_published_trunks_are_read(world: World) -> None:
    """The file and the notice replace the trunks; a damaged file changes nothing."""
    path = world.settings.run_folder / "trunks.json"
    write_trunks(path, [Trunk(id="gold", networks=("127.0.0.0/8",))])
    world.edge._read_trunks()
    peer = await world.udp()
    await peer.call()
    assert (await world.workers[0].got("INVITE")).get("x-aitelier-trunk") == "gold"
    path.write_text("[{]")
    world.edge._read_trunks()
    await peer.call()
    assert (await world.workers[0].got("INVITE")).get("x-aitelier-trunk") == "gold"


async def test_answers_over_udp_follow_rfc_3581(world: World) -> None:
    """Without rport an answer goes to the port that Via names, with it to the port it came from."""
    peer, named = await world.udp(), await world.udp()
    via = f"SIP/2.0/UDP 127.0.0.1:{named.address[1]};branch=z9hG4bKx"
    peer.send(peer.request("OPTIONS", via=via))
    assert (await named.get()).status == 200
    assert peer.received.empty()
    assert await _status(peer, peer.request("OPTIONS", via=via + ";rport")) == 200


async def test_a_made_up_token_leads_nowhere(world: World) -> None:
    """A request inside a dialog that never was, or with another call's token, gets 481."""
    peer = await world.udp()
    ok = await peer.call(call_id="one@test")
    for uri in ("sip:c3QBAgMEBQYHCAkK@x", ok.target, "sip:x@127.0.0.1:1"):
        assert await _status(peer, peer.request("BYE", uri, call_id="two@test", to_tag="t", cseq=9)) == 481

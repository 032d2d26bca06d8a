"""One worker, driven past the edge by our own caller: everything between INVITE and BYE."""

import asyncio
import audioop
import itertools
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from sip.control import CallEnded, WorkerReady
from tests.peers.sip_phone import PAYLOAD_TYPES, SipPhone
from tests.sip.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUIET = bytes([0xFF]) * 160
SQUARE = struct.pack("<160h", *(8000 if n % 16 < 8 else -8000 for n in range(160)))
"""A frame of 500 Hz."""
UNACKNOWLEDGED_S = 32.0
"""64*T1: how long a 2xx is repeated before the call is given up (RFC 3261 section 13.3.1.4)."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerProcess]:
    async with WorkerProcess(tmp_path_factory.mktemp("worker"), lost="1.2") as process:
        yield process
    assert process.exit_code == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def silent_caller(worker: WorkerProcess) -> AsyncIterator[SipPhone]:
    """Takes 32 s to be given up, so it is begun before all other tests and looked at by the one it is for."""
    async with SipPhone(worker.sip_port, "echo", acknowledge=False) as phone:
        phone.invite()
        await phone.response(200)
        yield phone


async def line_of(worker: WorkerProcess, phone: SipPhone) -> int:
    def arrived() -> list[int]:
        return [told["line"] for told in worker.events("arrived") if told["sip_call_id"] == phone.call_id]

    return (await worker.until(lambda: [*arrived(), None] if arrived() else None))[0]


async def ended(worker: WorkerProcess, phone: SipPhone, seconds: float = 3.0) -> None:
    """Wait for the one CallEnded, and see that it stays the only one."""

    def reports() -> list[object]:
        return [said for said in worker.to_edge if isinstance(said, CallEnded) and said.sip_call_id == phone.call_id]

    await worker.until(reports, seconds)
    await asyncio.sleep(0.05)
    assert len(reports()) == 1


async def test_a_call_from_invite_to_bye(worker: WorkerProcess) -> None:
    """The whole ladder of a plain call, and what the line says about it."""
    async with SipPhone(worker.sip_port, headers=["X-Aitelier-Trunk: berlin"]) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        await worker.event("answered", line)
        phone.bye()
        await phone.response(200, "BYE")
        await ended(worker, phone)
    arrived = await worker.event("arrived", line)
    assert (arrived["called"], arrived["caller"], arrived["trunk"]) == ("echo", "+4930123456", "berlin")
    assert worker.ladder(line) == [
        "> INVITE",
        "< 100 INVITE",
        "< 200 INVITE",
        "> ACK",
        "> BYE",
        "< 200 BYE",
    ]
    assert worker.line_events(line) == ["MediaAgreed", "CallerHungUp"]


@pytest.mark.parametrize("codec", list(PAYLOAD_TYPES))
async def test_sound_both_ways_in_each_codec(worker: WorkerProcess, codec: str) -> None:
    """What the caller says comes back from an echo, in PCMU, PCMA and G722."""
    encoded = {"PCMU": audioop.lin2ulaw(SQUARE, 2), "PCMA": audioop.lin2alaw(SQUARE, 2), "G722": bytes(160)}[codec]
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk(phone.sdp(codec))
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(encoded))
        await asyncio.sleep(0.6)
        phone.bye()
        await phone.response(200, "BYE")
        await ended(worker, phone)
    assert (await worker.event("MediaAgreed", line))["codec"] == codec
    back = [packet for packet in phone.packets if packet.payload_type == PAYLOAD_TYPES[codec][0]]
    assert len(back) > 20
    if codec == "G722":
        # A constant code word is a loud, steady sound to a G.722 decoder; silence would come back as another word.
        assert len(set(back[-1].payload)) > 1
    else:
        decode = audioop.ulaw2lin if codec == "PCMU" else audioop.alaw2lin
        assert max(memoryview(decode(back[-1].payload, 2)).cast("h")) > 4000


async def test_rtp_goes_out_steadily(worker: WorkerProcess) -> None:
    """A packet every 20 ms without a gap in sequence numbers or timestamps, and the tone is on the wire whole."""
    async with SipPhone(worker.sip_port, "tone") as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        await worker.event("played", line)
        phone.bye()
        await ended(worker, phone)
    packets = phone.packets
    assert [b.sequence - a.sequence for a, b in itertools.pairwise(packets)] == [1] * (len(packets) - 1)
    assert {b.timestamp - a.timestamp for a, b in itertools.pairwise(packets)} == {160}
    loud = [max(memoryview(audioop.ulaw2lin(packet.payload, 2)).cast("h")) > 4000 for packet in packets]
    assert loud.count(True) == 50
    assert loud[loud.index(True) :][:50] == [True] * 50


async def test_time_base_and_ticks(worker: WorkerProcess) -> None:
    """Each tick reaches the loop once, in order, with what the caller said."""
    async with SipPhone(worker.sip_port, "hear") as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(audioop.lin2ulaw(SQUARE, 2)))
        assert (await worker.event("fifty ticks", line))["loud"] > 4000
        phone.bye()
        await ended(worker, phone)


async def test_flush_cuts_at_once_and_counts_exactly(worker: WorkerProcess) -> None:
    """After a flush no packet of the speech leaves, and the heard time is the number of those that left."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        line = await line_of(worker, phone)
        worker.order("answer", line=line)
        await phone.response(200)
        worker.order("say", line=line, seconds=3, item="story")
        await asyncio.sleep(0.5)
        worker.order("flush", line=line, item="story")
        heard_ms = (await worker.event("flushed", line))["heard_ms"]
        await asyncio.sleep(0.2)
        phone.bye()
        await ended(worker, phone)
    loud = [max(memoryview(audioop.ulaw2lin(packet.payload, 2)).cast("h")) > 4000 for packet in phone.packets]
    assert loud.count(True) * 20 == heard_ms
    assert 300 <= heard_ms <= 700


async def test_keys_from_the_caller(worker: WorkerProcess) -> None:
    """Each press is one key, whether by RFC 4733, pressed twice in a row, or by INFO."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(QUIET))
        for digit in "55#":
            await phone.press(digit)
        phone.send("INFO", "Signal=7\r\nDuration=160\r\n", content_type="application/dtmf-relay")
        await phone.response(200, "INFO")
        await worker.event("KeyPressed", line, count=4)
        phone.bye()
        await ended(worker, phone)
    assert [told["digit"] for told in worker.events("KeyPressed", line)] == ["5", "5", "#", "7"]


async def test_a_key_whose_first_packets_are_lost(worker: WorkerProcess) -> None:
    """The end of a key is enough to know that it was pressed, and its repeats add nothing."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.1)
        await phone.press("9", packets=0)
        await worker.event("KeyPressed", line)
        phone.bye()
        await ended(worker, phone)
    assert [told["digit"] for told in worker.events("KeyPressed", line)] == ["9"]


async def test_keys_to_the_caller(worker: WorkerProcess) -> None:
    """Our keys go out as RFC 4733 events, in order."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.1)
        worker.order("press", line=line, digits="1*")
        await asyncio.sleep(0.8)
        phone.bye()
        await ended(worker, phone)
    events = [packet.payload[0] for packet in phone.packets if packet.payload_type == 101]
    assert [event for event, _ in itertools.groupby(events)] == [1, 10]


@pytest.mark.parametrize(
    ("direction", "answer", "sends", "events"),
    [
        ("sendonly", "recvonly", False, ["HeldByCaller", "ResumedByCaller"]),
        ("inactive", "inactive", False, ["HeldByCaller", "ResumedByCaller"]),
        ("recvonly", "sendonly", True, []),
    ],
)
async def test_hold_and_resume(
    worker: WorkerProcess,
    direction: str,
    answer: str,
    sends: bool,  # noqa: FBT001  # pytest hands parameters over by position
    events: list[str],
) -> None:
    """On hold we send only as agreed, speech waits, time goes on, no loss is reported, and afterwards it goes on."""
    async with SipPhone(worker.sip_port, "tone") as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.3)
        phone.messages.clear()
        phone.invite(phone.sdp(direction=direction))
        assert f"a={answer}" in (await phone.response(200)).body
        phone.stop_sending()
        await asyncio.sleep(0.2)
        before = len(phone.packets)
        await asyncio.sleep(1.6)
        assert (len(phone.packets) > before) is sends
        assert not worker.events("MediaLost", line)
        phone.messages.clear()
        phone.invite(phone.sdp())
        await phone.response(200)
        phone.start_sending(itertools.repeat(QUIET))
        samples = (await worker.event("played", line))["samples"]
        worker.order("statistics", line=line)
        figures = (await worker.event("statistics", line))["figures"]
        phone.bye()
        await ended(worker, phone)
    assert [name for name in worker.line_events(line) if name.startswith(("Held", "Resumed"))] == events
    assert samples >= 8000 if sends else samples >= 20_000
    loud = [max(memoryview(audioop.ulaw2lin(packet.payload, 2)).cast("h")) > 4000 for packet in phone.packets]
    assert 49 <= loud.count(True) <= 50  # a frame on its way while the stream is made anew may fall
    assert figures["received_packets"] >= 10


async def test_no_rtp_is_told(worker: WorkerProcess) -> None:
    """A caller whose RTP stops is reported once, and again only after it had come back."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.3)
        phone.stop_sending()
        await worker.event("MediaLost", line)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(1.2)
        phone.stop_sending()
        await worker.event("MediaLost", line, count=2)
        phone.bye()
        await ended(worker, phone)


async def test_cancel(worker: WorkerProcess) -> None:
    """A caller who gives up while it rings has hung up; the INVITE gets its 487."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        await phone.response(180)
        line = await line_of(worker, phone)
        phone.cancel()
        await phone.response(487)
        await ended(worker, phone)
    assert worker.line_events(line) == ["CallerHungUp"]


async def test_events_wait_for_a_listener(worker: WorkerProcess) -> None:
    """What happens before the call listens is told when it does, in order."""
    async with SipPhone(worker.sip_port, "late") as phone:
        phone.invite()
        line = await line_of(worker, phone)
        phone.cancel()
        await phone.response(487)
        await ended(worker, phone)
    assert worker.line_events(line) == []
    worker.order("listen", line=line)
    await worker.event("CallerHungUp", line)
    assert worker.ladder(line)[:2] == ["> INVITE", "< 100 INVITE"]


@pytest.mark.parametrize(
    ("called", "status", "retry"),
    [("refuse486", 486, ""), ("refuse404", 404, ""), ("refuse503", 503, "5"), ("raise", 500, "")],
)
async def test_refusals(worker: WorkerProcess, called: str, status: int, retry: str) -> None:
    """A refusal reaches the caller with its status; 503 says when to come back; a failing taker refuses with 500."""
    async with SipPhone(worker.sip_port, called) as phone:
        phone.invite()
        assert (await phone.response(status)).get("Retry-After") == retry
        await ended(worker, phone)


@pytest.mark.parametrize(
    ("spoil", "status"),
    [(("AVP 0 101", "AVP 18 101"), 488), (("", ""), 420)],
)
async def test_invites_that_never_become_lines(worker: WorkerProcess, spoil: tuple[str, str], status: int) -> None:
    """What the stack refuses by itself is over too, for the edge's count of slots."""
    async with SipPhone(worker.sip_port) as phone:
        phone.invite(phone.sdp().replace(*spoil), *(["Require: nonsense"] if status == 420 else []))
        await phone.response(status)
        await ended(worker, phone)


async def test_hanging_up(worker: WorkerProcess) -> None:
    """Our BYE ends the call, and nobody says that the caller did."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        worker.order("hang_up", line=line)
        worker.order("hang_up", line=line)
        await phone.request("BYE")
        await ended(worker, phone)
    assert worker.line_events(line) == ["MediaAgreed"]


async def test_hanging_up_before_the_answer(worker: WorkerProcess) -> None:
    """Ending a call that rings is a 480."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        line = await line_of(worker, phone)
        worker.order("hang_up", line=line)
        await phone.response(480)
        await ended(worker, phone)


async def test_hanging_up_at_the_answer(worker: WorkerProcess) -> None:
    """A hang-up in the very moment of the ACK is a BYE."""
    async with SipPhone(worker.sip_port, "burst") as phone:
        await phone.talk()
        await phone.request("BYE")
        await ended(worker, phone)


async def test_answering_too_late(worker: WorkerProcess) -> None:
    """An answer to a caller who has gone says so."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        line = await line_of(worker, phone)
        phone.cancel()
        await ended(worker, phone)
    worker.order("answer", line=line)
    assert (await worker.event("answered", line))["up"] is False


async def test_an_offer_that_comes_late(worker: WorkerProcess) -> None:
    """An INVITE without SDP is answered with an offer, and sound flows after the ACK's answer (RFC 3264)."""
    async with SipPhone(worker.sip_port, acknowledge=False) as phone:
        phone.sdp()
        phone.invite("")
        offer = await phone.response(200)
        assert "m=audio" in offer.body
        phone.send("ACK", phone.sdp(), cseq=1)
        line = await line_of(worker, phone)
        await worker.event("MediaAgreed", line)
        phone.start_sending(itertools.repeat(audioop.lin2ulaw(SQUARE, 2)))
        await asyncio.sleep(0.4)
        phone.bye()
        await ended(worker, phone)
    assert max(memoryview(audioop.ulaw2lin(phone.packets[-1].payload, 2)).cast("h")) > 4000


async def test_prack_and_session_timer(worker: WorkerProcess) -> None:
    """A caller who wants them gets a reliable 180 (RFC 3262) and a refresh interval (RFC 4028)."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite(None, "Supported: 100rel, timer", "Session-Expires: 120;refresher=uac")
        ringing = await phone.response(180)
        assert ringing.get("Require") == "100rel"
        phone.send("PRACK", "", f"RAck: {ringing.get('RSeq')} {ringing.get('CSeq')}")
        await phone.response(200, "PRACK")
        line = await line_of(worker, phone)
        worker.order("answer", line=line)
        assert (await phone.response(200)).get("Session-Expires") == "120;refresher=uac"
        assert (await worker.event("answered", line))["up"] is True
        phone.bye()
        await ended(worker, phone)
    assert worker.ladder(line)[2:5] == ["< 180 INVITE", "> PRACK", "< 200 PRACK"]


async def notify(phone: SipPhone, status: str, state: str) -> None:
    phone.send(
        "NOTIFY",
        f"SIP/2.0 {status}\r\n",
        "Event: refer",
        f"Subscription-State: {state}",
        content_type="message/sipfrag;version=2.0",
    )
    await phone.response(200, "NOTIFY")
    phone.messages.clear()


@pytest.mark.parametrize(("outcome", "status"), [("200 OK", 200), ("486 Busy Here", 486)])
async def test_transfer_and_its_result(worker: WorkerProcess, outcome: str, status: int) -> None:
    """REFER's result is the final status that NOTIFY brings (RFC 3515), good or bad, and the call itself goes on."""
    async with SipPhone(worker.sip_port, answers={"REFER": 202}) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        worker.order("transfer", line=line, uri="sip:desk@pbx.test", deadline=5)
        refer = await phone.request("REFER")
        assert refer.get("Refer-To") == "<sip:desk@pbx.test>"
        worker.order("transfer", line=line, uri="sip:other@pbx.test", deadline=5)
        assert (await worker.event("transferred", line))["status"] == 491
        await notify(phone, "100 Trying", "active;expires=60")
        await notify(phone, outcome, "terminated;reason=noresource")
        assert (await worker.event("transferred", line, count=2))["status"] == status
        phone.bye()
        await ended(worker, phone)


@pytest.mark.parametrize(("answer", "status"), [(603, 603), (202, 408), (0, 408)])
async def test_transfer_refused_or_unanswered(worker: WorkerProcess, answer: int, status: int) -> None:
    """A refused REFER gives its status; one that is accepted or ignored without a result ends with the deadline."""
    async with SipPhone(worker.sip_port, answers={"REFER": answer}) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        worker.order("transfer", line=line, uri="tel:+4930999", deadline=0.5)
        assert (await worker.event("transferred", line))["status"] == status
        phone.bye()
        await ended(worker, phone)
    worker.order("transfer", line=line, uri="tel:+4930999", deadline=0.5)
    assert (await worker.event("transferred", line, count=2))["status"] == 481


async def test_being_told_to_dial(worker: WorkerProcess) -> None:
    """A caller cannot make us call someone else."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        phone.send("REFER", "", "Refer-To: <sip:premium@pbx.test>")
        await phone.response(603, "REFER")
        phone.bye()
        await ended(worker, phone)


async def test_statistics_with_loss(worker: WorkerProcess) -> None:
    """Every tenth packet lost is counted as such and costs quality."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await line_of(worker, phone)
        worker.order("statistics", line=line)
        phone.start_sending(itertools.repeat(QUIET, 101), lose=lambda number: number % 10 == 5)
        await asyncio.sleep(2.2)
        worker.order("statistics", line=line)
        figures = (await worker.event("statistics", line, count=2))["figures"]
        phone.bye()
        await ended(worker, phone)
        worker.order("statistics", line=line)
        afterwards = (await worker.event("statistics", line, count=3))["figures"]
    assert (figures["codec"], figures["received_packets"], figures["lost_packets"]) == ("PCMU", 91, 10)
    assert figures["jitter_ms"] < 10
    assert 1.0 < figures["mos"] < 3.5
    assert afterwards["received_packets"] == 91


async def test_the_edge_hears_of_the_worker(worker: WorkerProcess) -> None:
    """The worker announces itself with its slots and its calls, again and again."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()

        def announced() -> bool:
            last = [said for said in worker.to_edge if isinstance(said, WorkerReady)][-1]
            return (last.index, last.sip_port, last.slots) == (
                3,
                worker.sip_port,
                4,
            ) and phone.call_id in last.live_calls

        await worker.until(announced)
        phone.bye()
        await ended(worker, phone)


async def test_an_answer_that_is_never_acknowledged(worker: WorkerProcess, silent_caller: SipPhone) -> None:
    """After 64*T1 the line failed, the answer is False, and the slot is reported free."""
    line = await line_of(worker, silent_caller)
    assert (await worker.event("answered", line, seconds=UNACKNOWLEDGED_S + 5))["up"] is False
    await ended(worker, silent_caller, UNACKNOWLEDGED_S)
    assert (await worker.event("LineFailed", line))["sip_status"] == 408

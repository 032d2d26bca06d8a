"""One worker, driven past the edge by our own caller: everything between INVITE and BYE."""

import asyncio
import audioop
import itertools
import struct
from pathlib import Path

import pytest

from sip.control import CallEnded, WorkerReady
from tests.peers import sipp
from tests.peers.sip_phone import SipPhone
from tests.sip.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUIET = bytes([0xFF]) * 160

SQUARE = struct.pack("<160h", *(8000 if n % 16 < 8 else -8000 for n in range(160)))
"""A frame of 500 Hz."""


async def test_a_call_from_invite_to_bye(worker: WorkerProcess, silent_caller: SipPhone) -> None:
    """The whole ladder of a plain call, and what the line says about it."""
    async with SipPhone(worker.sip_port, headers=["X-Aitelier-Trunk: berlin"]) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        await worker.event("answered", line)
        phone.bye()
        await phone.response(200, "BYE")
        await worker.ended(phone)
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


async def test_cancel(worker: WorkerProcess) -> None:
    """A caller who gives up while it rings has hung up; the INVITE gets its 487."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        await phone.response(180)
        line = await worker.line_of(phone)
        phone.cancel()
        await phone.response(487)
        await worker.ended(phone)
    assert worker.line_events(line) == ["CallerHungUp"]


async def test_events_wait_for_a_listener(worker: WorkerProcess) -> None:
    """What happens before the call listens is told when it does, in order."""
    async with SipPhone(worker.sip_port, "late") as phone:
        phone.invite()
        line = await worker.line_of(phone)
        phone.cancel()
        await phone.response(487)
        await worker.ended(phone)
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
        await worker.ended(phone)


@pytest.mark.parametrize(
    ("spoil", "status"),
    [(("AVP 0 101", "AVP 18 101"), 488), (("", ""), 420)],
)
async def test_invites_that_never_become_lines(worker: WorkerProcess, spoil: tuple[str, str], status: int) -> None:
    """What the stack refuses by itself is over too, for the edge's count of slots."""
    async with SipPhone(worker.sip_port) as phone:
        phone.invite(phone.sdp().replace(*spoil), *(["Require: nonsense"] if status == 420 else []))
        await phone.response(status)
        await worker.ended(phone)


async def test_hanging_up(worker: WorkerProcess) -> None:
    """Our BYE ends the call, and nobody says that the caller did."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        worker.order("hang_up", line=line)
        worker.order("hang_up", line=line)
        await phone.request("BYE")
        await worker.ended(phone)
    assert worker.line_events(line) == ["MediaAgreed"]


async def test_hanging_up_before_the_answer(worker: WorkerProcess) -> None:
    """Ending a call that rings is a 480."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        line = await worker.line_of(phone)
        worker.order("hang_up", line=line)
        await phone.response(480)
        await worker.ended(phone)


async def test_hanging_up_at_the_answer(worker: WorkerProcess) -> None:
    """A hang-up in the very moment of the ACK is a BYE."""
    async with SipPhone(worker.sip_port, "burst") as phone:
        await phone.talk()
        await phone.request("BYE")
        await worker.ended(phone)


@pytest.mark.parametrize(
    ("state", "statuses", "answered"),
    [
        ("ringing", [481, 400, 400], [True, True, False]),
        ("talking", [408, 400, 400], [True, True, False]),
        ("held", [408, 400, 400], [True, True, False]),
        ("over", [481, 400, 400], [False, False, False]),
    ],
)
async def test_every_operation_in_every_state(
    worker: WorkerProcess, state: str, statuses: list[int], answered: list[bool]
) -> None:
    """The stack asserts, and so aborts, on what it did not expect; a line lets nothing of that through."""
    async with SipPhone(worker.sip_port, "ring" if state == "ringing" else "echo", answers={"REFER": 202}) as phone:
        phone.invite()
        await phone.response(180 if state == "ringing" else 200)
        line = await worker.line_of(phone)
        if state == "held":
            phone.messages.clear()
            phone.invite(phone.sdp(direction="inactive"))
            await phone.response(200)
        elif state == "over":
            phone.bye()
            await worker.ended(phone)
        else:
            await asyncio.sleep(0.1)
        worker.order("everything", line=line)
        told = await worker.event("everything", line)
        await worker.ended(phone)
    assert (told["statuses"], told["answered"]) == (statuses, answered)


async def test_hanging_up_before_the_acknowledgement(worker: WorkerProcess) -> None:
    """A hang-up between our 200 and the caller's ACK ends the call once the ACK is there."""
    async with SipPhone(worker.sip_port, "ring", acknowledge=False) as phone:
        phone.invite()
        line = await worker.line_of(phone)
        worker.order("answer", line=line)
        await phone.response(200)
        worker.order("hang_up", line=line)
        await asyncio.sleep(0.1)
        phone.send("ACK", cseq=1)
        await phone.request("BYE")
        await worker.ended(phone)


async def test_answering_too_late(worker: WorkerProcess) -> None:
    """An answer to a caller who has gone says so."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        line = await worker.line_of(phone)
        phone.cancel()
        await worker.ended(phone)
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
        line = await worker.line_of(phone)
        await worker.event("MediaAgreed", line)
        phone.start_sending(itertools.repeat(audioop.lin2ulaw(SQUARE, 2)))
        await asyncio.sleep(0.4)
        phone.bye()
        await worker.ended(phone)
    loud = [max(memoryview(audioop.ulaw2lin(packet.payload, 2)).cast("h")) > 4000 for packet in phone.packets]
    assert loud.count(True) > 5


async def test_prack_and_session_timer(worker: WorkerProcess) -> None:
    """A caller who wants them gets a reliable 180 (RFC 3262) and a refresh interval (RFC 4028)."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite(None, "Supported: 100rel, timer", "Session-Expires: 120;refresher=uac")
        ringing = await phone.response(180)
        assert ringing.get("Require") == "100rel"
        phone.send("PRACK", "", f"RAck: {ringing.get('RSeq')} {ringing.get('CSeq')}")
        await phone.response(200, "PRACK")
        line = await worker.line_of(phone)
        worker.order("answer", line=line)
        assert (await phone.response(200)).get("Session-Expires") == "120;refresher=uac"
        assert (await worker.event("answered", line))["up"] is True
        phone.bye()
        await worker.ended(phone)
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
        line = await worker.line_of(phone)
        worker.order("transfer", line=line, uri="sip:desk@pbx.test", deadline=5)
        refer = await phone.request("REFER")
        assert refer.get("Refer-To") == "<sip:desk@pbx.test>"
        worker.order("transfer", line=line, uri="sip:other@pbx.test", deadline=5)
        assert (await worker.event("transferred", line))["status"] == 491
        await notify(phone, "100 Trying", "active;expires=60")
        await notify(phone, outcome, "terminated;reason=noresource")
        assert (await worker.event("transferred", line, count=2))["status"] == status
        phone.bye()
        await worker.ended(phone)


@pytest.mark.parametrize(("answer", "status"), [(603, 603), (202, 408), (0, 408)])
async def test_transfer_refused_or_unanswered(worker: WorkerProcess, answer: int, status: int) -> None:
    """A refused REFER gives its status; one that is accepted or ignored without a result ends with the deadline."""
    async with SipPhone(worker.sip_port, answers={"REFER": answer}) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        worker.order("transfer", line=line, uri="tel:+4930999", deadline=0.5)
        assert (await worker.event("transferred", line))["status"] == status
        phone.bye()
        await worker.ended(phone)
    worker.order("transfer", line=line, uri="tel:+4930999", deadline=0.5)
    assert (await worker.event("transferred", line, count=2))["status"] == 481


async def test_being_told_to_dial(worker: WorkerProcess) -> None:
    """A caller cannot make us call someone else."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        phone.send("REFER", "", "Refer-To: <sip:premium@pbx.test>")
        await phone.response(603, "REFER")
        phone.bye()
        await worker.ended(phone)


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
        await worker.ended(phone)


@pytest.mark.skipif(not sipp.available(), reason="NOT TESTED: sipp is not installed (apt install sip-tester)")
async def test_two_hundred_calls_and_no_wrong_bye(tmp_path: Path) -> None:
    """Calls that come and go on the same slots never end each other, although their lines are all kept alive."""
    async with WorkerProcess(tmp_path, quiet="yes") as worker:
        status, printed = await sipp.run(
            tmp_path, sipp.CALLS, worker.sip_port, called="echo", calls=200, rate=40, at_once=4
        )
        assert status == 0, printed

        def over() -> list[str]:
            return [said.sip_call_id for said in worker.to_edge if isinstance(said, CallEnded)]

        await worker.until(lambda: len(over()) == 200)
        worker.order("count")
        counted = await worker.event("count")
        assert len(set(over())) == 200
    assert (counted["lines"], counted["stack_objects"]) == (200, 0)
    assert counted["tasks"] <= 3
    assert 1 <= counted["full_collections"] <= 3  # each stops the media clock, so not with every call
    assert worker.exit_code == 0

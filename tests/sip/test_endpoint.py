"""A whole worker process: its start, its end, what it lets in, and many calls."""

import asyncio
import itertools
from pathlib import Path

import pytest

from sip.control import CallEnded, WorkerReady
from tests.peers import baresip
from tests.peers.sip_phone import SipPhone
from tests.sip.worker_process import WorkerProcess


@pytest.mark.skipif(not baresip.available(), reason="NOT TESTED: baresip is not installed (apt install baresip)")
async def test_mandatory_srtp_with_baresip(tmp_path: Path) -> None:
    """A caller that accepts nothing but SRTP is heard and hears itself."""
    caller = baresip.Baresip(tmp_path, encryption="srtp-mand")
    async with WorkerProcess(tmp_path) as worker:
        calling = asyncio.ensure_future(caller.call(f"sip:echo@127.0.0.1:{worker.sip_port}", seconds=3))
        await worker.event("answered", 0, seconds=5)
        await asyncio.sleep(1.5)
        worker.order("statistics", line=0)
        figures = (await worker.event("statistics", 0))["figures"]
        printed = await calling
        assert worker.events("MediaAgreed", 0)[0]["srtp"] == "AES_CM_128_HMAC_SHA1_80", printed
    assert figures["received_packets"] > 40
    assert figures["lost_packets"] == 0
    assert caller.loudest_heard() > 4000


async def test_stopping_under_live_calls(tmp_path: Path) -> None:
    """A worker that is told to stop hangs up its calls, reports them, and ends without an abort."""
    async with WorkerProcess(tmp_path) as worker:
        async with (
            SipPhone(worker.sip_port) as talking,
            SipPhone(worker.sip_port, "ring") as ringing,
            SipPhone(worker.sip_port, answers={"BYE": 0}) as deaf,
        ):
            for phone in (talking, deaf):
                await phone.talk()
                phone.start_sending(itertools.repeat(bytes(160)))
            ringing.invite()
            await ringing.response(180)
            worker.order("stop")
            await talking.request("BYE")
            await ringing.response(480)
            await deaf.request("BYE")
            await worker.event("stopped", seconds=5)
            ids = {phone.call_id for phone in (talking, ringing, deaf)}
        assert {said.sip_call_id for said in worker.to_edge if isinstance(said, CallEnded)} == ids
        assert [said for said in worker.to_edge if isinstance(said, WorkerReady)][-1].slots == 0
    assert worker.exit_code == 0


async def test_a_killed_edge_does_not_hurt(tmp_path: Path) -> None:
    """Without an edge to report to, calls go on."""
    async with WorkerProcess(tmp_path) as worker, SipPhone(worker.sip_port) as phone:
        (tmp_path / "edge.sock").unlink()
        await phone.talk()
        phone.bye()
        await phone.response(200, "BYE")
        await worker.event("CallerHungUp", 0)


async def test_who_is_not_the_edge(tmp_path: Path) -> None:
    """An INVITE from another local program is refused: only the edge has judged what it sends."""
    async with WorkerProcess(tmp_path, edge="9") as worker, SipPhone(worker.sip_port) as phone:
        phone.invite()
        await phone.response(403)
        await worker.until(lambda: any(isinstance(said, CallEnded) for said in worker.to_edge))
        assert not worker.events("arrived")


async def test_a_draining_worker_takes_no_call(tmp_path: Path) -> None:
    """Calls that run go on, a new one gets 503, and the edge is told."""
    async with WorkerProcess(tmp_path) as worker, SipPhone(worker.sip_port) as first:
        await first.talk()
        worker.order("drain")
        await worker.until(lambda: isinstance(worker.to_edge[-1], WorkerReady) and worker.to_edge[-1].slots == 0)
        async with SipPhone(worker.sip_port) as second:
            second.invite()
            await second.response(503)
        first.bye()
        await first.response(200, "BYE")

"""Calls from a browser: a real WebRTC peer on one side, a real edge on the other, the process's own service between."""

import asyncio
import contextlib
import json
import socket
import statistics
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from aiortc import AudioStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

from sip.browser import call as browser_call
from sip.browser.messages import Answered, CallMoved, CallWanted, FromProcess, Refused, decode_reply, encode
from sip.browser.service import BrowserService
from sip.settings import BrowserSettings
from sip.trunks import BROWSER_ADDRESS
from tests.database import open_folder
from tests.peers import raw_sip
from tests.peers.edge_world import World, opened_edge
from tests.peers.raw_sip import Answer, StandInWorker
from tests.peers.web_offer import OFFER

pytestmark = pytest.mark.asyncio(loop_scope="module")


class SoundingWorker(StandInWorker):
    """Has a socket for sound, where it says it has one."""

    def __init__(self, index: int, control: Path) -> None:
        super().__init__(index, control)
        self.sound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sound.bind(("127.0.0.1", 0))
        self.sound.setblocking(False)

    def send(self, data: bytes) -> None:
        port = str(self.sound.getsockname()[1])
        super().send(data.replace(b"m=audio 40000", b"m=audio " + port.encode()))

    def close(self) -> None:
        super().close()
        self.sound.close()

    async def hear(self, within_s: float = 5.0) -> tuple[bytes, tuple[str, int]]:
        async with asyncio.timeout(within_s):
            packet, source = await asyncio.get_running_loop().sock_recvfrom(self.sound, 2048)
            return packet, source


@dataclass
class Scene:
    """An edge with a worker, and the service that browsers call through."""

    world: World
    worker: SoundingWorker
    socket: Path
    service: BrowserService

    @asynccontextmanager
    async def asked(self, offer: str, called: str = "someone", owner: str = "a") -> AsyncIterator["Asked"]:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        call_id = f"call-{time.monotonic_ns()}"
        writer.write(encode(CallWanted(offer=offer, called=called, sip_call_id=call_id, owner=owner)) + b"\n")
        try:
            yield Asked(call_id, reader, writer)
        finally:
            writer.close()

    async def at_worker(self, method: str, call_id: str, within_s: float = 8.0) -> Answer:
        async with asyncio.timeout(within_s):
            while True:
                for message in self.worker.seen:
                    if message.method == method and message.get("call-id") == call_id:
                        return message
                await asyncio.sleep(0.02)


@dataclass
class Asked:
    """The admin's end of one call."""

    call_id: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def told(self) -> FromProcess:
        async with asyncio.timeout(20):
            return decode_reply(await self.reader.readline())

    async def answer(self) -> str:
        told = await self.told()
        assert isinstance(told, Answered), told
        return told.answer

    async def until(self, state: str) -> CallMoved:
        while True:
            told = await self.told()
            assert isinstance(told, CallMoved), told
            if told.state == state:
                return told
            assert told.state != "ended", told


class Browser:
    """A WebRTC peer that is not ours: aiortc's whole stack, speaking PCMU."""

    def __init__(self) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        line = self.peer.addTransceiver(AudioStreamTrack(), direction="sendrecv")
        codecs = RTCRtpReceiver.getCapabilities("audio").codecs  # type: ignore[union-attr]  # of audio there are some
        line.setCodecPreferences([codec for codec in codecs if codec.mimeType == "audio/PCMU"])
        self.line = line
        self.heard: list[tuple[float, int]] = []

    async def offer(self) -> str:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return str(self.peer.localDescription.sdp)

    async def take(self, answer: str) -> None:
        receiver = self.line.receiver
        as_it_was = receiver._handle_rtp_packet

        async def noted(packet: object, arrival_time_ms: int) -> None:
            self.heard.append((time.monotonic(), packet.sequence_number))  # type: ignore[attr-defined]  # an RtpPacket
            await as_it_was(packet, arrival_time_ms)  # type: ignore[arg-type]  # as above

        receiver._handle_rtp_packet = noted  # type: ignore[method-assign,assignment]  # to see packets as they come
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    made = Browser()
    try:
        yield made
    finally:
        await made.peer.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene() -> AsyncIterator[Scene]:
    """One edge, one worker, one service."""
    with open_folder() as folder:
        async with opened_edge(folder) as world, asyncio.TaskGroup() as group:
            worker = SoundingWorker(0, world.control)
            world.workers.append(worker)
            await worker.start(world.edge.inner_address)
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listening.bind(str(folder / "b.sock"))
            settings = BrowserSettings(
                edge_address=("127.0.0.1", world.edge.port("udp")),
                media_host="127.0.0.1",
                addresses=("127.0.0.1",),
                most_per_owner=2,
            )
            service = BrowserService(settings, listening)
            serving = group.create_task(service.run())
            await service.ready.wait()
            yield Scene(world, worker, folder / "b.sock", service)
            serving.cancel()


@asynccontextmanager
async def connected(scene: Scene, called: str = "someone") -> AsyncIterator[tuple[Asked, Browser]]:
    """A call whose browser has come."""
    async with browser() as peer, scene.asked(await peer.offer(), called) as asked:
        await peer.take(await asked.answer())
        await asked.until("connected")
        yield asked, peer


async def test_sound_passes_both_ways_unchanged_and_at_once(scene: Scene) -> None:
    """The edge sees the trunk "browser"; each packet goes on as it came, within a few milliseconds; a BYE ends it."""
    async with connected(scene) as (asked, peer):
        await asked.until("up")
        invite = await scene.at_worker("INVITE", asked.call_id)
        assert invite.get("x-aitelier-trunk") == "browser"
        packet, source = await scene.worker.hear()
        assert source[0] == BROWSER_ADDRESS
        assert (packet[0], packet[1] & 0x7F, len(packet)) == (0x80, 0, 172)
        sent: dict[int, float] = {}
        for number in range(100):
            sent[number] = time.monotonic()
            scene.worker.sound.sendto(struct.pack("!BBHII", 0x80, 0, number, 160 * number, 1) + bytes(160), source)
            await asyncio.sleep(0.02)
        delays = [at - sent[number] for at, number in peer.heard if number in sent]
        assert len(delays) >= 99
        assert statistics.median(delays) < 0.01
        scene.worker.request("BYE", asked.call_id)
        assert await asked.until("ended") == CallMoved(state="ended", reason="server")
        scene.worker.ended(asked.call_id)


async def test_the_admin_ends_a_call_by_closing(scene: Scene) -> None:
    """A closed connection is a BYE on the line."""
    async with connected(scene) as (asked, _):
        await asked.until("up")
    await scene.at_worker("BYE", asked.call_id)


async def test_a_browser_that_goes_ends_the_call(scene: Scene) -> None:
    """Closing the peer connection, as closing the tab does, is a BYE on the line."""
    async with connected(scene) as (asked, peer):
        await asked.until("up")
        await peer.peer.close()
        assert (await asked.until("ended")).reason == "browser_gone"
        await scene.at_worker("BYE", asked.call_id)


async def test_a_browser_that_falls_silent_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tab that died without a word sends nothing any more: the call ends."""
    monkeypatch.setattr(browser_call, "SILENT_S", 0.5)
    async with connected(scene) as (asked, peer):
        await asked.until("up")
        await peer.line.sender.stop()
        assert (await asked.until("ended")).reason == "browser_gone"


async def test_a_refusal_is_told_with_its_status(scene: Scene) -> None:
    """Whoever is busy is shown as busy."""
    async with connected(scene, "busy") as (asked, _):
        assert await asked.until("ended") == CallMoved(state="ended", status=486, reason="refused")


async def test_ringing_can_be_given_up(scene: Scene) -> None:
    """Before the answer, the end of a call is a CANCEL."""
    async with connected(scene, "ring") as (asked, _):
        await asked.until("ringing")
    await scene.at_worker("CANCEL", asked.call_id)


async def test_somebody_elses_certificate_is_no_call(scene: Scene) -> None:
    """Where DTLS shows another certificate than the offer named, nothing rings."""
    async with browser() as peer:
        offer = await peer.offer()
        at = offer.index("a=fingerprint:sha-256 ") + len("a=fingerprint:sha-256 ")
        forged = offer[:at] + ("00" if offer[at : at + 2] != "00" else "01") + offer[at + 2 :]
        async with scene.asked(forged) as asked:
            await peer.take(await asked.answer())
            assert await asked.until("ended") == CallMoved(state="ended", reason="not_connected")
    assert not [one for one in scene.worker.seen if one.get("call-id") == asked.call_id]


async def test_no_address_that_an_offer_names_is_sent_to(scene: Scene) -> None:
    """The process sends nothing where nobody has sent it something first."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as victim:
        victim.bind(("127.0.0.1", 0))
        victim.setblocking(False)
        offer = OFFER.replace("203.0.113.9 50000", f"127.0.0.1 {victim.getsockname()[1]}")
        async with scene.asked(offer) as asked:
            await asked.answer()
            await asyncio.sleep(0.3)
        with pytest.raises(BlockingIOError):
            victim.recv(1)


async def test_nobody_has_more_calls_than_they_may(scene: Scene) -> None:
    """The third call of one owner is refused; another owner's is not, and an ended one makes room."""
    async with scene.asked(OFFER, owner="b") as first, scene.asked(OFFER, owner="b") as second:
        await first.answer()
        await second.answer()
        async with scene.asked(OFFER, owner="b") as third:
            assert await third.told() == Refused(why="busy")
        async with scene.asked(OFFER, owner="c") as other:
            await other.answer()
    await _becomes(lambda: not scene.service._of_owner)
    async with scene.asked(OFFER, owner="b") as again:
        await again.answer()


NO_WISHES = [b"\n", b"{}\n", b"\xff" * 100 + b"\n", b"x" * 100_000, json.dumps({"type": 1}).encode()]


@pytest.mark.parametrize("line", NO_WISHES)
async def test_what_is_no_wish_is_hung_up_on(scene: Scene, line: bytes) -> None:
    """A broken line ends its connection, and nothing else."""
    reader, writer = await asyncio.open_unix_connection(scene.socket)
    writer.write(line)
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def _becomes(true: Callable[[], bool], within_s: float = 8.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what another task does has no event
            await asyncio.sleep(0.02)


assert raw_sip.SDP.count("m=audio 40000") == 1  # what `SoundingWorker` replaces

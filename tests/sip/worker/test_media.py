"""One worker, driven past the edge by our own caller: sound, keys, hold and figures."""

import asyncio
import audioop
import itertools
import struct

import pytest

from tests.peers.sip_phone import PAYLOAD_TYPES, SipPhone
from tests.sip.worker_process import WorkerProcess

pytestmark = pytest.mark.asyncio(loop_scope="session")

QUIET = bytes([0xFF]) * 160

SQUARE = struct.pack("<160h", *(8000 if n % 16 < 8 else -8000 for n in range(160)))
"""A frame of 500 Hz."""


@pytest.mark.parametrize("codec", list(PAYLOAD_TYPES))
async def test_sound_both_ways_in_each_codec(worker: WorkerProcess, codec: str) -> None:
    """What the caller says comes back from an echo, in PCMU, PCMA and G722."""
    encoded = {"PCMU": audioop.lin2ulaw(SQUARE, 2), "PCMA": audioop.lin2alaw(SQUARE, 2), "G722": bytes(160)}[codec]
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk(phone.sdp(codec))
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(encoded))
        await asyncio.sleep(0.6)
        phone.bye()
        await phone.response(200, "BYE")
        await worker.ended(phone)
    assert (await worker.event("MediaAgreed", line))["codec"] == codec
    back = [packet for packet in phone.packets if packet.payload_type == PAYLOAD_TYPES[codec][0]]
    assert len(back) > 20
    if codec == "G722":
        # A constant code word is a loud, steady sound to a G.722 decoder; silence would come back as constant words.
        assert sum(len(set(packet.payload)) > 4 for packet in back) > 10
    else:
        decode = audioop.ulaw2lin if codec == "PCMU" else audioop.alaw2lin
        assert sum(max(memoryview(decode(packet.payload, 2)).cast("h")) > 4000 for packet in back) > 10


async def test_rtp_goes_out_steadily(worker: WorkerProcess) -> None:
    """A packet every 20 ms without a gap in sequence numbers or timestamps, and the tone is on the wire whole."""
    async with SipPhone(worker.sip_port, "tone") as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        await worker.event("played", line)
        await asyncio.sleep(0.1)  # Played is what the media clock has taken; it is on the wire a moment later.
        phone.bye()
        await worker.ended(phone)
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
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(audioop.lin2ulaw(SQUARE, 2)))
        assert (await worker.event("fifty ticks", line))["loud"] > 4000
        phone.bye()
        await worker.ended(phone)


async def test_flush_cuts_at_once_and_counts_exactly(worker: WorkerProcess) -> None:
    """After a flush no packet of the speech leaves, and the heard time is the number of those that left."""
    async with SipPhone(worker.sip_port, "ring") as phone:
        phone.invite()
        line = await worker.line_of(phone)
        worker.order("answer", line=line)
        await phone.response(200)
        worker.order("say", line=line, seconds=3, item="story")
        await asyncio.sleep(0.5)
        worker.order("flush", line=line, item="story")
        heard_ms = (await worker.event("flushed", line))["heard_ms"]
        await asyncio.sleep(0.2)
        phone.bye()
        await worker.ended(phone)
    loud = [max(memoryview(audioop.ulaw2lin(packet.payload, 2)).cast("h")) > 4000 for packet in phone.packets]
    assert loud.count(True) * 20 == heard_ms
    assert 200 <= heard_ms <= 2000


async def test_keys_from_the_caller(worker: WorkerProcess) -> None:
    """Each press is one key, whether by RFC 4733, pressed twice in a row, or by INFO."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(QUIET))
        for digit in "55#":
            await phone.press(digit)
        phone.send("INFO", "Signal=7\r\nDuration=160\r\n", content_type="application/dtmf-relay")
        await phone.response(200, "INFO")
        await worker.event("KeyPressed", line, count=4)
        phone.bye()
        await worker.ended(phone)
    assert [told["digit"] for told in worker.events("KeyPressed", line)] == ["5", "5", "#", "7"]


async def test_a_key_whose_first_packets_are_lost(worker: WorkerProcess) -> None:
    """The end of a key is enough to know that it was pressed, and its repeats add nothing."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.1)
        await phone.press("9", packets=0)
        await worker.event("KeyPressed", line)
        phone.bye()
        await worker.ended(phone)
    assert [told["digit"] for told in worker.events("KeyPressed", line)] == ["9"]


async def test_keys_to_the_caller(worker: WorkerProcess) -> None:
    """Our keys go out as RFC 4733 events, in order."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.1)
        worker.order("press", line=line, digits="1*")
        await asyncio.sleep(0.8)
        phone.bye()
        await worker.ended(phone)
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
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.3)
        phone.messages.clear()
        phone.invite(phone.sdp(direction=direction))
        assert f"a={answer}" in (await phone.response(200)).body
        phone.stop_sending()
        await asyncio.sleep(0.2)
        before = len(phone.packets)
        await asyncio.sleep(1.2)
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
        await worker.ended(phone)
    assert [name for name in worker.line_events(line) if name.startswith(("Held", "Resumed"))] == events
    assert samples >= 8000 if sends else samples >= 16_000
    loud = [max(memoryview(audioop.ulaw2lin(packet.payload, 2)).cast("h")) > 4000 for packet in phone.packets]
    assert 49 <= loud.count(True) <= 50  # a frame on its way while the stream is made anew may fall
    assert figures["received_packets"] >= 10


async def test_no_rtp_is_told(worker: WorkerProcess) -> None:
    """A caller whose RTP stops is reported once, and again only after it had come back."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.3)
        phone.stop_sending()
        await worker.event("MediaLost", line)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(1.2)
        phone.stop_sending()
        await worker.event("MediaLost", line, count=2)
        phone.bye()
        await worker.ended(phone)


async def test_statistics_with_loss(worker: WorkerProcess) -> None:
    """Every tenth packet lost is counted as such and costs quality."""
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        worker.order("statistics", line=line)
        phone.start_sending(itertools.repeat(QUIET, 101), lose=lambda number: number % 10 == 5)
        await phone.all_sent()
        worker.order("statistics", line=line)
        figures = (await worker.event("statistics", line, count=2))["figures"]
        phone.bye()
        await worker.ended(phone)
        worker.order("statistics", line=line)
        afterwards = (await worker.event("statistics", line, count=3))["figures"]
    assert (figures["codec"], figures["received_packets"], figures["lost_packets"]) == ("PCMU", 91, 10)
    assert figures["jitter_ms"] < 60
    assert 1.0 <= figures["mos"] < 3.5
    assert afterwards["received_packets"] == 91


async def test_round_trip(worker: WorkerProcess) -> None:
    """The caller's receiver report on our sender report says how far away the caller is (RFC 3550, 6.4.1)."""
    away_s, held_s = 0.2, 0.05
    async with SipPhone(worker.sip_port) as phone:
        await phone.talk()
        line = await worker.line_of(phone)
        phone.start_sending(itertools.repeat(QUIET))
        await asyncio.sleep(0.2)
        worker.order("statistics", line=line)
        assert (await worker.event("statistics", line))["figures"]["round_trip_ms"] is None
        async with asyncio.timeout(15):
            while not (reports := [packet for packet in phone.rtcp if packet[1] == 200]):  # noqa: ASYNC110 - packets have no event
                await asyncio.sleep(0.005)
        await asyncio.sleep(away_s)
        ours, last_report = struct.unpack_from("!I2xI", reports[-1], 4)
        seen, held = phone.packets[-1].sequence, round(held_s * 65_536)
        assert phone.remote_rtp is not None
        host, port = phone.remote_rtp
        report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, phone.source, ours, 0, seen, 0, last_report, held)
        phone.control.sendto(report, (host, port + 1))
        await asyncio.sleep(0.1)
        worker.order("statistics", line=line)
        figures = (await worker.event("statistics", line, count=2))["figures"]
        phone.bye()
        await worker.ended(phone)
    expected_ms = 1000 * (away_s - held_s)
    assert expected_ms - 5 < figures["round_trip_ms"] < expected_ms + 100, "later by what a busy machine adds"


CRYPTO = {
    "AES_CM_128_HMAC_SHA1_80": "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    "AES_CM_128_HMAC_SHA1_32": "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz",
    "AES_256_CM_HMAC_SHA1_80": "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Ng==",
}


def secured(phone: SipPhone, *suites: str) -> str:
    lines = [f"a=crypto:{n} {suite} inline:{CRYPTO[suite]}" for n, suite in enumerate(suites, 1)]
    return phone.sdp().replace("RTP/AVP", "RTP/SAVP") + "".join(f"{line}\r\n" for line in lines)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["AES_CM_128_HMAC_SHA1_80"], "AES_CM_128_HMAC_SHA1_80"),
        (["AES_256_CM_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80"], "AES_256_CM_HMAC_SHA1_80"),
        (["AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80"], "AES_CM_128_HMAC_SHA1_80"),
        (["AES_CM_128_HMAC_SHA1_32"], None),
    ],
)
async def test_srtp_suites(worker: WorkerProcess, offered: list[str], chosen: str | None) -> None:
    """The caller's first choice of ours is taken (RFC 4568); a suite with a shortened authentication tag is none."""
    async with SipPhone(worker.sip_port) as phone:
        phone.invite(secured(phone, *offered))
        if chosen is None:
            await phone.response(406)
            await worker.ended(phone)
            return
        assert chosen in (await phone.response(200)).body
        line = await worker.line_of(phone)
        assert (await worker.event("MediaAgreed", line))["srtp"] == chosen
        phone.bye()
        await worker.ended(phone)

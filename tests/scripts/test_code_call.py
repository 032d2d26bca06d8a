"""A code is brought to a number: by a real call over SIP and RTP to a telephone that answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from policies.dsar_words import code_sentence, code_words
from scripts.code_call import ring_with_code
from scripts.phone.message import Message, answer, parse
from scripts.phone.rtp import Sound

CODE = "407128"
NUMBER = "+4915112345678"
OFFER, TOLD, STOPPED = (bytes([level, level]) * 8000 for level in (16, 32, 48))
"""A second of sound each, of a level of its own; levels that G.711 carries apart."""


async def _speak(sentence: str) -> bytes:
    words = code_words("de")
    return {words.offer: OFFER, code_sentence("de", CODE): TOLD, words.stopped: STOPPED}[sentence]


@dataclass
class Phone(asyncio.DatagramProtocol):
    """A telephone at the other end of a trunk."""

    status: str = "200 OK"
    key: str = ""
    sound: Sound = field(default_factory=lambda: Sound("127.0.0.1"))
    asked: list[Message] = field(default_factory=list)
    port: int = 0
    _wire: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # as UDP gives
        self._wire = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = parse(data)
        self.asked.append(request)
        assert self._wire is not None
        if request.method == "INVITE":
            self._pick_up(request, addr)
        elif request.method != "ACK":
            self._wire.sendto(answer(request, "200 OK").encode(), addr)

    def _pick_up(self, request: Message, addr: tuple[str, int]) -> None:
        assert self._wire is not None
        if not self.status.startswith("200"):
            self._wire.sendto(answer(request, self.status).encode(), addr)
            return
        lines = request.body.decode().splitlines()
        port = next(int(line.split()[1]) for line in lines if line.startswith("m=audio"))
        self.sound.remote = ("127.0.0.1", port)
        sdp = (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.sound.port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        extra = [("Contact", f"<sip:phone@127.0.0.1:{self.port}>"), ("Content-Type", "application/sdp")]
        self._wire.sendto(answer(request, "200 OK", extra, sdp.encode()).encode(), addr)
        self.sound.start()
        if self.key:
            self.sound.press(self.key)

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.asked]


@asynccontextmanager
async def _phone(phone: Phone) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    wire, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=("127.0.0.1", 0))
    try:
        yield f"sip:+493012345@127.0.0.1:{phone.port};transport=udp"
    finally:
        await phone.sound.stop()
        wire.close()


def _heard(phone: Phone, sound: bytes) -> int:
    """How many samples of this sound's level were heard; G.711 changes a level by less than a twentieth."""
    level = int.from_bytes(sound[:2], "little")
    return sum(abs(sample - level) < level // 20 for sample in memoryview(phone.sound.heard()).cast("h"))


async def test_who_presses_1_hears_the_code() -> None:
    """The number is rung with our own as caller; after the key comes the code, whole, and then the call ends."""
    phone = Phone(key="1")
    async with _phone(phone) as trunk:
        outcome = await ring_with_code(trunk, NUMBER, code=CODE, language="de-AT", speak=_speak)
        invite = phone.asked[0]
        assert outcome == "heard"
        assert invite.start.startswith(f"INVITE sip:{NUMBER}@127.0.0.1:")
        assert "<sip:+493012345@" in invite.first("from")
        assert phone.methods[-1] == "BYE"
        assert CODE not in str(phone.asked)
        assert _heard(phone, TOLD) >= 7900


@pytest.mark.parametrize(("key", "outcome"), [("9", "stopped"), ("5", "unanswered"), ("", "unanswered")])
async def test_nobody_else_hears_it(key: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the key 9, another, or none, as an answering machine presses none, the code is never said."""
    monkeypatch.setattr("scripts.code_call._THINKING_S", 0.5)
    phone = Phone(key=key)
    async with _phone(phone) as trunk:
        assert await ring_with_code(trunk, NUMBER, code=CODE, language="de", speak=_speak) == outcome
        assert _heard(phone, TOLD) == 0
        assert (_heard(phone, STOPPED) >= 7900) is (key == "9")
        assert (_heard(phone, OFFER) >= 7900) is (key != "9")  # the key cuts it short
        assert phone.methods[-1] == "BYE"


@pytest.mark.parametrize("status", ["486 Busy Here", "603 Decline"])
async def test_a_call_that_is_not_taken(status: str) -> None:
    """A busy or unwilling number is left alone."""
    phone = Phone(status=status)
    async with _phone(phone) as trunk:
        assert await ring_with_code(trunk, NUMBER, code=CODE, language="de", speak=_speak) == "unanswered"
        assert "BYE" not in phone.methods

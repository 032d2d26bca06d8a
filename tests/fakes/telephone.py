"""A telephone at the far end of a trunk, over UDP: takes or refuses a call, presses a key, keeps what it hears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scripts.phone.message import Message, answer, parse
from scripts.phone.rtp import Sound


@dataclass
class Telephone(asyncio.DatagramProtocol):
    """Takes one call after the other, all with the same answer."""

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
        """Of every request, in order."""
        return [request.method for request in self.asked]


@asynccontextmanager
async def telephone(phone: Telephone) -> AsyncIterator[str]:
    """The address of the trunk behind which this telephone is the only one."""
    loop = asyncio.get_running_loop()
    wire, _ = await loop.create_datagram_endpoint(lambda: phone, local_addr=("127.0.0.1", 0))
    try:
        yield f"sip:+493012345@127.0.0.1:{phone.port};transport=udp"
    finally:
        await phone.sound.stop()
        wire.close()

"""A telephone's sound: RTP (RFC 3550) in G.711, one packet every 20 ms both ways, keys as RFC 4733 events."""

import asyncio
import contextlib
import secrets
import socket
import struct
import time
import warnings
from collections import deque
from collections.abc import Callable

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

FRAME_SAMPLES = 160
_HEADER = struct.Struct(">BBHII")
_EVENT = struct.Struct(">BBH")
_KEYS = "0123456789*#ABCD"
CODECS = {"PCMU": 0, "PCMA": 8}
TELEPHONE_EVENT = 101
_SO_TIMESTAMPNS = 35
"""Of Linux: the kernel says when each packet came (socket(7), SO_TIMESTAMPNS), however late we look."""
_STALLED_S = 0.06
"""A telephone that was kept from sending for longer goes on where it was."""
_TIMESPEC = struct.Struct("@qq")
_NOTES_BYTES = 64
_SPEECH_RMS = 250
"""Louder than this, in 16-bit samples, counts as somebody speaking."""


class Sound:
    """Sends what is queued, silence otherwise, and keeps everything that is heard."""

    def __init__(self, host: str, codec: str = "PCMU", *, lose: Callable[[int], bool] | None = None) -> None:
        self.codec = codec
        self._lose = lose
        """Test aid: says of a packet's sequence number whether the network loses it."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)
        with contextlib.suppress(OSError):  # without it, a packet came when we looked
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        self.remote: tuple[str, int] | None = None
        self._to_say: deque[bytes] = deque()
        self._to_press: deque[bytes] = deque()
        self._sequence = secrets.randbelow(1 << 15)
        self._stamp = secrets.randbelow(1 << 31)
        self._source = secrets.randbelow(1 << 32)
        self._sender: asyncio.Task[None] | None = None
        self.muted = False
        """On: no packet leaves, as from a telephone that was unplugged."""
        self.frames: list[tuple[float, int, bytes]] = []
        """Every frame heard: (monotonic seconds at arrival, RTP timestamp, 16-bit PCM)."""
        self.keys: list[str] = []
        """Keys the other side pressed."""
        self.last_voice: float | None = None
        """When the other side was last heard speaking, monotonic seconds."""
        self.first_packet: float | None = None
        self.sent = 0
        self.send_times: list[float] = []
        self._last_key_stamp: int | None = None

    def start(self) -> None:
        """Listen, and send from now on."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._read)
        self._sender = loop.create_task(self._send(), name="phone rtp")

    async def stop(self) -> None:
        """Stop both. Idempotent."""
        if self._socket.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._sender is not None:
            self._sender.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sender
        self._socket.close()

    def say(self, pcm: bytes) -> None:
        """Queue 16-bit mono sound at 8,000 samples a second."""
        pcm += bytes(-len(pcm) % (2 * FRAME_SAMPLES))
        step = 2 * FRAME_SAMPLES
        encode = audioop.lin2ulaw if self.codec == "PCMU" else audioop.lin2alaw
        self._to_say.extend(encode(pcm[at : at + step], 2) for at in range(0, len(pcm), step))

    def fall_silent(self) -> None:
        """Say no more of what is queued."""
        self._to_say.clear()

    def press(self, key: str) -> None:
        """Queue one key: 160 ms of event packets, the end three times (RFC 4733, 2.5)."""
        event = _KEYS.index(key.upper())
        for tick in range(1, 9):
            self._to_press.append(_EVENT.pack(event, 10, tick * FRAME_SAMPLES))
        self._to_press.extend([_EVENT.pack(event, 0x80 | 10, 9 * FRAME_SAMPLES)] * 3)

    @property
    def speaking(self) -> bool:
        """Whether something is still to be said or pressed."""
        return bool(self._to_say or self._to_press)

    def heard(self) -> bytes:
        """All that was heard as 16-bit PCM, placed by RTP timestamps from the first packet on; the lost is silent."""
        if not self.frames:
            return b""
        base = self.frames[0][1]
        placed = {((stamp - base) & 0xFFFFFFFF): pcm for _, stamp, pcm in self.frames}
        end = max(offset for offset in placed if offset < 1 << 31)
        out = bytearray(2 * (end + FRAME_SAMPLES))
        for offset, pcm in placed.items():
            if offset <= end:
                out[2 * offset : 2 * offset + len(pcm)] = pcm
        return bytes(out)

    async def _send(self) -> None:
        silence = b"\xff" if self.codec == "PCMU" else b"\xd5"
        due = time.monotonic()
        pressed_at = 0
        marked = False
        while True:
            due += 0.02
            now = time.monotonic()
            if now - due > _STALLED_S:
                due = now  # made good for in one burst, it would overrun the other side's jitter buffer and be lost
            await asyncio.sleep(max(0.0, due - now))
            self._stamp = (self._stamp + FRAME_SAMPLES) & 0xFFFFFFFF
            if self.remote is None or self.muted:
                continue
            if self._to_press:
                event = self._to_press.popleft()
                first = event[2:] == struct.pack(">H", FRAME_SAMPLES) and not event[1] & 0x80
                pressed_at = self._stamp if first else pressed_at
                self._packet(TELEPHONE_EVENT | (0x80 if first else 0), pressed_at, event)
                continue
            frame = self._to_say.popleft() if self._to_say else silence * FRAME_SAMPLES
            self._packet(CODECS[self.codec] | (0 if marked else 0x80), self._stamp, frame)
            marked = True

    def _packet(self, kind: int, stamp: int, payload: bytes) -> None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        if self._lose is not None and self._lose(self._sequence):
            return
        self.sent += 1
        self.send_times.append(time.monotonic())
        with contextlib.suppress(OSError):
            self._socket.sendto(
                _HEADER.pack(0x80, kind, self._sequence, stamp, self._source) + payload, self.remote or ()
            )

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                packet, notes, _, _ = self._socket.recvmsg(2048, _NOTES_BYTES)
                now = time.monotonic()
                for level, kind, content in notes:
                    if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                        seconds, nanoseconds = _TIMESPEC.unpack(content)
                        now -= max(0.0, time.time() - seconds - nanoseconds / 1e9)
                self._heard(packet, now)

    def _heard(self, packet: bytes, now: float) -> None:
        if len(packet) < _HEADER.size or packet[0] >> 6 != 2:
            return
        _, kind, _, stamp, _ = _HEADER.unpack_from(packet)
        kind &= 0x7F
        payload = packet[_HEADER.size + 4 * (packet[0] & 0x0F) :]
        self.first_packet = self.first_packet or now
        if kind == TELEPHONE_EVENT and len(payload) >= _EVENT.size:
            if stamp != self._last_key_stamp:
                self._last_key_stamp = stamp
                self.keys.append(_KEYS[payload[0]])
            return
        if kind not in CODECS.values():
            return
        pcm = (audioop.ulaw2lin if kind == 0 else audioop.alaw2lin)(payload, 2)
        self.frames.append((now, stamp, pcm))
        if audioop.rms(pcm, 2) > _SPEECH_RMS:
            self.last_voice = now

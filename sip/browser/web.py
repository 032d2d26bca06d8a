"""The browser's side of a call: ICE, DTLS-SRTP (RFC 8827) and RTP, on aiortc's transports and below its media stack.

aiortc decodes what it receives and holds it back for 80 ms in a jitter buffer of its own; here its transports hand over
packets as they come.
"""

import asyncio
import logging
import secrets
import struct
import time
from collections.abc import Callable, Sequence
from typing import Final

from aioice.ice import get_host_addresses
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceGatherer, RTCIceTransport
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcicetransport import RTCIceParameters
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import AnyRtcpPacket, RtpPacket

from sip.browser.offer import PCMU, Candidate, Offer, write_answer

for _name in ("aioice", "aiortc"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)  # what they tell is about somebody's address

CONNECT_S: Final = 15.0
_HEADER = struct.Struct("!BBHII")
_HASH: Final = "sha-256"

TELEPHONE_EVENT: Final = 101
"""Payload type of keys on the telephone's side."""


class NotConnectedError(Exception):
    """The browser could not be reached, or did not show the certificate it had named."""


class NoAddressError(Exception):
    """This machine has no address that a browser could send to."""


class _Gatherer(RTCIceGatherer):
    """Offers the wanted addresses alone, and asks no server elsewhere for more: aiortc's default would ask Google."""

    def __init__(self, addresses: Sequence[str]) -> None:
        super().__init__(iceServers=[])
        self._addresses = addresses

    async def gather(self) -> None:
        """Open a socket on each address."""
        connection = self._connection
        connection._local_candidates_start = True  # noqa: SLF001  # aioice has no way to choose addresses
        found = await connection.get_component_candidates(component=1, addresses=list(self._addresses))
        connection._local_candidates = found  # noqa: SLF001  # see above
        connection._local_candidates_end = True  # noqa: SLF001  # see above


class WebLine:
    """One browser. `answer` its offer, `connect`, then sound comes to `heard` and goes by `say`; `close` at the end."""

    def __init__(self, offer: Offer, heard: Callable[[bytes], None]) -> None:
        """`heard` gets each RTP packet as the telephone's side numbers its payloads."""
        self._offer = offer
        self._heard = heard
        self._certificate = RTCCertificate.generateCertificate()
        self._source = secrets.randbelow(1 << 32)
        self._ice: RTCIceTransport | None = None
        self._dtls: RTCDtlsTransport | None = None
        self.gone = asyncio.Event()
        """Set once the browser has said that it goes."""
        self.last_heard = 0.0
        """Monotonic seconds; 0: nothing yet."""

    async def answer(self, addresses: Sequence[str], public_address: str | None) -> str:
        """Open sockets on the addresses, on all of the machine's where none is given; the SDP to answer with.

        Raises:
            NoAddressError: None can be used.
        """
        gatherer = _Gatherer(addresses or get_host_addresses(use_ipv4=True, use_ipv6=True))
        await gatherer.gather()
        candidates = [
            Candidate(one.ip, one.port, one.priority, one.foundation) for one in gatherer.getLocalCandidates()
        ]
        if not candidates:
            raise NoAddressError
        if public_address is not None and public_address not in {one.host for one in candidates}:
            first = candidates[0]
            candidates.append(Candidate(public_address, first.port, first.priority - 1, "public"))
        self._ice = RTCIceTransport(gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [self._certificate])
        own = gatherer.getLocalParameters()
        fingerprint = next(one for one in self._certificate.getFingerprints() if one.algorithm == _HASH)
        return write_answer(
            self._offer,
            ufrag=str(own.usernameFragment),
            password=str(own.password),
            fingerprint=(fingerprint.algorithm, fingerprint.value),
            candidates=candidates,
            source=self._source,
        )

    async def connect(self) -> None:
        """Wait for the browser, and agree on keys with it.

        Raises:
            NotConnectedError: It did not come in time, or is somebody else.
        """
        ice, dtls = self._transports()
        fingerprints = [RTCDtlsFingerprint(algorithm=kind, value=value) for kind, value in self._offer.fingerprints]
        kinds = [PCMU] if self._offer.keys is None else [PCMU, self._offer.keys]
        codecs = [RTCRtpCodecParameters(mimeType="audio/PCMU", clockRate=8000, payloadType=kind) for kind in kinds]
        dtls._register_rtp_receiver(self, RTCRtpReceiveParameters(codecs=codecs))  # noqa: SLF001  # below the media stack
        try:
            async with asyncio.timeout(CONNECT_S):
                await ice.start(RTCIceParameters(usernameFragment=self._offer.ufrag, password=self._offer.password))
                if ice.state == "completed":
                    await dtls.start(RTCDtlsParameters(fingerprints=fingerprints))
        except TimeoutError:
            raise NotConnectedError from None
        if dtls.state != "connected":
            raise NotConnectedError

    async def say(self, packet: bytes) -> None:
        """Send an RTP packet of the telephone's side. Raises `ConnectionError` once the browser has gone."""
        if len(packet) < _HEADER.size or packet[1] & 0x7F != PCMU:
            return
        _, dtls = self._transports()
        rewritten = packet[:8] + self._source.to_bytes(4, "big") + packet[12:]
        await dtls._send_rtp(rewritten)  # noqa: SLF001  # below the media stack

    async def close(self) -> None:
        """Say goodbye and let go."""
        if self._dtls is not None:
            await self._dtls.stop()
        if self._ice is not None:
            await self._ice.stop()

    def _transports(self) -> tuple[RTCIceTransport, RTCDtlsTransport]:
        if self._ice is None or self._dtls is None:
            raise NotConnectedError
        return self._ice, self._dtls

    # --- what aiortc's transport expects of a receiver ---------------------------------------------------------------

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        del arrival_time_ms
        self.last_heard = time.monotonic()
        kind = PCMU if packet.payload_type == PCMU else TELEPHONE_EVENT
        head = _HEADER.pack(0x80, packet.marker << 7 | kind, packet.sequence_number, packet.timestamp, packet.ssrc)
        self._heard(head + packet.payload)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Reports are of no use here: nothing is adapted."""

    def _handle_disconnect(self) -> None:
        self.gone.set()

"""Quality of a call over all its RTP streams: a re-INVITE ends one stream and begins the next."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """Sums over streams; jitter and round trip are means weighted by what they were measured on."""

    streams: int = 0
    received: int = 0
    lost: int = 0
    """Packets that never came."""
    discarded: int = 0
    """Packets that came too late to be heard."""
    jitter_packets_us: float = 0.0
    """Sum of each stream's mean jitter, times its packets."""
    round_trip_sum_us: float = 0.0
    round_trip_count: int = 0

    def plus(self, statistics: Any) -> "StreamTotals":
        """These and one more stream's, given pjsua2's StreamStat."""
        rtcp = statistics.rtcp
        arrived, trip = rtcp.rxStat, rtcp.rttUsec
        packets, trips = int(arrived.pkt), int(trip.n)
        return StreamTotals(
            streams=self.streams + 1,
            received=self.received + packets,
            lost=self.lost + int(arrived.loss),
            discarded=self.discarded + int(arrived.discard) + int(statistics.jbuf.discard),
            jitter_packets_us=self.jitter_packets_us + float(arrived.jitterUsec.mean) * packets,
            round_trip_sum_us=self.round_trip_sum_us + float(trip.mean) * trips,
            round_trip_count=self.round_trip_count + trips,
        )

    @property
    def jitter_ms(self) -> float:
        """Mean interarrival jitter (RFC 3550 section 6.4.1)."""
        return self.jitter_packets_us / self.received / 1000 if self.received else 0.0

    @property
    def round_trip_ms(self) -> float | None:
        """Mean round trip by RTCP; None while no report came back."""
        return self.round_trip_sum_us / self.round_trip_count / 1000 if self.round_trip_count else None

    @property
    def unheard_share(self) -> float:
        """Share of packets that were lost or came too late, 0 to 1."""
        expected = self.received + self.lost
        return min(1.0, (self.lost + self.discarded) / expected) if expected else 0.0

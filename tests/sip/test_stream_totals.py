from types import SimpleNamespace as Made

from sip.stream_totals import StreamTotals


def stream(packets: int, loss: int = 0, jitter_us: int = 0, trips: tuple[int, int] = (0, 0), late: int = 0) -> Made:
    """What pjsua2 reports of one stream, as far as it is read."""
    arrived = Made(pkt=packets, loss=loss, discard=0, jitterUsec=Made(mean=jitter_us))
    return Made(rtcp=Made(rxStat=arrived, rttUsec=Made(n=trips[0], mean=trips[1])), jbuf=Made(discard=late))


def test_nothing_measured() -> None:
    """Before the first packet there are no shares of nothing."""
    totals = StreamTotals()
    assert (totals.jitter_ms, totals.round_trip_ms, totals.unheard_share) == (0.0, None, 0.0)


def test_streams_add_up() -> None:
    """A re-INVITE's second stream counts with its packets' weight."""
    totals = StreamTotals().plus(stream(300, 10, 2_000, (1, 40_000))).plus(stream(100, 0, 6_000, (3, 20_000), late=10))
    assert (totals.streams, totals.received, totals.lost) == (2, 400, 10)
    assert totals.jitter_ms == 3.0
    assert totals.round_trip_ms == 25.0
    assert totals.unheard_share == 20 / 410

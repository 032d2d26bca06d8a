"""Token buckets per source address. No clock of its own: the time is an argument, in seconds."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address

_SOURCES_KEPT = 20_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class SourceBuckets:
    """Lets each source take `burst` at once and `per_s` a second over time.

    At most 20,000 sources are remembered, the longest silent are forgotten first: a forgotten source starts with a
    full bucket, so an attacker with more addresses than that meets only the limits for all sources together.
    """

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, source: str, now_s: float) -> bool:
        """Whether this source may have one more now; counts it if so."""
        bucket = self._buckets.get(source)
        if bucket is None:
            bucket = self._buckets[source] = _Bucket(self._burst, now_s)
            if len(self._buckets) > _SOURCES_KEPT:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(source)
            bucket.tokens = min(self._burst, bucket.tokens + (now_s - bucket.at_s) * self._per_s)
            bucket.at_s = now_s
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


def source_of(ip: str) -> str:
    """What counts as one source: an IPv4 address, or the /64 network that one IPv6 subscriber has to choose from."""
    return ip if ":" not in ip else IPv6Address(ip.partition("%")[0]).packed[:8].hex()

"""What the edge counts, as Prometheus metrics in a registry of its own, and the last refusals."""

from collections import OrderedDict
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from sip.control import Refusal
from sip.tokens import Flow

METHODS = frozenset(
    {
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "OPTIONS",
        "REGISTER",
        "PRACK",
        "UPDATE",
        "INFO",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "MESSAGE",
        "PUBLISH",
    }
)
_REFUSALS_KEPT = 128
"""Of trunks, and as many of strangers."""
_CALLED_KEPT = 4
_LONGEST_CALLED = 40


class Counters:
    """The edge's figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = Counter(
            "aitelier_sip_messages",
            "SIP messages by direction and method or status",
            ["direction", "kind"],
            registry=self.registry,
        )
        self._refused = Counter(
            "aitelier_sip_refused", "Requests refused by the edge", ["status", "reason"], registry=self.registry
        )
        self._dropped = Counter(
            "aitelier_sip_dropped", "Messages dropped without an answer", ["reason"], registry=self.registry
        )
        self.connections = Gauge(
            "aitelier_sip_connections", "Open TCP and TLS connections", ["transport"], registry=self.registry
        )
        self.calls = Gauge("aitelier_sip_calls", "Calls that hold a slot", registry=self.registry)
        self.free_slots = Gauge("aitelier_sip_free_slots", "Slots a new call could take", registry=self.registry)
        self.workers_up = Gauge("aitelier_sip_workers_up", "Workers that announce themselves", registry=self.registry)
        self.worker_deaths = Counter("aitelier_sip_worker_deaths", "Workers that died", registry=self.registry)
        self._message_of = lru_cache(maxsize=2_048)(self._messages.labels)
        self._dropped_of = lru_cache(maxsize=64)(self._dropped.labels)

    def message(self, direction: str, kind: str) -> None:
        """Count one message; `kind` is a method or a status. Unknown methods count as one."""
        self._message_of(direction, kind if kind in METHODS or kind.isdigit() else "other").inc()

    def refused(self, status: int, why: str) -> None:
        """Count one request that the edge answered itself with a refusal."""
        self._refused.labels(str(status), why).inc()

    def dropped(self, why: str) -> None:
        """Count one message that got no answer."""
        self._dropped_of(why).inc()

    def text(self) -> str:
        """Prometheus text exposition."""
        return generate_latest(self.registry).decode()


_Refusals = OrderedDict[tuple[str, str, str, int, str], Refusal]


class RefusalRing:
    """The last refusals, for "why was my call rejected?". In memory only: addresses are personal.

    The same one again only counts up, so that a flood from one source does not push out what happened to others; and
    strangers do not push out what happened to trunks.
    """

    def __init__(self) -> None:
        self._of_trunks: _Refusals = OrderedDict()
        self._of_strangers: _Refusals = OrderedDict()

    def add(
        self, flow: Flow, method: str, status: int, reason: str, at_unix: float, *, of_trunk: bool, called: str = ""
    ) -> None:
        """Remember one refusal; `status` 0 for a message that was dropped."""
        kept = self._of_trunks if of_trunk else self._of_strangers
        key = (flow.transport, flow.ip, method, status, reason)
        before = kept.pop(key, None)
        dialled = [one for one in before.called if one != called] if before else []
        if called:
            dialled.append(called[:_LONGEST_CALLED])
        kept[key] = Refusal(
            at_unix=at_unix,
            source=str(flow),
            method=method[:32],
            status=status,
            reason=reason,
            times=before.times + 1 if before else 1,
            called=tuple(dialled[-_CALLED_KEPT:]),
        )
        if len(kept) > _REFUSALS_KEPT:
            kept.popitem(last=False)

    def listed(self) -> tuple[Refusal, ...]:
        """All of them, newest last."""
        everyone = (*self._of_strangers.values(), *self._of_trunks.values())
        return tuple(sorted(everyone, key=lambda refusal: refusal.at_unix))

"""The workers and their slots. No I/O and no clock: times are arguments, in seconds of one monotonic clock."""

from dataclasses import dataclass, field

from sip.control import ANNOUNCE_EVERY_S, WorkerReady

_SILENT_S = 5 * ANNOUNCE_EVERY_S
"""A worker that has not announced itself for so long gets no new call."""
_UNKNOWN_S = 3 * ANNOUNCE_EVERY_S
"""A call that its worker does not list so long after the INVITE was handed over has ended unheard."""


@dataclass(slots=True)
class Worker:
    """One worker as the edge sees it."""

    index: int
    sip_port: int
    slots: int
    most_slots: int
    """What it first said it can carry; it can want less, never more."""
    pid: int
    heard_s: float
    calls: dict[str, float] = field(default_factory=dict)
    """SIP Call-ID → when it took the slot."""
    cooling: list[float] = field(default_factory=list)
    """When each cooling slot is free again."""
    picked_s: float = 0.0

    def busy(self, now_s: float) -> int:
        """Slots taken or cooling."""
        self.cooling = [free_s for free_s in self.cooling if free_s > now_s]
        return len(self.calls) + len(self.cooling)

    def free(self, now_s: float) -> int:
        """Slots a new call could take now."""
        return max(0, self.slots - self.busy(now_s)) if now_s - self.heard_s <= _SILENT_S else 0


class Pool:
    """Picks a worker for each new call, and never gives one more than it can bear."""

    def __init__(self, max_calls: int, cooling_s: float) -> None:
        self._max_calls = max_calls
        self._cooling_s = cooling_s
        self._workers: dict[int, Worker] = {}

    def announced(self, said: WorkerReady, pid: int, now_s: float) -> Worker:
        """A worker said that it is there; what it says about its calls is the truth."""
        worker = self._workers.get(said.index)
        if worker is None:
            worker = self._workers[said.index] = Worker(said.index, said.sip_port, said.slots, said.slots, pid, now_s)
        worker.sip_port, worker.pid, worker.heard_s = said.sip_port, pid, now_s
        worker.slots = min(said.slots, worker.most_slots)
        listed = set(said.live_calls)
        for call_id in listed:
            worker.calls.setdefault(call_id, now_s)
        for call_id, since_s in list(worker.calls.items()):
            if call_id not in listed and now_s - since_s > _UNKNOWN_S:
                self.release(said.index, call_id, now_s)
        return worker

    def pick(self, now_s: float) -> Worker | None:
        """The worker for a new call: the least loaded, among equals the one that waited longest; None when all is full.

        Slots that cool count as load, so a burst spreads over all workers.
        """
        if self.calls >= self._max_calls:
            return None
        free = [worker for worker in self._workers.values() if worker.free(now_s)]
        return min(free, key=lambda worker: (worker.busy(now_s), worker.picked_s), default=None)

    @staticmethod
    def take(worker: Worker, call_id: str, now_s: float) -> None:
        """An INVITE goes to this worker."""
        worker.calls[call_id] = worker.picked_s = now_s

    def release(self, index: int, call_id: str, now_s: float) -> None:
        """A call is over; its slot cools. Idempotent."""
        worker = self._workers.get(index)
        if worker is not None and worker.calls.pop(call_id, None) is not None:
            worker.cooling.append(now_s + self._cooling_s)

    def remove(self, index: int) -> Worker | None:
        """A worker is gone, with all its calls."""
        return self._workers.pop(index, None)

    def worker(self, index: int) -> Worker | None:
        """The worker with this number, if it is there."""
        return self._workers.get(index)

    def has_port(self, sip_port: int) -> bool:
        """Whether a worker listens at this port."""
        return any(worker.sip_port == sip_port for worker in self._workers.values())

    @property
    def calls(self) -> int:
        """Calls that hold a slot; cooling ones do not count."""
        return sum(len(worker.calls) for worker in self._workers.values())

    def free_slots(self, now_s: float) -> int:
        """New calls that would find a slot now."""
        return max(0, min(self._max_calls - self.calls, sum(worker.free(now_s) for worker in self._workers.values())))

    def up(self, now_s: float) -> int:
        """Workers that announce themselves."""
        return sum(now_s - worker.heard_s <= _SILENT_S for worker in self._workers.values())

"""The live workers of each queue, by datacenter, as Celery's inspection shows them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from sidecar.celery.queue_names import QueueNames
from sidecar.client import Worker


@dataclass(frozen=True)
class LiveWorkers:
    """The live workers that consume each queue: address and datacenter. Not `known` before the first inspection."""

    NONE: ClassVar[LiveWorkers]

    queues: Mapping[str, tuple[tuple[str, str], ...]]
    known: bool = True
    _candidates: dict[str, tuple[Worker, ...]] = field(default_factory=dict, compare=False)

    def of(self, queue: str) -> tuple[Worker, ...] | None:
        """Return the candidates for the tasks of a queue, None if nothing is known."""
        if not self.known:
            return None
        found = self._candidates.get(queue)
        if found is None:
            found = tuple(Worker(address, datacenter=name) for address, name in self.queues.get(queue, ()))
            if queue in self.queues:
                self._candidates[queue] = found
        return found

    def counts(self, queue: str) -> Mapping[str, int] | None:
        """Return how many workers of a queue each datacenter has, None if nothing is known."""
        return Counter(name for _, name in self.queues.get(queue, ())) if self.known else None


LiveWorkers.NONE = LiveWorkers({}, known=False)


def live_workers(consumed: Mapping[str, Iterable[str]], names: QueueNames, datacenters: Iterable[str]) -> LiveWorkers:
    """Return the live workers; `consumed` has the names of the queues that each worker consumes."""
    datacenters = tuple(datacenters)
    queues: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for address in sorted(consumed):
        for name in sorted(set(consumed[address])):
            queue, datacenter = names.split(name, datacenters)
            if not datacenter:
                continue
            there = {known for known, _ in queues[queue]}
            # A worker may consume the queues of several datacenters; addresses are unique.
            queues[queue].append((address if address not in there else f"{address}#{datacenter}", datacenter))
    return LiveWorkers({queue: tuple(workers) for queue, workers in queues.items()})


class RecentWorkers:
    """Keeps each worker's queues until it has been silent for `lost_after` seconds: a reply may be late or lost."""

    def __init__(self, lost_after: float) -> None:
        self._lost_after = lost_after
        self._seen: dict[str, tuple[float, tuple[str, ...]]] = {}

    def note(self, replies: Mapping[str, Sequence[Mapping[str, Any]]] | None, now: float) -> dict[str, tuple[str, ...]]:
        """Take the replies of an inspection of the active queues; return the live workers' queues."""
        for address, queues in (replies or {}).items():
            self._seen[address] = now, tuple(str(queue["name"]) for queue in queues)
        self._seen = {address: entry for address, entry in self._seen.items() if now - entry[0] <= self._lost_after}
        return {address: queues for address, (_, queues) in self._seen.items()}

"""Remembers which workers requests have shown for each application, by datacenter."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sized
from heapq import nlargest
from operator import itemgetter

from sidecar.routing.failover import MIN_EVIDENCE_NS
from sidecar.routing.model import DEFAULT_OBSERVATIONS

# Applications that are remembered beside as many as the document names, and the bytes of all: clients can make up
# names.
_OTHERS = 4096
_BYTES = 4 * 1024 * 1024
# What an application takes, and each of its datacenters (measured, for the longest names).
_ENTRY_BYTES = 1200
_DATACENTER_BYTES = 200
# No datacenter of a document has a longer name.
_MAX_NAME = 63
# Datacenters of one request that are counted: clients can make up those, too.
_DATACENTERS = 64

WorkerCounts = Mapping[str, int]


def count_workers(workers: Mapping[str, Sized]) -> WorkerCounts:
    """Return how many workers each datacenter has; of a great many datacenters those with the most workers."""
    counted = {name: len(here) for name, here in workers.items() if len(name) <= _MAX_NAME}
    if len(counted) <= _DATACENTERS:
        return counted
    return dict(nlargest(_DATACENTERS, counted.items(), key=itemgetter(1)))


class SeenWorkers:
    """The workers of an application, as requests have shown them.

    `newest` are the workers of the newest request, which came at `at_ns` (Unix nanoseconds). One request proves
    nothing: as for failover, evidence are different runs over a time, none contradicted by a newer one.
    """

    __slots__ = ("_evident", "_fewest", "_runs", "_since_ns", "at_ns", "newest")

    def __init__(self, workers: WorkerCounts) -> None:
        self.newest = self._fewest = workers
        self.at_ns = 0
        self._evident: WorkerCounts | None = None
        self._runs: tuple[int, ...] = ()
        self._since_ns = time.monotonic_ns()

    def note(self, workers: WorkerCounts, run: int) -> None:
        """Take the workers of a request of this run (0: of a run of its own), which came now."""
        now_ns = time.monotonic_ns()
        self.at_ns = time.time_ns()
        if workers is not self.newest and workers != self.newest:
            self._fewest = _fewest(self._fewest, workers)
        self.newest = workers
        if len(self._runs) < DEFAULT_OBSERVATIONS:
            run = run or now_ns
            if run in self._runs:
                return
            self._runs += (run,)
        if len(self._runs) >= DEFAULT_OBSERVATIONS and now_ns - self._since_ns >= MIN_EVIDENCE_NS:
            self._evident, self._fewest = self._fewest, workers
            self._runs, self._since_ns = (), now_ns

    @property
    def fewest(self) -> WorkerCounts:
        """The fewest workers that each datacenter has had in any of the requests that are evidence, and since them."""
        return self._fewest if self._evident is None else _fewest(self._evident, self._fewest)

    @property
    def runs(self) -> int:
        """How many runs have shown at least the `fewest`: as many as are evidence, or less while there is none."""
        return min(len(self._runs), DEFAULT_OBSERVATIONS - 1) if self._evident is None else DEFAULT_OBSERVATIONS


def _fewest(one: WorkerCounts, other: WorkerCounts) -> WorkerCounts:
    return {name: min(count, other[name]) for name, count in one.items() if name in other}


class LiveWorkerTracker:
    """Keeps what the requests for each application have shown of its workers.

    Bounded in two generations of 4 MiB, as a memo is: the applications asked about last are kept, at least as many as
    the document names and 4096 more, if they have a few datacenters each. Threads share it without a lock: a race loses
    one request, and the next one shows the same.
    """

    __slots__ = ("_most", "_old", "_taken", "_young")

    def __init__(self) -> None:
        self._most = _OTHERS
        self._taken = 0
        self._young: dict[str, SeenWorkers] = {}
        self._old: dict[str, SeenWorkers] = {}

    def expect(self, applications: int) -> None:
        """Make room for the applications of a document; known workers stay."""
        self._most = applications + _OTHERS

    def note(self, app: str, workers: WorkerCounts, run: int = 0) -> None:
        """Remember the workers of a request of this run (0: of a run of its own) that came now."""
        young = self._young
        seen = young.get(app)
        if seen is None:
            seen = young[app] = self._old.get(app) or SeenWorkers(workers)
            self._taken += _ENTRY_BYTES + _DATACENTER_BYTES * len(workers)
        seen.note(workers, run)
        if len(young) > self._most or self._taken > _BYTES:
            self._old = young
            self._young = {}
            self._taken = 0

    def last(self, app: str) -> tuple[WorkerCounts, int]:
        """Return the workers of the newest request and when it came (Unix nanoseconds): none, at 0, without one."""
        seen = self.seen(app)
        return ({}, 0) if seen is None else (seen.newest, seen.at_ns)

    def seen(self, app: str) -> SeenWorkers | None:
        """Return the workers of an application as requests have shown them, None without any."""
        return self._young.get(app) or self._old.get(app)

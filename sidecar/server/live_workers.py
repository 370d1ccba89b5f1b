"""Which workers were alive when a sidecar was last asked about an application."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sized
from heapq import nlargest
from operator import itemgetter

from sidecar.server.requests import MAX_NAME

# Applications that are remembered beside as many as the document names: anybody can make up names.
_OTHERS = 4096
# Datacenters that are told apart in one request: anybody can make up those, too.
_DATACENTERS = 64

WorkerCounts = Mapping[str, int]


def count_workers(workers: Mapping[str, Sized]) -> WorkerCounts:
    """Return how many workers each datacenter has; of a great many datacenters those with the most workers."""
    counted = {name: len(those) for name, those in workers.items() if len(name) <= MAX_NAME}
    if len(counted) <= _DATACENTERS:
        return counted
    return dict(nlargest(_DATACENTERS, counted.items(), key=itemgetter(1)))


class LiveWorkerTracker:
    """The workers of the newest request for each application, by datacenter, and when it came.

    Bounded in two generations, as a memo is: the applications asked about last are kept, at least as many as the
    document names and 4096 more. Threads share it without a lock: a race loses a sighting, which the next request
    brings again.
    """

    __slots__ = ("_most", "_old", "_young")

    def __init__(self) -> None:
        self._most = _OTHERS
        self._young: dict[str, tuple[WorkerCounts, int]] = {}
        self._old: dict[str, tuple[WorkerCounts, int]] = {}

    def expect(self, applications: int) -> None:
        """Make room for the applications of a document; what was seen stays."""
        self._most = applications + _OTHERS

    def note(self, app: str, workers: WorkerCounts) -> None:
        """Remember the workers of a request that came now."""
        young = self._young
        young[app] = workers, time.time_ns()
        if len(young) > self._most:
            self._old = young
            self._young = {}

    def last(self, app: str) -> tuple[WorkerCounts, int]:
        """Return the workers that were seen last and when (Unix nanoseconds): none, at 0, if nobody asked."""
        return self._young.get(app) or self._old.get(app) or ({}, 0)

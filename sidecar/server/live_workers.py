"""Remembers the workers of the newest request for each application, by datacenter."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sized
from heapq import nlargest
from operator import itemgetter

# Applications that are remembered beside as many as the document names, and the bytes of all: clients can make up
# names.
_OTHERS = 4096
_BYTES = 4 * 1024 * 1024
# What an application takes, and each of its datacenters (measured, for the longest names).
_ENTRY_BYTES = 700
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


class LiveWorkerTracker:
    """Keeps the workers of the newest request for each application, by datacenter, and when it came.

    Bounded in two generations of 4 MiB, as a memo is: the applications asked about last are kept, at least as many as
    the document names and 4096 more, if they have a few datacenters each. Threads share it without a lock: a race loses
    one entry, which the next request writes again.
    """

    __slots__ = ("_most", "_old", "_taken", "_young")

    def __init__(self) -> None:
        self._most = _OTHERS
        self._taken = 0
        self._young: dict[str, tuple[WorkerCounts, int]] = {}
        self._old: dict[str, tuple[WorkerCounts, int]] = {}

    def expect(self, applications: int) -> None:
        """Make room for the applications of a document; what is known stays."""
        self._most = applications + _OTHERS

    def note(self, app: str, workers: WorkerCounts) -> None:
        """Remember the workers of a request that came now."""
        young = self._young
        if app not in young:
            self._taken += _ENTRY_BYTES + _DATACENTER_BYTES * len(workers)
        young[app] = workers, time.time_ns()
        if len(young) > self._most or self._taken > _BYTES:
            self._old = young
            self._young = {}
            self._taken = 0

    def last(self, app: str) -> tuple[WorkerCounts, int]:
        """Return the workers of the newest request and when it came (Unix nanoseconds): none, at 0, without one."""
        return self._young.get(app) or self._old.get(app) or ({}, 0)

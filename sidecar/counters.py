"""Counters that calls increment without a lock, and their totals."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, count, pairwise
from time import perf_counter

Increment = Callable[[], object]
Labels = tuple[str, ...]

# Upper bounds of the buckets of handling times, in seconds; the last bucket is unbounded.
BOUNDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Counter:
    """A counter that any thread may increment: `increment` is one step of the interpreter, so none is lost."""

    __slots__ = ("_added", "_reads", "increment")

    def __init__(self) -> None:
        self.increment: Callable[[], int] = count().__next__
        self._reads = 0
        self._added = 0

    def add(self, number: int) -> None:
        """Add what was counted elsewhere. One thread at a time."""
        self._added += number

    def read(self) -> int:
        """Return the number. One reader at a time: a read increments too, which is subtracted again."""
        counted = self.increment() - self._reads
        self._reads += 1
        return counted + self._added


class LabeledCounters:
    """Counters by labels, created at their first use."""

    def __init__(self) -> None:
        self._counters: dict[Labels, Counter] = {}
        self._reading = threading.Lock()

    def increment(self, *labels: str) -> Increment:
        """Return the function that increments the counter with these labels; cheap to get, cheaper to keep."""
        counter = self._counters.get(labels)
        if counter is None:
            counter = self._counters.setdefault(labels, Counter())
        return counter.increment

    def add(self, labels: Labels, number: int) -> None:
        """Add to the counter with these labels what was counted elsewhere. One thread at a time."""
        self.increment(*labels)
        self._counters[labels].add(number)

    def totals(self) -> Iterator[tuple[Labels, int]]:
        """Yield the labels and the number of each counter."""
        for labels, counter in self._counters.copy().items():
            with self._reading:
                number = counter.read()
            yield labels, number


class DurationHistogram:
    """How long calls took; each thread counts into buckets of its own."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._all: list[list[float]] = []

    def add(self, seconds: float) -> None:
        """Count one call."""
        try:
            mine = self._own.buckets
        except AttributeError:
            mine = self._new_buckets()
        mine[bisect_left(BOUNDS, seconds)] += 1
        mine[-1] += seconds

    def add_totals(self, buckets: Iterable[int], seconds: float) -> None:
        """Add calls that were counted elsewhere, as `totals` returns them. One thread at a time."""
        mine = getattr(self._own, "buckets", None) or self._new_buckets()
        for index, (below, number) in enumerate(pairwise((0, *buckets))):
            mine[index] += number - below
        mine[-1] += seconds

    def totals(self) -> tuple[list[int], float]:
        """Return the cumulative number of calls per bound, the unbounded last; and the sum of the seconds."""
        each = [list(buckets) for buckets in self._all] or [[0] * (len(BOUNDS) + 2)]
        *buckets, seconds = (sum(column) for column in zip(*each, strict=True))
        return [int(number) for number in accumulate(buckets)], float(seconds)

    def _new_buckets(self) -> list[float]:
        mine: list[float] = [0] * (len(BOUNDS) + 1) + [0.0]
        self._own.buckets = mine
        self._all.append(mine)
        return mine


class MethodStats:
    """The calls of one gRPC method: how many `started`, how many ended by status, and how long unary ones took."""

    def __init__(self, path: str, kind: str) -> None:
        self.path = path
        _, self.service, self.method = path.split("/")
        self.kind = kind
        self.started = Counter()
        self.times = DurationHistogram()
        self._handled = LabeledCounters()
        self._ok = self._handled.increment("OK")

    def answered(self, began: float) -> None:
        """Count a call that ended with OK and began at `began` (perf_counter)."""
        self._ok()
        self.times.add(perf_counter() - began)

    def ended(self, code: str) -> None:
        """Count a call that ended with a status, without its duration."""
        self._handled.increment(code)()

    def add(self, code: str, number: int) -> None:
        """Add calls that ended with a status elsewhere. One thread at a time."""
        self._handled.add((code,), number)

    def handled(self) -> Iterable[tuple[str, int]]:
        """Yield each status that calls ended with, and their number."""
        return ((labels[0], number) for labels, number in self._handled.totals())


@dataclass(frozen=True, slots=True, kw_only=True)
class RescheduleCounts:
    """How far the work on one change has come: runs `found` so far, and of these retried, stopped, and waiting.

    Runs that wait could not run anywhere when they were last looked at.
    """

    found: int = 0
    retried: int = 0
    stopped: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The status of a reaction or of the audit.

    How many changes are waiting, were done, failed for good, and were dropped because too many came; `error` is why the
    current one is not done yet, "" if nothing is wrong. `rescheduling` is the progress of a `powerjob` reaction.
    """

    name: str
    waiting: int
    done: int
    failed: int
    dropped: int
    error: str
    rescheduling: RescheduleCounts | None = None


@dataclass(frozen=True, slots=True)
class ProcessCounts:
    """How many processes there should be to answer calls, how many serve, and how many were lost since the start."""

    wanted: int = 1
    serving: int = 1
    lost: int = 0


class CallStats:
    """The counters of calls: `decisions` by application, datacenter and reason, and `methods`.

    `processes` returns the state of the processes that answer calls.
    """

    def __init__(self, *, processes: Callable[[], ProcessCounts] = ProcessCounts) -> None:
        self.processes = processes
        self.decisions = LabeledCounters()
        self.methods: list[MethodStats] = []

    def method(self, path: str, kind: str) -> MethodStats:
        """Start counting the calls of a method; `path` as in `/package.Service/Method`."""
        stats = MethodStats(path, kind)
        self.methods.append(stats)
        return stats

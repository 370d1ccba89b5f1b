"""Sums the statistics of worker processes: each reports what was added since the last time, so no counter falls."""

from __future__ import annotations

from sidecar.counters import CallStats, MethodStats
from sidecar.gil import Yielder
from sidecar.workers.messages import MethodDelta, StatsReport


class StatsDelta:
    """Computes the increments of statistics since the last time; the first time, all methods."""

    def __init__(self, stats: CallStats) -> None:
        self._stats = stats
        self._decisions: dict[tuple[str, ...], int] = {}
        self._methods: dict[str, MethodDelta] = {}

    def collect(self) -> StatsReport:
        """Return the increments since the last call."""
        checkpoint = Yielder()
        decisions = []
        for labels, number in self._stats.decisions.totals():
            checkpoint()
            more = number - self._decisions.get(labels, 0)
            if more:
                decisions.append((labels, more))
                self._decisions[labels] = number
        methods = []
        for method in self._stats.methods:
            now, before = _totals(method), self._methods.get(method.path)
            if now != before:
                methods.append(_difference(before, now) if before else now)
                self._methods[method.path] = now
        return StatsReport(decisions, methods)


def add_delta(stats: CallStats, counted: StatsReport) -> None:
    """Add a worker process's report. One thread at a time."""
    for labels, number in counted.decisions:
        stats.decisions.add(labels, number)
    known = {method.path: method for method in stats.methods}
    for called in counted.methods:
        method = known.get(called.path) or stats.method(called.path, called.kind)
        method.started.add(called.started)
        for code, number in called.handled:
            method.add(code, number)
        method.times.add_totals(called.buckets, called.seconds)


def _totals(method: MethodStats) -> MethodDelta:
    # Handled is read before started: no reader may see more calls handled than started.
    handled = list(method.handled())
    buckets, seconds = method.times.totals()
    return MethodDelta(method.path, method.kind, method.started.read(), handled, buckets, seconds)


def _difference(before: MethodDelta, now: MethodDelta) -> MethodDelta:
    ended = dict(before.handled)
    return MethodDelta(
        now.path,
        now.kind,
        now.started - before.started,
        [(code, number - ended.get(code, 0)) for code, number in now.handled],
        [number - earlier for number, earlier in zip(now.buckets, before.buckets, strict=True)],
        now.seconds - before.seconds,
    )

"""Brings what worker processes count into one tally: each sends how much more there is, so no number ever falls."""

from __future__ import annotations

from sidecar.counters import CallStats, MethodStats
from sidecar.gil import Yielder
from sidecar.workers.messages import MethodDelta, StatsReport


class StatsDelta:
    """Tells how much more there is of a tally each time that it is asked; the first time, of all methods."""

    def __init__(self, stats: CallStats) -> None:
        self._tally = stats
        self._decisions: dict[tuple[str, ...], int] = {}
        self._methods: dict[str, MethodDelta] = {}

    def take(self) -> StatsReport:
        """Return what was counted since the last time."""
        checkpoint = Yielder()
        decisions = []
        for labels, number in self._tally.decisions.totals():
            checkpoint()
            more = number - self._decisions.get(labels, 0)
            if more:
                decisions.append((labels, more))
                self._decisions[labels] = number
        methods = []
        for method in self._tally.methods:
            now, before = _totals(method), self._methods.get(method.path)
            if now != before:
                methods.append(_difference(before, now) if before else now)
                self._methods[method.path] = now
        return StatsReport(decisions, methods)


def add_delta(stats: CallStats, counted: StatsReport) -> None:
    """Add what a worker process has counted. One thread at a time."""
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
    # Ended first: whoever reads the two never sees more ended than begun.
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

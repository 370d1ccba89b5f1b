"""Brings what worker processes count into one tally: each sends how much more there is, so no number ever falls."""

from __future__ import annotations

from sidecar.pacing import Pacer
from sidecar.tally import MethodTally, Tally
from sidecar.workers.messages import Called, Counted


class Increments:
    """Tells how much more there is of a tally each time that it is asked; the first time, of all methods."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._decisions: dict[tuple[str, ...], int] = {}
        self._methods: dict[str, Called] = {}

    def take(self) -> Counted:
        """Return what was counted since the last time."""
        breathe = Pacer()
        decisions = []
        for labels, number in self._tally.decisions.totals():
            breathe()
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
        return Counted(decisions, methods)


def add(tally: Tally, counted: Counted) -> None:
    """Add what a worker process has counted. One thread at a time."""
    for labels, number in counted.decisions:
        tally.decisions.add(labels, number)
    known = {method.path: method for method in tally.methods}
    for called in counted.methods:
        method = known.get(called.path) or tally.method(called.path, called.kind)
        method.started.add(called.started)
        for code, number in called.handled:
            method.add(code, number)
        method.times.add_totals(called.buckets, called.seconds)


def _totals(method: MethodTally) -> Called:
    # Ended first: whoever reads the two never sees more ended than begun.
    handled = list(method.handled())
    buckets, seconds = method.times.totals()
    return Called(method.path, method.kind, method.started.read(), handled, buckets, seconds)


def _difference(before: Called, now: Called) -> Called:
    ended = dict(before.handled)
    return Called(
        now.path,
        now.kind,
        now.started - before.started,
        [(code, number - ended.get(code, 0)) for code, number in now.handled],
        [number - earlier for number, earlier in zip(now.buckets, before.buckets, strict=True)],
        now.seconds - before.seconds,
    )

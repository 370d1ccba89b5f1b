"""Decisions by datacenter over the last fifteen minutes, a sample every five seconds."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

from sidecar.counters import LabeledCounters

EVERY_S = 5.0
_SAMPLES = int(15 * 60 / EVERY_S)


class DecisionRates:
    """Keeps the rate of decisions by datacenter, a value for each sample; "" stands for no datacenter."""

    def __init__(self, decisions: LabeledCounters) -> None:
        self._decisions = decisions
        self._last: Counter[str] = Counter()
        self._at: float | None = None
        self._samples: deque[tuple[float, dict[str, float]]] = deque(maxlen=_SAMPLES)

    def sample(self, now: float) -> None:
        """Take a sample at a time, Unix seconds."""
        totals: Counter[str] = Counter()
        for (_, datacenter, _), number in self._decisions.totals():
            totals[datacenter] += number
        if self._at is not None and now > self._at:
            past = now - self._at
            rates = {name: round((number - self._last[name]) / past, 2) for name, number in totals.items()}
            self._samples.append((now, {name: rate for name, rate in rates.items() if rate}))
        self._at, self._last = now, totals

    def newest(self) -> dict[str, Any] | None:
        """Return the last sample as JSON, None before the first."""
        return _plain(self._samples[-1]) if self._samples else None

    def all(self) -> list[dict[str, Any]]:
        """Return the samples as JSON, the oldest first."""
        return [_plain(sample) for sample in tuple(self._samples)]


def _plain(sample: tuple[float, dict[str, float]]) -> dict[str, Any]:
    return {"at": round(sample[0], 3), "rates": sample[1]}

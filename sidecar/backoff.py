"""Exponential backoff with jitter, for everything that tries again after a failure."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

_SPREAD = 0.2

Uniform = Callable[[float, float], float]
"""Returns a random number between two others, as `random.uniform` does."""


def jitter(seconds: float, *, uniform: Uniform = random.uniform) -> float:
    """Return a duration made up to a fifth shorter or longer: so many clients do not call one server in step."""
    return seconds * uniform(1 - _SPREAD, 1 + _SPREAD)


class Backoff:
    """Spaces out attempts that fail: the first pause is `first_s` seconds, each further one twice as long.

    `longest_s` bounds a pause before its jitter. `failures` counts the failures since the last success. For one thread.
    """

    def __init__(
        self,
        *,
        first_s: float,
        longest_s: float,
        clock: Callable[[], float] = time.monotonic,
        uniform: Uniform = random.uniform,
    ) -> None:
        self.failures = 0
        self.pause_s = first_s
        """The pause that the next failure brings, in seconds, without jitter."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._clock = clock
        self._uniform = uniform
        self._due = clock()

    @property
    def remaining_s(self) -> float:
        """Seconds until the next attempt is due, 0 if it is."""
        return max(0.0, self._due - self._clock())

    def fail(self) -> float:
        """Count a failure; return for how many seconds to pause, jitter included."""
        pause = jitter(self.pause_s, uniform=self._uniform)
        self.failures += 1
        self.pause_s = min(2 * self.pause_s, self._longest_s)
        self._due = self._clock() + pause
        return pause

    def reset(self) -> None:
        """Note a success: the next attempt is due now, and the next failure brings the first pause again."""
        self.failures = 0
        self.pause_s = self._first_s
        self._due = self._clock()

    def wait(self, stopping: threading.Event) -> bool:
        """Wait until the next attempt is due, or `stopping` is set; return whether it is set."""
        return stopping.wait(self.remaining_s)

"""Gives the interpreter away while a big document is read, so that decisions go on at their usual speed."""

from __future__ import annotations

import time
from collections.abc import Callable

# A waiting thread gets the interpreter at the latest after this much work of ours; by itself Python would take 5 ms,
# and a gRPC call needs it several times.
_WORK_S = 0.0005
_REST_S = 0.00005


class Pacer:
    """To be called often during long work: once it has gone on for half a millisecond, it rests for a moment.

    A rest of no length would not do: the thread could take the interpreter back before another one has woken up.
    """

    def __init__(
        self, *, clock: Callable[[], float] = time.perf_counter, rest: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._rest = rest
        self._rested = clock()
        self.rests = 0

    def __call__(self) -> None:
        """Rest, if it is time to."""
        if self._clock() - self._rested > _WORK_S:
            self._rest(_REST_S)
            self._rested = self._clock()
            self.rests += 1

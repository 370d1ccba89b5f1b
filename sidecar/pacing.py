"""Keeps the reading of a big document out of the way of decisions, which need the same interpreter."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import TypeVar

# A waiting thread gets the interpreter at the latest after this much work of ours; by itself Python would take 5 ms,
# and a gRPC call needs it several times.
_WORK_S = 0.0005
_REST_S = 0.00005

Text = TypeVar("Text")
Document = TypeVar("Document")


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


def uncollected(parse: Callable[[Text], Document]) -> Callable[[Text], Document]:
    """Return `parse`, made to run without the garbage collector, and its results out of the collector's sight.

    A collection looks at every object and stops every thread while it does; it comes several times while a big document
    is made, 20 to 70 ms each with 10,000 applications, and again and again afterwards. There is nothing to find: a
    document has no cycles, so it goes when its last reference does. What is cyclic garbage at the moment of the
    freezing stays until the process ends; the collection just before leaves little of it.
    """

    def parse_uncollected(text: Text) -> Document:
        gc.collect(0)
        gc.disable()
        try:
            return parse(text)
        finally:
            gc.freeze()
            gc.enable()

    return parse_uncollected

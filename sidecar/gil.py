"""Keeps the reading of a big document out of the way of decisions, which need the same interpreter."""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Sized
from contextlib import nullcontext
from typing import TypeVar

# A waiting thread gets the interpreter at the latest after this much work of ours; by itself Python would take 5 ms,
# and a gRPC call needs it several times. A rest is at least so long that another thread wakes up, and longer the more
# others have worked meanwhile: a document of 10,000 applications takes 0.3 s where nobody calls, and 1 s where calls
# take all there is, which then take no longer than before.
_WORK_S = 0.0003
_REST_S = 0.00005
_LONGEST_REST_S = 0.001
_REST_PER_OTHERS = 4.0

# Smaller documents are read, and compared with the one before, before anybody could notice. For so long after a bigger
# one was read, the log, the audit, watchers and the snapshot are at work on it.
_BIG = 64 * 1024
_AFTERWARDS_S = 1.0
# What Python then gives a thread at most where another waits.
_TURN_S = 0.0005

Text = TypeVar("Text", bound=Sized)
Document = TypeVar("Document")


class Yielder:
    """To be called often during long work, which then rests now and then: the longer, the more other threads work.

    A rest of no length would not do: the thread could take the interpreter back before another one has woken up.
    `others` tells how much processor time the other threads have used; one thread at a time may call.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.perf_counter,
        rest: Callable[[float], None] = time.sleep,
        others: Callable[[], float] = lambda: time.process_time() - time.thread_time(),
    ) -> None:
        self._clock = clock
        self._rest = rest
        self._others = others
        self._rested = clock()
        self._seen = others()
        self.rests = 0

    def __call__(self) -> None:
        """Rest, if it is time to."""
        if self._clock() - self._rested > _WORK_S:
            seen, self._seen = self._seen, self._others()
            self._rest(min(_LONGEST_REST_S, max(_REST_S, _REST_PER_OTHERS * (self._seen - seen))))
            self._rested = self._clock()
            self.rests += 1


class ShortSwitchInterval:
    """Makes all threads take shorter turns for a while: for as long as a big document keeps any of them busy.

    Where another thread waits, Python takes the interpreter from a busy one after 5 ms by itself. Shorter turns always
    would cost each call a tenth: threads that answer calls would interrupt each other.
    """

    def __init__(self, afterwards_s: float = _AFTERWARDS_S) -> None:
        self._afterwards_s = afterwards_s
        self._usual_s = sys.getswitchinterval()
        self._lock = threading.Lock()
        self._begun = 0

    def __enter__(self) -> None:
        with self._lock:
            self._begun += 1
            sys.setswitchinterval(_TURN_S)

    def __exit__(self, *_: object) -> None:
        end = threading.Timer(self._afterwards_s, self._lengthen, (self._begun,))
        end.daemon = True
        end.start()

    def _lengthen(self, begun: int) -> None:
        with self._lock:
            if begun == self._begun:
                sys.setswitchinterval(self._usual_s)


def without_gc(
    parse: Callable[[Text], Document], turns: ShortSwitchInterval | None = None
) -> Callable[[Text], Document]:
    """Return `parse`, made to run without the garbage collector, and its results out of the collector's sight.

    A collection looks at every object and stops every thread while it does; it comes several times while a big document
    is made, 20 to 70 ms each with 10,000 applications, and again and again afterwards. There is nothing to find: a
    document has no cycles, so it goes when its last reference does. What is cyclic garbage at the moment of the
    freezing stays until the process ends; the collection just before leaves little of it. While a big document is read,
    and for a while after, threads take short `turns`.
    """
    turns = turns or ShortSwitchInterval()

    def parse_uncollected(text: Text) -> Document:
        gc.collect(0)
        gc.disable()
        try:
            with turns if len(text) >= _BIG else nullcontext():
                return parse(text)
        finally:
            gc.freeze()
            gc.enable()

    return parse_uncollected

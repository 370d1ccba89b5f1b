"""Keeps big documents from delaying decisions, which need the same interpreter, and holds off collections."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from collections.abc import Callable, Sized
from contextlib import nullcontext
from typing import TypeVar

# A waiting thread gets the interpreter after this much work at most; Python alone would take 5 ms, and a gRPC call
# needs it several times. A rest is long enough for another thread to wake up, and the longer, the more other threads
# have worked: a document of 10,000 applications takes 0.3 s without calls, and 1 s under full load, while calls take no
# longer than before.
_WORK_S = 0.0003
_REST_S = 0.00005
_LONGEST_REST_S = 0.001
_REST_PER_OTHERS = 4.0

# Smaller documents are parsed, and compared with the one before, in no time. For this long after a bigger one was
# parsed, the log, the audit, watchers and the snapshot work on it.
_BIG_BYTES = 64 * 1024
_AFTERWARDS_S = 1.0
# The switch interval meanwhile: how long a thread keeps the interpreter while another one waits.
_SHORT_S = 0.0005

Text = TypeVar("Text", bound=Sized)
Document = TypeVar("Document")


class Yielder:
    """Called often during long work, rests now and then; the longer, the more other threads work. For one thread.

    A rest of zero length is not enough: the thread could take the interpreter back before another one wakes up.
    `others` returns the processor time that the other threads have used.
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
        """Rest if it is time to."""
        if self._clock() - self._rested > _WORK_S:
            seen, self._seen = self._seen, self._others()
            self._rest(min(_LONGEST_REST_S, max(_REST_S, _REST_PER_OTHERS * (self._seen - seen))))
            self._rested = self._clock()
            self.rests += 1


def encode_json(
    value: object,
    checkpoint: Callable[[], None] = lambda: None,
    *,
    ensure_ascii: bool = False,
    separators: tuple[str, str] = (", ", ": "),
) -> str:
    """Return a value as JSON, as `json.dumps` does, but in Python, with a `checkpoint` at each piece.

    The encoder in C keeps all other threads waiting: 40 ms for 100,000 names.
    """
    pieces = []
    for piece in json.JSONEncoder(ensure_ascii=ensure_ascii, separators=separators).iterencode(value):
        pieces.append(piece)
        checkpoint()
    return "".join(pieces)


class ShortSwitchInterval:
    """Shortens Python's switch interval while anybody needs it short, and for a while after a big document.

    Python takes the interpreter from a busy thread after 5 ms if another one waits. A short interval all the time would
    cost calls a tenth: the threads that answer them would interrupt each other.
    """

    def __init__(self, afterwards_s: float = _AFTERWARDS_S) -> None:
        self._afterwards_s = afterwards_s
        self._usual_s = sys.getswitchinterval()
        self._lock = threading.Lock()
        self._users = 0

    def begin(self) -> None:
        """Make it short until as many calls of `end`."""
        with self._lock:
            self._users += 1
            sys.setswitchinterval(_SHORT_S)

    def end(self) -> None:
        """Make it as usual, if nobody else needs it short."""
        with self._lock:
            self._users -= 1
            if not self._users:
                sys.setswitchinterval(self._usual_s)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        end = threading.Timer(self._afterwards_s, self.end)
        end.daemon = True
        end.start()


short_switch_interval = ShortSwitchInterval()
"""The interval belongs to the whole process, so all who need it short use this one."""


class NoGc:
    """Keeps the garbage collector off while any thread is within."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0

    def __enter__(self) -> None:
        with self._lock:
            self._within += 1
            gc.disable()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._within -= 1
            if not self._within:
                gc.enable()


no_gc = NoGc()
"""The collector belongs to the whole process, so all who need it off use this one."""


def without_gc(
    parse: Callable[[Text], Document], interval: ShortSwitchInterval | None = None
) -> Callable[[Text], Document]:
    """Return a `parse` that runs without garbage collection, and hides its results from later collections.

    A collection visits every object and stops every thread: several times while a big document is parsed, 20 to 70 ms
    each for 10,000 applications, and again and again afterwards. There is nothing to find: a document has no cycles, so
    it is freed with its last reference. Cyclic garbage that exists at the freeze stays until the process ends; the
    collection just before leaves little of it. A big document is parsed under a short switch `interval`.
    """
    interval = interval or short_switch_interval

    def parse_without_gc(text: Text) -> Document:
        gc.collect(0)
        with no_gc:
            try:
                with interval if len(text) >= _BIG_BYTES else nullcontext():
                    return parse(text)
            finally:
                gc.freeze()

    return parse_without_gc

"""The threads that calls run on: a fixed few for unary calls, one of its own for each open stream."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

# When no thread has come back for this long while calls wait, all of them are taken to be stuck in calls whose request
# does not come, and one more is made.
_STUCK_S = 0.05

_Work = tuple[Callable[..., object], tuple[Any, ...]]


class _Handed:
    """What gRPC gets for a call handed over; it only ever adds a callback that counts, and the pool counts itself."""

    def add_done_callback(self, callback: Callable[[object], object]) -> None:
        callback(self)


_HANDED = _Handed()


class UnaryPool:
    """A few threads that take calls from one queue: an executor, less the futures that nobody looks at.

    gRPC hands over all calls from one thread. `full` tells that `limit` calls run or wait. gRPC reads a call's
    request on the pool's thread, so clients that open calls and send nothing could occupy all of them; then more
    threads are made, up to `limit`.
    """

    def __init__(self, *, threads: int, limit: int) -> None:
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._limit = limit
        self._taken = time.monotonic()
        self._fewest = min(threads, limit)
        self._threads = 0
        self._submitted = 0
        # How many calls each thread has finished: a place of its own for each, so that none is lost.
        self._finished: list[int] = []

    def start(self) -> None:
        """Make the threads."""
        while self._threads < self._fewest:
            self._add_thread()

    @property
    def full(self) -> bool:
        """True while it has as many calls as it may."""
        return self._queue.qsize() >= max(1, self._limit - self._threads)

    @property
    def empty(self) -> bool:
        """True while it has no calls."""
        return self._submitted == sum(self._finished)

    def submit(self, work: Callable[..., object], /, *arguments: Any) -> _Handed:  # noqa: ANN401 - whatever gRPC passes
        """Have a thread do the work."""
        queue = self._queue
        if not queue.empty() and self._threads < self._limit and time.monotonic() - self._taken > _STUCK_S:
            self._add_thread()
        self._submitted += 1
        queue.put((work, arguments))
        return _HANDED

    def shutdown(self) -> None:
        """Let the threads end after what is queued."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _add_thread(self) -> None:
        number = self._threads
        self._threads += 1
        self._finished.append(0)
        self._taken = time.monotonic()
        threading.Thread(target=self._run, args=(number,), name=f"call-{number}", daemon=True).start()

    def _run(self, number: int) -> None:
        take, finished = self._queue.get, self._finished
        while True:
            item = take()
            if item is None:
                return
            self._taken = time.monotonic()
            work, arguments = item
            try:
                work(*arguments)
            finally:
                finished[number] += 1
            # Not held until the next call comes: its request may be big.
            del item, work, arguments


class CountedPool(ThreadPoolExecutor):
    """An executor that knows how many calls it has: `full` tells that it has `limit`. Threads are made when needed.

    gRPC takes none but executors for the pool of a single method.
    """

    def __init__(self, name: str, *, threads: int, limit: int) -> None:
        super().__init__(max_workers=threads, thread_name_prefix=name)
        self._limit = limit
        self._open = 0
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """True while it has as many calls as it may."""
        return self._open >= self._limit

    @property
    def empty(self) -> bool:
        """True while it has none."""
        return self._open == 0

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:  # noqa: ANN401 - whatever gRPC passes
        """Have a thread do the work."""
        with self._lock:
            self._open += 1
        future = super().submit(work, *arguments, **keywords)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _future: Future[Any]) -> None:
        with self._lock:
            self._open -= 1

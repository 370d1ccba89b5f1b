"""The threads of calls that last: one for each open stream that watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class BoundedThreadPool(ThreadPoolExecutor):
    """An executor that knows how many calls it has: `full` tells that it has `limit`. Threads are made when needed."""

    def __init__(self, name: str, *, limit: int) -> None:
        super().__init__(max_workers=limit, thread_name_prefix=name)
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

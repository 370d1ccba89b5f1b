"""How many calls of a kind may be open at once, and the threads of those that need one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

# How long the thread that starts others rests after each. A new thread needs the interpreter to begin; hundreds that
# want it at once would keep it from the thread that answers.
_REST_S = 0.0005


class Slots:
    """Counts open calls against a limit; safe for any thread."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._open = 0
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """True while as many calls are open as the limit allows."""
        return self._open >= self.limit

    @property
    def empty(self) -> bool:
        """True while no call is open."""
        return self._open == 0

    def make_room(self) -> bool:
        """Return False: calls on threads end by themselves, or at their deadline."""
        return False

    def acquire(self) -> None:
        """Count a call."""
        with self._lock:
            self._open += 1

    def release(self) -> None:
        """Count a call as over."""
        with self._lock:
            self._open -= 1


class CallThreads(ThreadPoolExecutor):
    """The thread pool that gRPC runs handlers on; each task holds the slot that was claimed for it.

    gRPC asks the router for a call's handler and submits that handler on the same thread right afterwards, so the slots
    claimed last belong to the next task. A slot is held from the arrival of the call, also while its request message is
    missing. Threads are started on demand, `size` at most, one after the other by a thread of their own: the thread
    that answers calls does not wait for them.
    """

    def __init__(self, size: int) -> None:
        super().__init__(max_workers=size, thread_name_prefix="call")
        self._claimed: Slots | None = None
        self._wanted = threading.Semaphore(0)
        self._starter: threading.Thread | None = None

    def claim(self, slots: Slots) -> None:
        """Have the next task hold one of these slots."""
        self._claimed = slots

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:  # noqa: ANN401 - whatever gRPC passes
        """Run a task on a thread of the pool."""
        slots, self._claimed = self._claimed, None
        if slots is None:
            return super().submit(work, *arguments, **keywords)
        slots.acquire()
        try:
            future = super().submit(work, *arguments, **keywords)
        except BaseException:
            slots.release()
            raise
        future.add_done_callback(lambda _: slots.release())
        return future

    def _adjust_thread_count(self) -> None:
        """Have a thread started for the task just queued, unless one is idle; `submit` calls this."""
        if self._idle_semaphore.acquire(blocking=False):
            return
        if self._starter is None:
            self._starter = threading.Thread(target=self._start_wanted, name="call-starter", daemon=True)
            self._starter.start()
        self._wanted.release()

    def _start_wanted(self) -> None:
        while True:
            self._wanted.acquire()
            super()._adjust_thread_count()
            time.sleep(_REST_S)

"""Background threads: producers enqueue work under a condition, and need not wait for it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class BackgroundThread(ABC):
    """Runs `_run` on a daemon thread named `name`, from `start` to `stop`.

    Work is enqueued, and waited for, under the condition `_work`; `_stopping` is set when no more will come.
    """

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop within `timeout` seconds; the class decides about waiting work."""
        with self._work:
            self._stopping.set()
            self._work.notify()
        self._thread.join(timeout)

    @abstractmethod
    def _run(self) -> None:
        """Process work until `_stopping` is set."""

"""Work on a thread of its own, so that those who hand it over need not wait."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class BackgroundThread(ABC):
    """Runs `_run` on a thread of its own, named `name`, from `start` to `stop`.

    What is to be done is handed over, and waited for, under `_work`; `_stopping` tells that no more will come.
    """

    def __init__(self, name: str) -> None:
        self._stopping = threading.Event()
        self._work = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """End within `timeout` seconds, with what is waiting done as far as the class promises it."""
        with self._work:
            self._stopping.set()
            self._work.notify()
        self._thread.join(timeout)

    @abstractmethod
    def _run(self) -> None:
        """Do what comes, until `_stopping`."""

"""Ends calls whose first message does not come: they would hold their places for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

WITHIN_S = 10.0
"""How long the first message of a call may take: 4 MiB at 4 Mbit/s."""

# Where places are short, one may be taken from a call that waits for longer: headers and message come together.
_PATIENCE_S = 1.0
_LOOK_S = 0.5
# Looks without a call after which the thread sleeps until there is one: it wakes a busy server no more often than that.
_LOOKS_WITHOUT = 20


class FirstMessages:
    """The calls whose first message has not come, the oldest first. Threads share it without a lock.

    `within` is in seconds. A thread ends overdue calls; it starts with the first call, and sleeps while there are
    none.
    """

    def __init__(self, *, within: float = WITHIN_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._within = within
        self._clock = clock
        self._waiting: dict[object, tuple[float, Callable[[], None]]] = {}
        self._thread: threading.Thread | None = None
        self._asleep = False
        self._awake = threading.Event()

    def expect(self, call: object, end: Callable[[], None]) -> None:
        """Have `end` called, on another thread, unless `came` is called in time."""
        self._waiting[call] = self._clock(), end
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="first-messages", daemon=True)
            self._thread.start()
        elif self._asleep:
            self._awake.set()

    def came(self, call: object) -> None:
        """Take note that the first message of a call has come, or that the call is over."""
        self._waiting.pop(call, None)

    def end_oldest(self) -> bool:
        """End the call that waits longest, if it waits for a second; return whether there was one."""
        return self._end_older_than(_PATIENCE_S)

    def end_overdue(self) -> None:
        """End all calls that are overdue."""
        while self._end_older_than(self._within):
            pass

    def _end_older_than(self, seconds: float) -> bool:
        # Another thread may add or remove calls meanwhile.
        with suppress(RuntimeError, StopIteration):
            call = next(iter(self._waiting))
            since, end = self._waiting.get(call, (self._clock(), None))
            if end is not None and self._clock() - since >= seconds and self._waiting.pop(call, None) is not None:
                end()
                return True
        return False

    def _run(self) -> None:
        pause, looks = threading.Event(), 0
        while True:
            pause.wait(min(_LOOK_S, self._within / 4))
            self.end_overdue()
            looks = 0 if self._waiting else looks + 1
            if looks < _LOOKS_WITHOUT:
                continue
            self._asleep = True
            # A call that came before it could see that the thread sleeps is seen here.
            if not self._waiting:
                self._awake.wait()
            self._asleep, looks = False, 0
            self._awake.clear()

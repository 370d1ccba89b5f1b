"""Gives watchers their turns to send: a change that woke hundreds of threads at once would hold up calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from sidecar.gil import Yielder

# Taken to be the size of a watcher's first update.
_EXPECTED_BYTES = 1024 * 1024
# How long the next watcher waits for one that makes its update, and for one that sends it.
_MAKING_S = 5.0
_SENDING_S = 0.002
# While others wait for room, a watcher that has not read its update for so long is cancelled.
_STALLED_S = 5.0
_LOOK_S = 1.0


class Stream(Protocol):
    """The identity of a watcher: gRPC's context of its call."""

    def is_active(self) -> bool:
        """Return whether the client is there still."""

    def cancel(self) -> None:
        """End the call."""


class Watcher:
    """One watcher, on a thread of its own, which waits for `turn`."""

    __slots__ = ("making", "missed", "since", "size", "stream", "turn")

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.turn = threading.Event()
        self.size = _EXPECTED_BYTES
        self.since = 0.0
        self.making = self.missed = False


class Broadcaster:
    """Gives one watcher after the other a turn, on a thread of its own that starts with the first watcher.

    `room` is how many bytes of updates may be under way; one update always may. The next watcher has its turn once the
    one before has sent its update, or has not been able to for 2 ms. One that does not read so holds up nobody, and is
    cancelled where it takes the room that others wait for.
    """

    def __init__(self, room: int, *, rest: Callable[[], None] | None = None) -> None:
        self._room = room
        self._rest = rest
        self._changed = threading.Condition()
        self._watchers: dict[Watcher, None] = {}
        self._waiting: dict[Watcher, None] = {}
        self._leaving: dict[Watcher, None] = {}
        self._under_way: set[Watcher] = set()
        self._thread: threading.Thread | None = None

    def add(self, stream: Stream) -> Watcher:
        """Take a watcher, which is given a turn at once."""
        watcher = Watcher(stream)
        with self._changed:
            self._watchers[watcher] = self._waiting[watcher] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="broadcaster", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return watcher

    def remove(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        with self._changed:
            self._watchers.pop(watcher, None)
            self._waiting.pop(watcher, None)
            self._leaving.pop(watcher, None)
            self._under_way.discard(watcher)
            self._changed.notify_all()

    def leave(self, watcher: Watcher) -> None:
        """Give a watcher whose client is gone the turn after the one at hand."""
        with self._changed:
            if watcher in self._watchers:
                self._leaving[watcher] = None
                self._changed.notify_all()

    def ask(self, watcher: Watcher) -> None:
        """Give a watcher a turn: it has got something, or has more to send."""
        with self._changed:
            if watcher in self._watchers:
                self._waiting[watcher] = None
                self._changed.notify_all()

    def wake(self) -> None:
        """Give every watcher a turn."""
        with self._changed:
            self._waiting |= self._watchers
            self._changed.notify_all()

    def sending(self, watcher: Watcher, size: int) -> None:
        """Note that a watcher has made its update, of `size` bytes, and sends it now."""
        with self._changed:
            watcher.size = size
            watcher.making = False
            self._changed.notify_all()

    def done(self, watcher: Watcher) -> None:
        """End the turn of a watcher: it has sent its update, or there was none."""
        with self._changed:
            watcher.making = False
            self._under_way.discard(watcher)
            if watcher.missed and watcher in self._watchers:
                watcher.missed = False
                self._waiting[watcher] = None
            self._changed.notify_all()

    def _run(self) -> None:
        # For this thread alone, so it is made here.
        rest = self._rest or Yielder()
        while True:
            with self._changed:
                if self._changed.wait_for(self._ready, _LOOK_S if self._waiting else None):
                    self._next_turn()
                else:
                    self._cancel_stalled()
            rest()

    def _ready(self) -> bool:
        return bool(self._leaving or (self._waiting and not self._full()))

    def _next_turn(self) -> None:
        """Give a turn, and wait until it has ended or has shown that it takes its time."""
        queue = self._leaving or self._waiting
        watcher = next(iter(queue))
        del queue[watcher]
        if watcher in self._under_way:
            # It gets another turn once its current message is sent.
            watcher.missed = True
            return
        watcher.since = time.monotonic()
        watcher.making = True
        self._under_way.add(watcher)
        watcher.turn.set()
        self._changed.wait_for(lambda: not watcher.making or watcher not in self._under_way, _MAKING_S)
        self._changed.wait_for(lambda: watcher not in self._under_way, _SENDING_S)

    def _full(self) -> bool:
        return bool(self._under_way) and sum(watcher.size for watcher in self._under_way) >= self._room

    def _cancel_stalled(self) -> None:
        """Cancel the watchers that have not read for too long."""
        for watcher in self._under_way:
            if time.monotonic() - watcher.since > _STALLED_S:
                watcher.stream.cancel()

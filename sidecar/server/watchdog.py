"""Watches the thread that answers gRPC: one event that keeps it must not go unnoticed."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import CodeType, FrameType

from grpc import _server as grpc_server

from sidecar.gil import no_gc

log = logging.getLogger(__name__)

HELD_S = 10.0
"""An event may keep the thread for so long: the longest legal one takes 20 ms."""

_LOOK_S = 2.0
# The loop of the thread; without this private name of grpcio nothing is watched.
_LOOP: CodeType | None = getattr(getattr(grpc_server, "_serve", None), "__code__", None)

Frames = Callable[[], Mapping[int, FrameType]]


def stacks() -> Mapping[int, FrameType]:
    """Return the innermost frame of each thread.

    Python 3.11 holds a lock of the interpreter meanwhile. A collection that begins just then can need it, to
    finish a thread's values for example, and the whole process stands still (CPython's gh-106883): so there is none.
    """
    with no_gc:
        return sys._current_frames()  # noqa: SLF001 - the way to see another thread's stack


class Watchdog:
    """Looks every 2 s at what the thread is doing; logs its stack, once, where one event keeps it for `limit` s.

    The thread's loop calls a function for each event: while that is the same call, the thread has not turned.
    """

    def __init__(
        self,
        *,
        limit: float = HELD_S,
        loop: CodeType | None = _LOOP,
        frames: Frames = stacks,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._loop = loop
        self._frames = frames
        self._clock = clock
        self._call: FrameType | None = None
        self._since = clock()
        self._logged = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    @property
    def held_s(self) -> float:
        """Seconds for which one event has kept the thread; 0 while it is less than the limit."""
        held = 0.0 if self._call is None else self._clock() - self._since
        return held if held >= self._limit else 0.0

    def start(self) -> None:
        """Start to look."""
        if self._loop is not None:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def look(self) -> None:
        """Look once."""
        call = self._event_call()
        if call is None or call is not self._call:
            self._call, self._since, self._logged = call, self._clock(), False
        elif self.held_s and not self._logged:
            self._logged = True
            stack = "".join(traceback.format_stack(self._frames().get(self._ident, call)))
            log.error("the thread that answers gRPC has been at one event for %.0f s:\n%s", self.held_s, stack)

    def _event_call(self) -> FrameType | None:
        """Return the call that the loop has made for the event at hand, None between events."""
        for ident, frame in self._frames().items():
            call, below = frame, frame.f_back
            while below is not None:
                if below.f_code is self._loop:
                    self._ident = ident
                    return call
                call, below = below, below.f_back
        return None

    _ident = 0

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            self.look()

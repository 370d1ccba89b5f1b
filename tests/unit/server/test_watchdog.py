"""The watchdog of the thread that answers gRPC."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from sidecar.server.watchdog import _LOOP, Watchdog


class _Loop:
    """A thread with a loop like gRPC's, which handles an event whenever it is let."""

    def __init__(self) -> None:
        self.turn, self.begun, self.ending = threading.Semaphore(0), threading.Semaphore(0), False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self) -> None:
        while not self.ending:
            self.handle_an_event()

    def handle_an_event(self) -> None:
        self.begun.release()
        self.turn.acquire()


@pytest.fixture
def loop() -> Iterator[_Loop]:
    """Yield a loop, at its first event."""
    running = _Loop()
    running.begun.acquire()
    yield running
    running.ending = True
    running.turn.release()
    running.thread.join(10)


def test_an_event_that_keeps_the_thread_is_reported_once(loop: _Loop, caplog: pytest.LogCaptureFixture) -> None:
    """After the limit, with the stack of what it was doing; the next event is a new one."""
    now = 0.0
    watchdog = Watchdog(limit=10.0, loop=_Loop.serve.__code__, clock=lambda: now)
    with caplog.at_level(logging.ERROR):
        watchdog.look()
        now = 9.0
        watchdog.look()
        assert watchdog.held_s == 0.0
        now = 12.0
        for _ in range(3):
            watchdog.look()
        assert watchdog.held_s == 12.0
        assert len(caplog.records) == 1
        assert "at one event for 12 s" in caplog.text
        assert "handle_an_event" in caplog.text
        loop.turn.release()
        loop.begun.acquire()
        watchdog.look()
        assert watchdog.held_s == 0.0
        now = 20.0
        watchdog.look()
        assert len(caplog.records) == 1


def test_a_thread_that_waits_for_events_is_well() -> None:
    """Nothing keeps it, however long it waits."""
    now = 0.0
    watchdog = Watchdog(loop=_Loop.serve.__code__, clock=lambda: now)
    watchdog.look()
    now = 100.0
    watchdog.look()
    assert watchdog.held_s == 0.0


def test_the_loop_of_this_release_is_known() -> None:
    """Else nothing is watched, and nothing else is touched."""
    assert _LOOP is not None
    Watchdog(loop=None).start()


_COLLECTING = """
import gc, sys
from sidecar.server.watchdog import stacks

class Ring:
    def __init__(self):
        self.me = self

    def __del__(self):
        sys._current_frames()  # needs the lock that Python 3.11 holds in the same call

def look():
    Ring()
    assert stacks()

gc.set_threshold(1)
for _ in range(100):
    look()
"""


def test_a_look_cannot_stop_the_process() -> None:
    """A collection that begins while stacks are read would wait for ever for the lock that the reading holds."""
    subprocess.run([sys.executable, "-c", _COLLECTING], timeout=30, check=True)

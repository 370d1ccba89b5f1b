"""How open calls are counted, and the threads that run some of them."""

from __future__ import annotations

import threading

import pytest

from sidecar.server.slots import CallThreads, Slots
from tests.waiting import eventually


def test_a_task_holds_the_slot_that_was_claimed_for_it() -> None:
    """From the moment it is submitted until it has ended; tasks without a claim hold none."""
    slots, finish = Slots(1), threading.Event()
    threads = CallThreads(2)
    try:
        threads.claim(slots)
        threads.submit(finish.wait, 10)
        assert slots.full
        threads.submit(int).result(10)
        assert slots.full
        finish.set()
        eventually(lambda: slots.empty, "the slot given back")
    finally:
        threads.shutdown(wait=True)


def test_a_task_that_cannot_be_submitted_holds_nothing() -> None:
    """A pool that is shut down refuses the task, and its slot is free again."""
    slots, threads = Slots(1), CallThreads(1)
    threads.shutdown(wait=True)
    threads.claim(slots)
    with pytest.raises(RuntimeError):
        threads.submit(int)
    assert slots.empty


def test_the_thread_that_submits_starts_no_threads() -> None:
    """A burst of calls would keep the thread that answers at starting threads; another one does."""
    threads, finish = CallThreads(3), threading.Event()
    starters = set[str]()

    class Seen(threading.Thread):
        def start(self) -> None:
            if self.name.startswith("call_"):
                starters.add(threading.current_thread().name)
            super().start()

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("concurrent.futures.thread.threading.Thread", Seen)
            tasks = [threads.submit(finish.wait, 10) for _ in range(3)]
            eventually(lambda: all(task.running() for task in tasks), "three tasks at once")
        assert starters == {"call-starter"}
        finish.set()
        assert all(task.result(10) for task in tasks)
        assert threads.submit(int).result(10) == 0
    finally:
        finish.set()
        threads.shutdown(wait=True)

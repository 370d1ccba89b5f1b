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

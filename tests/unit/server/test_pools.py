"""The threads of unary calls: few, counted, and more only when all are stuck."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sidecar.server.pools import CountedPool, UnaryPool
from tests.waiting import eventually


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Return what ends calls that wait for it, at the latest at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def test_calls_run_and_are_counted(stuck: threading.Event) -> None:
    """It is empty before and after calls, not while one runs, also when one raises."""
    pool = UnaryPool(threads=2, limit=10)
    pool.start()
    assert pool.empty
    pool.submit(stuck.wait)
    assert not pool.empty
    stuck.set()
    eventually(lambda: pool.empty, "an empty pool")
    pool.shutdown()


def test_it_is_full_at_its_limit(stuck: threading.Event) -> None:
    """With as many calls as it may have, running and waiting, it says so, and no longer once they are done."""
    pool = UnaryPool(threads=1, limit=3)
    pool.start()
    pool.submit(stuck.wait)
    eventually(pool._queue.empty, "the first call taken")
    for _ in range(2):
        assert not pool.full
        pool.submit(stuck.wait)
    assert pool.full
    stuck.set()
    eventually(lambda: not pool.full, "room")
    pool.shutdown()


def test_stuck_threads_are_made_up_for(stuck: threading.Event) -> None:
    """While calls that never end hold every thread, later calls still find one."""
    pool = UnaryPool(threads=2, limit=100)
    pool.start()
    done = threading.Event()
    for _ in range(5):
        pool.submit(stuck.wait)

    def another() -> bool:
        pool.submit(done.set)
        return done.is_set()

    eventually(another, "a call that ran beside the stuck ones", every=0.06)
    stuck.set()
    pool.shutdown()


def test_a_counted_pool_knows_its_calls(stuck: threading.Event) -> None:
    """It is full at its limit and empty when all have ended."""
    pool = CountedPool("test", threads=2, limit=2)
    assert pool.empty
    pool.submit(stuck.wait)
    assert not pool.full
    pool.submit(stuck.wait)
    assert pool.full
    stuck.set()
    eventually(lambda: pool.empty, "an empty pool")
    pool.shutdown()

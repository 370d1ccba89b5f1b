"""The threads of calls that last."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sidecar.server.pools import BoundedThreadPool
from tests.waiting import eventually


@pytest.fixture
def stuck() -> Iterator[threading.Event]:
    """Return what ends calls that wait for it, at the latest at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_counted_pool_knows_its_calls(stuck: threading.Event) -> None:
    """It is full at its limit and empty when all have ended."""
    pool = BoundedThreadPool("test", limit=2)
    assert pool.empty
    pool.submit(stuck.wait)
    assert not pool.full
    pool.submit(stuck.wait)
    assert pool.full
    stuck.set()
    eventually(lambda: pool.empty, "an empty pool")
    pool.shutdown()

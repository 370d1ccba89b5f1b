"""Waiting for a condition, which is how a test waits."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], what: str, *, within: float = 20.0, every: float = 0.02) -> T:
    """Return the first truthy answer of `probe`; after `within` seconds fail, saying `what` did not come."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; last seen: {answer!r}")
        time.sleep(every)

"""Waiting for a condition, which is how a test waits."""

import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import TypeVar

T = TypeVar("T")


def pauses(longest: float = 0.1) -> Iterator[float]:
    """Yield the seconds between two looks: what takes long is looked at less often, and costs its server less."""
    pause = 0.02
    while True:
        yield pause
        pause = min(pause * 1.1, longest)


def eventually(probe: Callable[[], T], what: str, *, within: float = 20.0, every: float | None = None) -> T:
    """Return the first truthy answer of `probe`; after `within` seconds fail, saying `what` did not come.

    It looks again after 20 ms, later after 100 ms, or after `every` seconds.
    """
    deadline = time.monotonic() + within
    waits = pauses() if every is None else repeat(every)
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}; last seen: {answer!r}")
        time.sleep(next(waits))

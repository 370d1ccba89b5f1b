"""Measures the CPU time of a call, for tests of how a cost grows."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable


def cpu_seconds(call: Callable[[], object], turns: int = 3) -> float:
    """Return the least CPU time that this thread took for a call, in seconds.

    The collector of the test process has everything of hundreds of tests to look at, so it waits meanwhile; other
    disturbances make a turn slower, never faster.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        return min(_once(call) for _ in range(turns))
    finally:
        if collecting:
            gc.enable()


def _once(call: Callable[[], object]) -> float:
    began = time.thread_time()
    call()
    return time.thread_time() - began

"""Measures the memory of this process: near its limit, what needs much of it is refused before the kernel kills."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

log = logging.getLogger(__name__)

# As shares of the limit. The rest is for memory that is not measured: the kernel's, such as buffers of sockets, and
# growth between two measurements.
_HIGH = 0.85
_LOW = 0.8
_LOOK_S = 0.1
_MIB = 1024 * 1024


def private_bytes() -> int:
    """Return the memory of this process that belongs to it alone: resident, without mapped files."""
    with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - ten times a second
        _, resident, shared, *_ = statm.read().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")


def trim() -> None:
    """Return freed memory to the system, where the C library can; the allocator keeps it otherwise."""
    import ctypes  # noqa: PLC0415 - only under pressure

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class MemoryPressure:
    """Whether this process is close to its limit, looked at ten times a second on a thread of its own.

    `high` is true from 85 % of `limit` bytes until there are less than 80 %. It is an attribute, for the thread that
    answers. Without a limit, and where memory cannot be measured, it stays false.
    """

    def __init__(
        self,
        limit: int | None,
        *,
        measure: Callable[[], int] = private_bytes,
        release: Callable[[], None] = trim,
    ) -> None:
        self.high = False
        self._limit = limit
        self._measure = measure
        self._release = release
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory", daemon=True)

    def start(self) -> None:
        """Start to look."""
        if self._limit is not None:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()

    def look(self) -> None:
        """Look once; under pressure, release what the allocator keeps first."""
        if self._limit is None:
            return
        used = self._measure()
        if used > _HIGH * self._limit:
            self._release()
            used = self._measure()
        if not self.high and used > _HIGH * self._limit:
            self.high = True
            log.warning(
                "%d of %d MiB of memory are used: large requests and new streams get RESOURCE_EXHAUSTED until it is "
                "less than %d MiB; raise the limit, or --max-memory",
                used // _MIB,
                self._limit // _MIB,
                _LOW * self._limit // _MIB,
            )
        elif self.high and used < _LOW * self._limit:
            self.high = False
            log.warning("%d of %d MiB of memory are used: no longer refusing for it", used // _MIB, self._limit // _MIB)

    def _run(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            try:
                self.look()
            except OSError as error:
                log.warning("memory cannot be measured, so no request is refused for it: %s", error)
                self.high = False
                return


NO_PRESSURE = MemoryPressure(None)

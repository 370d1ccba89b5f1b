"""Wakes the coroutines that wait for a change made by another thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class ChangeNotifier:
    """`wait` returns at the next `ring`. Both are called in the loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all that wait."""
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self, timeout: float) -> None:  # noqa: ASYNC109 - waking up for nothing is no error here
        """Return at the next ring, or after `timeout` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout)

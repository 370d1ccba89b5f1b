"""Logs each episode without the sidecar once, with the number of tasks that were routed without it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

log = logging.getLogger(__name__)


class OutageLog:
    """Counts how tasks are routed: `decisions` by origin, `episodes` without the sidecar."""

    def __init__(self, policy: str) -> None:
        self.decisions: Counter[str] = Counter()
        self.episodes = 0
        self._policy = policy
        self._lock = threading.Lock()
        self._since: float | None = None
        self._without: Counter[str] = Counter()

    @property
    def ongoing(self) -> bool:
        """Whether tasks are being routed without the sidecar."""
        return self._since is not None

    def count_without(self, origin: str, cause: str) -> None:
        """Count a task that was routed without an answer, because of `cause`."""
        with self._lock:
            self.decisions[origin] += 1
            self._without[origin] += 1
            if self._since is not None:
                return
            self._since = time.monotonic()
            self.episodes += 1
        log.warning(
            "no answer from the sidecar (%s): until it recovers, tasks are routed by the last answer, else by "
            "on_outage=%s",
            cause,
            self._policy,
        )

    def recovered(self) -> None:
        """End the episode, if there is one."""
        with self._lock:
            if self._since is None:
                return
            seconds = time.monotonic() - self._since
            counted, self._since, self._without = self._without, None, Counter()
        log.info(
            "sidecar recovered after %.0f s; %d tasks were routed without it: %s",
            seconds,
            counted.total(),
            ", ".join(f"{count} {origin}" for origin, count in counted.items()),
        )

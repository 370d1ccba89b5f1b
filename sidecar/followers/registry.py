"""The followers of the decision, and the last answer to each: for status, page and metrics."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

MOST = 1024
"""Followers that are remembered; of more, those seen last."""
_FORGOTTEN_NS = 3600 * 10**9


class FollowerKind(Enum):
    """The kind of a follower."""

    HAPROXY = "haproxy"
    XDS = "xds"


@dataclass(frozen=True, slots=True)
class Follower:
    """A follower: its address, what it follows (`subject`), and what it was answered when it was last seen.

    `seen_at_ns` is in Unix nanoseconds.
    """

    kind: FollowerKind
    peer: str
    subject: str
    answer: str
    seen_at_ns: int


class FollowerRegistry:
    """Remembers followers for an hour; safe for any thread."""

    def __init__(self, *, clock: Callable[[], int] = time.time_ns) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # The one seen last is the last.
        self._seen: OrderedDict[tuple[FollowerKind, str, str], Follower] = OrderedDict()

    def saw(self, kind: FollowerKind, peer: str, subject: str, answer: str) -> None:
        """Note a follower and the answer that it got."""
        key = (kind, peer, subject)
        with self._lock:
            self._seen.pop(key, None)
            self._seen[key] = Follower(kind, peer, subject, answer, self._clock())
            if len(self._seen) > MOST:
                self._seen.popitem(last=False)

    def all(self) -> tuple[Follower, ...]:
        """Return the followers of the last hour, the one seen last first."""
        since = self._clock() - _FORGOTTEN_NS
        with self._lock:
            return tuple(each for each in reversed(self._seen.values()) if each.seen_at_ns >= since)

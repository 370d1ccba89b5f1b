"""What was answered under one State, so that an equal request is neither decoded nor decided again."""

from __future__ import annotations

from sidecar.routing.state import State
from sidecar.tally import Tick

# From this size on a request is found by a sample of its bytes: hashing all of them would cost more than gRPC itself.
_SAMPLED_FROM = 4096
_SAMPLE_EDGE = 256
# About this many bytes between the edges: each costs a line of the processor's cache.
_SAMPLE_POINTS = 512
# What an entry takes beside its bytes: tuple, dictionary slot, two headers.
_ENTRY_OVERHEAD = 300

_Key = bytes | tuple[int, bytes, bytes, bytes]
_Entry = tuple[bytes, bytes, Tick]


class Memo:
    """Maps requests to responses, byte for byte, for the State it was made for and no other.

    Two generations: what is found in the old one moves to the young one, and when the young one is full it becomes the
    old one. So a flood of requests that never come again costs those that do no more than a move now and then.
    Together they hold `entries` and `size` bytes at most. Threads share it without a lock: each step is one operation
    on a dictionary or one assignment, and whatever a race loses is an entry, never a right answer.
    """

    __slots__ = ("_entries", "_old", "_size", "_taken", "_young", "state")

    def __init__(self, state: State | None, *, entries: int, size: int) -> None:
        self.state = state
        self._entries = entries // 2
        self._size = size // 2
        self._taken = 0
        self._young: dict[_Key, _Entry] = {}
        self._old: dict[_Key, _Entry] = {}

    def find(self, request: bytes) -> bytes | None:
        """Return the response that was remembered for exactly this request, and count it, or None."""
        key = request if len(request) < _SAMPLED_FROM else _sample(request)
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None or entry[0] != request:
                return None
            self._put(key, entry)
        elif entry[0] != request:
            return None
        entry[2]()
        return entry[1]

    def remember(self, request: bytes, response: bytes, found: Tick = int) -> None:
        """Keep the response to a request, unless it alone would take more than there is; `found` counts its finds."""
        if len(request) + len(response) + _ENTRY_OVERHEAD <= self._size:
            self._put(request if len(request) < _SAMPLED_FROM else _sample(request), (request, response, found))

    def _put(self, key: _Key, entry: _Entry) -> None:
        taken = len(entry[0]) + len(entry[1]) + _ENTRY_OVERHEAD
        young = self._young
        if len(young) >= self._entries or self._taken + taken > self._size:
            self._old = young
            self._young = young = {}
            self._taken = 0
        young[key] = entry
        self._taken += taken


def _sample(request: bytes) -> _Key:
    return len(request), request[:_SAMPLE_EDGE], request[-_SAMPLE_EDGE:], request[:: len(request) // _SAMPLE_POINTS]

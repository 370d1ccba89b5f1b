"""What was made of bytes that came, so that when they come again it need not be made again."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

# From this size on bytes are found by a sample: hashing all of them would cost more than gRPC itself.
_SAMPLED_FROM = 4096
_SAMPLE_EDGE = 256
# About this many bytes between the edges: each costs a line of the processor's cache.
_SAMPLE_POINTS = 512
# What an entry takes beside what it is said to take: tuple, dictionary slot, two headers.
_ENTRY_OVERHEAD = 300

_Key = bytes | tuple[int, bytes, bytes, bytes]


class Memo(Generic[T]):
    """Maps bytes to what was made of them, byte for byte.

    What does not come again is not worth the room: `comes_again` tells, from no more than a hash. Two generations: what
    is found in the old one moves to the young one, and when the young one is full it becomes the old one.
    Together they hold `entries` and `size` bytes at most. Threads share it without a lock: each step is one operation
    on a dictionary or one assignment, and whatever a race loses is an entry, never a right answer.
    """

    __slots__ = ("_come", "_entries", "_old", "_size", "_taken", "_young")

    def __init__(self, *, entries: int, size: int) -> None:
        self._entries = entries // 2
        self._size = size // 2
        self._taken = 0
        # The hashes of what has come once.
        self._come: set[int] = set()
        # The bytes, what was made of them, and what both take.
        self._young: dict[_Key, tuple[bytes, T, int]] = {}
        self._old: dict[_Key, tuple[bytes, T, int]] = {}

    def find(self, data: bytes) -> T | None:
        """Return what was remembered for exactly these bytes, or None."""
        key = data if len(data) < _SAMPLED_FROM else _sample(data)
        entry = self._young.get(key)
        if entry is None:
            entry = self._old.get(key)
            if entry is None or entry[0] != data:
                return None
            self._put(key, entry)
        elif entry[0] != data:
            return None
        return entry[1]

    def comes_again(self, data: bytes) -> bool:
        """Tell whether bytes have come before, and know from now on that they have."""
        come, number = self._come, hash(data if len(data) < _SAMPLED_FROM else _sample(data))
        if number in come:
            return True
        if len(come) < self._entries:
            come.add(number)
        else:
            self._come = {number}
        return False

    def keep(self, data: bytes, made: T, size: int) -> None:
        """Keep what was made of bytes; both take `size` bytes. What alone would take more than there is is not kept."""
        taken = size + _ENTRY_OVERHEAD
        if taken <= self._size:
            self._put(data if len(data) < _SAMPLED_FROM else _sample(data), (data, made, taken))

    def _put(self, key: _Key, entry: tuple[bytes, T, int]) -> None:
        young = self._young
        if len(young) >= self._entries or self._taken + entry[2] > self._size:
            self._old = young
            self._young = young = {}
            self._taken = 0
        young[key] = entry
        self._taken += entry[2]


def _sample(data: bytes) -> _Key:
    return len(data), data[:_SAMPLE_EDGE], data[-_SAMPLE_EDGE:], data[:: len(data) // _SAMPLE_POINTS]

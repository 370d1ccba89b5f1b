"""A cache from request bytes to the values derived from them, bounded in entries and bytes."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

# Keys from this size on are hashed by a sample: hashing all bytes would cost more than gRPC itself.
_SAMPLED_FROM = 4096
_SAMPLE_EDGE = 256
# About this many bytes between the edges: each costs one cache line.
_SAMPLE_POINTS = 512
# Memory of an entry beyond its declared size: tuple, dictionary slot, two object headers.
_ENTRY_OVERHEAD = 300

_Key = bytes | tuple[int, bytes, bytes, bytes]


class Memo(Generic[T]):
    """Maps bytes to the value derived from them; keys are compared byte for byte.

    Only repeated bytes are worth an entry: `comes_again` recognises them by hash alone. There are two generations: a
    hit in the old one moves to the young one, and a full young one becomes the old one. Together they hold at most
    `entries` entries and `size` bytes. Threads share it without a lock: each step is one dictionary operation or one
    assignment, so a race can lose an entry but never return a wrong value.
    """

    __slots__ = ("_come", "_entries", "_old", "_size", "_taken", "_young")

    def __init__(self, *, entries: int, size: int) -> None:
        self._entries = entries // 2
        self._size = size // 2
        self._taken = 0
        # The hashes of bytes seen once.
        self._come: set[int] = set()
        # The bytes, their value, and the memory of both.
        self._young: dict[_Key, tuple[bytes, T, int]] = {}
        self._old: dict[_Key, tuple[bytes, T, int]] = {}

    def find(self, data: bytes) -> T | None:
        """Return the value kept for exactly these bytes, or None."""
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
        """Return whether these bytes were seen before, and note that they are seen now."""
        come, number = self._come, hash(data if len(data) < _SAMPLED_FROM else _sample(data))
        if number in come:
            return True
        if len(come) < self._entries:
            come.add(number)
        else:
            self._come = {number}
        return False

    def keep(self, data: bytes, made: T, size: int) -> None:
        """Keep the value of some bytes; `size` is the memory of both. An entry above the bound is not kept."""
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

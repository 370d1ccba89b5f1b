"""Answers that may be given again: those of the generation that the sidecar is at, as long as it can be asked."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class AnswerCache(Generic[V]):
    """A bounded cache that is open while somebody follows the sidecar, and empty after each move of its generation.

    Between `get` and `put` the generation may move, or the sidecar restart and count from 1 again. So `get` gives the
    epoch too, which every `follow` and `close` ends, and `put` takes only what was asked in the epoch that still lasts.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._answers: OrderedDict[bytes, V] = OrderedDict()
        self._generation: int | None = None
        self._epoch = 0

    @property
    def open(self) -> bool:
        """Tell whether the sidecar is being followed."""
        return self._generation is not None

    def follow(self, generation: int) -> None:
        """Take notice of the generation that the sidecar is at now."""
        with self._lock:
            self._restart(generation)

    def close(self) -> None:
        """Forget everything until `follow`: nobody would tell when an answer does not hold any more."""
        with self._lock:
            self._restart(None)

    def get(self, key: bytes) -> tuple[V | None, int]:
        """Return the answer, if there is one that holds, and the epoch."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None:
                self._answers.move_to_end(key)
            return answer, self._epoch

    def put(self, key: bytes, answer: V, *, generation: int, epoch: int) -> None:
        """Keep an answer, unless the sidecar has moved on since it was asked for."""
        with self._lock:
            if generation == self._generation and epoch == self._epoch:
                self._answers[key] = answer
                if len(self._answers) > self._size:
                    self._answers.popitem(last=False)

    def _restart(self, generation: int | None) -> None:
        self._generation = generation
        self._epoch += 1
        self._answers.clear()

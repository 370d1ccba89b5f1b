"""A cache of answers, valid for the sidecar's current generation while the client watches it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class AnswerCache(Generic[V]):
    """A bounded LRU cache that is open while the sidecar is watched, and emptied by each new generation.

    Between `get` and `put` the generation may change, or the sidecar restart and count from 1 again. So `get` returns
    an epoch, which every `follow` and `close` ends, and `put` only stores answers asked for in the current epoch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._answers: OrderedDict[bytes, V] = OrderedDict()
        self._generation: int | None = None
        self._epoch = 0

    @property
    def open(self) -> bool:
        """Whether the sidecar is being watched."""
        return self._generation is not None

    @property
    def epoch(self) -> int:
        """The epoch; an answer of another one is not known to be valid any more."""
        return self._epoch

    def follow(self, generation: int) -> None:
        """Set the sidecar's generation, and forget all answers."""
        with self._lock:
            self._restart(generation)

    def close(self) -> None:
        """Forget all answers, and store none until `follow`: nothing would invalidate them."""
        with self._lock:
            self._restart(None)

    def get(self, key: bytes) -> tuple[V | None, int]:
        """Return the answer, None if there is none, and the epoch."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None:
                self._answers.move_to_end(key)
            return answer, self._epoch

    def put(self, key: bytes, answer: V, *, generation: int, epoch: int) -> None:
        """Store an answer, unless the generation or the epoch has changed since it was asked for."""
        with self._lock:
            if generation == self._generation and epoch == self._epoch:
                self._answers[key] = answer
                if len(self._answers) > self._size:
                    self._answers.popitem(last=False)

    def _restart(self, generation: int | None) -> None:
        self._generation = generation
        self._epoch += 1
        self._answers.clear()

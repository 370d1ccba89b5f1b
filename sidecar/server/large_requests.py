"""Answers large requests on a thread of their own, one at a time: their work holds up nobody else."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sidecar.errors import TooManyCalls
from sidecar.gil import Yielder

Checkpoint = Callable[[], None]

LARGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LargeRequest:
    """A request of `size` bytes whose response `make` returns; it calls its argument often during the work."""

    size: int
    make: Callable[[Checkpoint], bytes]


Job = Callable[[Checkpoint], None]


def made(response: bytes | LargeRequest) -> bytes:
    """Return a response, after the work that makes it, on this thread."""
    return response.make(lambda: None) if isinstance(response, LargeRequest) else response


class LargeRequests:
    """Runs the work of large requests in the order of their arrival. The thread starts with the first one.

    `room` is how many bytes of requests may wait or be at work; one request always may.
    """

    def __init__(self, room: int = LARGE_BYTES) -> None:
        self._room = room
        self._taken = 0
        self._waiting: deque[tuple[int, Job]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, size: int, job: Job) -> None:
        """Queue a job for a request of `size` bytes. Raises TooManyCalls where there is no room for it."""
        with self._changed:
            if self._taken and self._taken + size > self._room:
                raise TooManyCalls("too many large requests wait: retry with backoff, or send fewer candidates")
            self._taken += size
            self._waiting.append((size, job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="large", daemon=True)
                self._thread.start()
            self._changed.notify()

    def answer(self, request: LargeRequest) -> bytes:
        """Return the response, however long it takes. Raises TooManyCalls, and the errors of the work."""
        made: Future[bytes] = Future()

        def job(checkpoint: Checkpoint) -> None:
            try:
                made.set_result(request.make(checkpoint))
            except BaseException as error:  # noqa: BLE001 - raised on the thread that waits
                made.set_exception(error)

        self.submit(request.size, job)
        return made.result()

    def _run(self) -> None:
        checkpoint = Yielder()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                size, job = self._waiting.popleft()
            job(checkpoint)
            with self._changed:
                self._taken -= size

"""Reads the requests of a stream on a thread of its own, one ahead: the rest waits at the client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from sidecar.server.calls import GOING_DOWN


class RequestReader:
    """The requests of one stream, which can be taken without waiting, or read until the stream is to end.

    `came` is called, on the reading thread, when a request has come, and when no further one will.
    """

    def __init__(self, requests: Iterator[bytes], came: Callable[[], None] = lambda: None) -> None:
        self._requests = requests
        self._came = came
        self._changed = threading.Condition()
        self._request: bytes | None = None
        self._error: Exception | None = None
        self._over = self._ending = self._closed = False
        threading.Thread(target=self._fill, name="requests", daemon=True).start()

    def take(self) -> tuple[bytes | None, bool]:
        """Return the next request, None if none has come; and whether no further one will come."""
        with self._changed:
            request, self._request = self._request, None
            if request is not None:
                self._changed.notify_all()
            return request, self._over

    def read(self) -> Iterator[bytes]:
        """Yield the requests. Raises NotServing after `end`, and gRPC's error where the client is gone."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._request is not None or self._over or self._ending)
                if self._ending:
                    raise GOING_DOWN
                request, _ = self.take()
                if request is None:
                    if self._error is not None:
                        raise self._error
                    return
            yield request

    def end(self) -> None:
        """Make `read` raise NotServing in place of the next request."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let the reading thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _fill(self) -> None:
        try:
            for request in self._requests:
                with self._changed:
                    self._changed.wait_for(lambda: self._request is None or self._closed)
                    if self._closed:
                        return
                    self._request = request
                    self._changed.notify_all()
                self._came()
        except Exception as error:  # noqa: BLE001 - gRPC's, where the client is gone; `read` raises it
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()
            self._came()

"""Keeps a client's cache valid: watches WatchRoutes on a thread of its own, and reconnects."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import grpc

from sidecar.backoff import Backoff
from sidecar.client.cache import AnswerCache
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb

# Without a listener only the generation matters. No application has an empty name, so only the default route is sent.
_NO_ROUTES = pb.WatchRoutesRequest(apps=[""])
_ALL_ROUTES = pb.WatchRoutesRequest(detail=True)

Listener = Callable[[pb.RouteUpdate, int], None]
"""Takes an update and the epoch of the cache that begins with it."""

# Pauses between two attempts to open the stream.
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


class RouteWatcher:
    """Opens the cache while a stream of updates is open, and closes it as soon as that breaks.

    A `listener` gets each update in full detail, on the watcher's thread.
    """

    def __init__(
        self,
        watch: Callable[..., Any],
        cache: AnswerCache[Any],
        listener: Listener | None = None,
    ) -> None:
        self._watch = watch
        self._cache = cache
        self._listener = listener
        self._request = _NO_ROUTES if listener is None else _ALL_ROUTES
        self._lock = threading.Lock()
        self._stream: Any = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch-routes", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the stream and the thread, and close the cache."""
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.cancel()
        self._thread.join()

    def _run(self) -> None:
        backoff = Backoff(first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
        while not self._stopping.is_set():
            with self._lock:
                self._stream = self._watch(self._request, wait_for_ready=True)
                if self._stopping.is_set():
                    self._stream.cancel()
            try:
                for update in self._stream:
                    self._cache.follow(update.generation)
                    if self._listener is not None:
                        self._listener(update, self._cache.epoch)
                    backoff.reset()
            except grpc.RpcError:
                pass
            finally:
                self._cache.close()
            backoff.fail()
            backoff.wait(self._stopping)

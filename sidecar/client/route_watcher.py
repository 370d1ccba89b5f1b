"""Keeps a cache true: follows WatchRoutes on a thread of its own, again and again."""

from __future__ import annotations

import threading
from typing import Any

import grpc

from sidecar.backoff import Backoff
from sidecar.client.cache import AnswerCache
from sidecar.pb.dcsidecar.v1 import routing_pb2 as pb

# Only the generation matters here. No application has an empty name, so no routes but the default one are sent.
_NO_ROUTES = pb.WatchRoutesRequest(apps=[""])

# How long to wait between two tries of a stream that broke.
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0


class RouteWatcher:
    """Opens the cache while a stream of updates is up, and closes it as soon as that breaks."""

    def __init__(self, watch: grpc.UnaryStreamMultiCallable[Any, pb.RouteUpdate], cache: AnswerCache[Any]) -> None:
        self._watch = watch
        self._cache = cache
        self._lock = threading.Lock()
        self._stream: Any = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-routes", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End the stream and the thread, and close the cache."""
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                self._stream.cancel()
        self._thread.join()

    def _run(self) -> None:
        backoff = Backoff(first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S)
        while not self._stopping.is_set():
            with self._lock:
                self._stream = self._watch(_NO_ROUTES, wait_for_ready=True)
                if self._stopping.is_set():
                    self._stream.cancel()
            try:
                for update in self._stream:
                    self._cache.follow(update.generation)
                    backoff.reset()
            except grpc.RpcError:
                pass
            finally:
                self._cache.close()
            backoff.fail()
            backoff.wait(self._stopping)

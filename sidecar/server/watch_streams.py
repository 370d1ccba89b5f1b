"""Streams that send something at once and again when it changes: WatchRoutes, and Watch of the health service."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from sidecar.errors import NoRequest, SidecarError
from sidecar.server.calls import GOING_DOWN, InternalErrors, OnBegin, abort

# The next update after the one sent last (None: nothing yet): a value to compare, and its encoder. None if unchanged.
NextUpdate = Callable[[object], tuple[object, Callable[[], bytes]] | None]
# Checks a request and returns what yields updates to those who made it.
OpenWatch = Callable[[bytes], NextUpdate]

# Watchers that are sent to at a time, so that an update for hundreds leaves room for decisions in between, and how long
# a watcher waits for its turn while others are slow to read.
_TURNS = 2
_TURN_S = 0.1


class WatchStreams:
    """Watchers, each on a thread of its own: a slow one misses intermediate updates and never delays the others."""

    def __init__(self, errors: InternalErrors) -> None:
        self._errors = errors
        self._wakes: set[threading.Event] = set()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_TURNS)
        self._ending = False

    def handler(self, open_watch: OpenWatch, on_begin: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a watching method."""

        def watch(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            on_end = on_begin(context.invocation_metadata())
            error: SidecarError = NoRequest()
            try:
                for request in requests:
                    yield from self._updates(open_watch(request), context)
                    error = GOING_DOWN
                    break
            except SidecarError as refusal:
                error = refusal
            except grpc.RpcError:
                # The client is gone; gRPC raises this and expects to see it again.
                on_end("CANCELLED")
                raise
            except Exception:  # noqa: BLE001 - gRPC would send the client its text
                error = self._errors.error()
            on_end(error.grpc_status if context.is_active() else "CANCELLED")
            abort(context, error)

        return grpc.stream_stream_rpc_method_handler(watch)

    def wake(self) -> None:
        """Have every watcher look for an update."""
        with self._lock:
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake.set()

    def end(self) -> None:
        """End all with UNAVAILABLE, after a last look for an update."""
        self._ending = True
        self.wake()

    def _updates(self, next_update: NextUpdate, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Yield updates until the client is gone or the server ends."""
        wake = threading.Event()
        with self._lock:
            self._wakes.add(wake)
        try:
            # The client learns that its stream is open, also while there is nothing to send.
            context.send_initial_metadata(())
            sent: object = None
            active = context.add_callback(wake.set)
            while active:
                wake.clear()
                ending = self._ending
                update = next_update(sent)
                if update is not None:
                    sent, encode = update
                    yield from self._in_turn(encode)
                if ending:
                    return
                wake.wait()
                active = context.is_active()
        finally:
            with self._lock:
                self._wakes.discard(wake)

    def _in_turn(self, encode: Callable[[], bytes]) -> Iterator[bytes]:
        """Yield an encoded update; gRPC resumes the generator, and so gives the turn back, once it is sent."""
        turn = self._turns.acquire(timeout=_TURN_S)
        try:
            yield encode()
        finally:
            if turn:
                self._turns.release()

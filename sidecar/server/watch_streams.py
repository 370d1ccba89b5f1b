"""Streams that tell something at once and again when it changes: WatchRoutes, and the Watch of the health service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from sidecar.errors import SidecarError
from sidecar.server.calls import GOING_DOWN, InternalErrors, OnBegin, Send, end_call, run_on

# What there is to tell now, given what was told last (None: nothing yet): a value to compare, and how to encode it.
NextUpdate = Callable[[object], tuple[object, Callable[[], bytes]] | None]
# Checks a request and returns what to tell to those who made it.
OpenWatch = Callable[[bytes], NextUpdate]

# Watchers that are sent to at a time, so that a change for hundreds of them leaves room for decisions in between, and
# how long one waits for its turn when those before it are slow to take theirs.
_TURNS = 2
_TURN_S = 0.1


class WatchStreams:
    """Watchers, each on a thread of its own: slow ones miss what lies between, and never hold up the others."""

    def __init__(self, pool: ThreadPoolExecutor, defects: InternalErrors) -> None:
        self._pool = pool
        self._defects = defects
        self._wakes: set[threading.Event] = set()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(_TURNS)
        self._ending = False

    def handler(self, opened: OpenWatch, begun: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a watching method."""

        def watch(request: bytes, context: grpc.ServicerContext, send: Send) -> None:
            ended = begun(context.invocation_metadata())
            try:
                refusal: SidecarError = self._watch(opened(request), context, send)
            except SidecarError as error:
                refusal = error
            except Exception:  # noqa: BLE001 - gRPC would tell the client its text
                refusal = self._defects.error()
            ended(refusal.grpc_status if context.is_active() else "CANCELLED")
            end_call(context, send, refusal)

        return grpc.unary_stream_rpc_method_handler(run_on(self._pool, watch))

    def wake(self) -> None:
        """Have every watcher look whether there is something new to tell."""
        with self._lock:
            wakes = tuple(self._wakes)
        for wake in wakes:
            wake.set()

    def end(self) -> None:
        """End them all with UNAVAILABLE, after what there is to tell."""
        self._ending = True
        self.wake()

    def _watch(self, tell: NextUpdate, context: grpc.ServicerContext, send: Send) -> SidecarError:
        wake = threading.Event()
        with self._lock:
            self._wakes.add(wake)
        try:
            # The client learns that it is watching, also while there is nothing to tell.
            context.send_initial_metadata(())
            told: object = None
            going = context.add_callback(wake.set)
            while going:
                wake.clear()
                ending = self._ending
                news = tell(told)
                if news is not None:
                    told, encode = news
                    self._in_turn(send, encode)
                if ending:
                    break
                wake.wait()
                going = context.is_active()
        finally:
            with self._lock:
                self._wakes.discard(wake)
        return GOING_DOWN

    def _in_turn(self, send: Send, encode: Callable[[], bytes]) -> None:
        turn = self._turns.acquire(timeout=_TURN_S)
        try:
            send(encode())
        finally:
            if turn:
                self._turns.release()

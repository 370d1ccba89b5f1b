"""Streams that send something at once and again when it changes: WatchRoutes, and Watch of the health service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from sidecar.errors import NoRequest, SidecarError
from sidecar.server.calls import GOING_DOWN, InternalErrors, OnBegin, abort
from sidecar.server.first_messages import FirstMessages

# The next update after the one sent last (None: nothing yet): a value to compare, and its encoder. None if unchanged.
NextUpdate = Callable[[object], tuple[object, Callable[[], bytes]] | None]
# Checks a request and returns what yields updates to those who made it.
OpenWatch = Callable[[bytes], NextUpdate]

_EXPECTED_BYTES = 1024 * 1024
# While others wait for room, a watcher that has not read its update for so long is cancelled.
_STALLED_S = 5.0
_LOOK_S = 3.0


class WatchStreams:
    """Watchers, each on a thread of its own: a slow one misses intermediate updates and never delays the others."""

    def __init__(self, errors: InternalErrors, *, room: int) -> None:
        self._errors = errors
        self._wakes: set[threading.Event] = set()
        self._lock = threading.Lock()
        self._room = _Room(room)
        self._first = FirstMessages()
        self._ending = False

    def handler(self, open_watch: OpenWatch, on_begin: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a watching method."""

        def watch(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            on_end = on_begin(context.invocation_metadata())
            error: SidecarError = NoRequest()
            self._first.expect(context, context.cancel)
            try:
                for request in requests:
                    self._first.came(context)
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
            finally:
                self._first.came(context)
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
                if next_update(sent) is not None:
                    with self._room.entered(context) as entry:
                        # What was newest may not be any more.
                        update = next_update(sent) if context.is_active() else None
                        if update is not None:
                            sent, encode = update
                            yield entry.holding(encode())
                if ending:
                    return
                wake.wait()
                active = context.is_active()
        finally:
            with self._lock:
                self._wakes.discard(wake)


class _UnderWay:
    """An update under way to a watcher."""

    __slots__ = ("context", "since", "size")

    def __init__(self, context: grpc.ServicerContext) -> None:
        self.context = context
        self.since = time.monotonic()
        self.size = _EXPECTED_BYTES

    def holding(self, update: bytes) -> bytes:
        """Return the update, and take as much room as it has."""
        self.size = len(update)
        return update


class _Room:
    """The room for updates under way. A watcher waits for room first, then takes the update that is the newest.

    `size` is in bytes; one update always has room. So an update for hundreds leaves room for decisions in between, and
    watchers that do not read take no more memory.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._changed = threading.Condition()
        self._under_way: set[_UnderWay] = set()

    @contextmanager
    def entered(self, context: grpc.ServicerContext) -> Iterator[_UnderWay]:
        """Hold room for an update, from when there is some; gRPC resumes a generator once its update is sent."""
        with self._changed:
            while self._full() and context.is_active():
                self._changed.wait(_LOOK_S)
                self._cancel_stalled()
            entry = _UnderWay(context)
            self._under_way.add(entry)
        try:
            yield entry
        finally:
            with self._changed:
                self._under_way.discard(entry)
                self._changed.notify()

    def _full(self) -> bool:
        return sum(entry.size for entry in self._under_way) >= self._size

    def _cancel_stalled(self) -> None:
        """Cancel the watchers that have not read for too long."""
        for entry in self._under_way:
            if time.monotonic() - entry.since > _STALLED_S:
                entry.context.cancel()  # type: ignore[no-untyped-call]  # not typed in the stubs

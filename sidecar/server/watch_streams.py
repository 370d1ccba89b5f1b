"""Streams that send something at once and again when it changes: WatchRoutes, and Watch of the health service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc

from sidecar.errors import NoRequest
from sidecar.server.broadcaster import Broadcaster
from sidecar.server.calls import GOING_DOWN, CallGuard, InternalErrors, OnBegin, admitted, ending
from sidecar.server.first_messages import FirstMessages

# The next update after the one sent last (None: nothing yet): a value to compare, and its encoder. None if unchanged.
NextUpdate = Callable[[object], tuple[object, Callable[[], bytes]] | None]
# Checks a request and returns what yields updates to those who made it.
OpenWatch = Callable[[bytes], NextUpdate]


class WatchStreams:
    """Watchers, each on a thread of its own: a slow one misses intermediate updates and never delays the others."""

    def __init__(self, errors: InternalErrors, *, room: int) -> None:
        self._errors = errors
        self._broadcaster = Broadcaster(room)
        self._first = FirstMessages()
        self._ending = False

    def handler(
        self, open_watch: OpenWatch, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a watching method."""

        def watch(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            opening, on_end = admitted(guard, context, open_watch, on_begin(context.invocation_metadata()))
            self._first.expect(context, context.cancel)
            try:
                with ending(context, on_end, self._errors):
                    request = next(requests, None)
                    if request is None:
                        raise NoRequest
                    self._first.came(context)
                    yield from self._updates(opening(request), context)
                    raise GOING_DOWN
            finally:
                self._first.came(context)

        return grpc.stream_stream_rpc_method_handler(watch)

    def wake(self) -> None:
        """Have every watcher look for an update, one after the other."""
        self._broadcaster.wake()

    def end(self) -> None:
        """End all with UNAVAILABLE, after a last look for an update."""
        self._ending = True
        self.wake()

    def _updates(self, next_update: NextUpdate, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Yield updates until the client is gone or the server ends.

        A watcher waits for its turn first, then takes the update that is the newest; gRPC resumes a generator once its
        update is sent.
        """
        # The client learns that its stream is open, also while there is nothing to send.
        context.send_initial_metadata(())
        watcher = self._broadcaster.add(context)
        try:
            sent: object = None
            active = context.add_callback(partial(self._broadcaster.leave, watcher))
            while active:
                watcher.turn.wait()
                watcher.turn.clear()
                ending = self._ending
                update = next_update(sent) if context.is_active() else None
                if update is not None:
                    sent, encode = update
                    encoded = encode()
                    self._broadcaster.sending(watcher, len(encoded))
                    yield encoded
                self._broadcaster.done(watcher)
                if ending:
                    return
                active = context.is_active()
        finally:
            self._broadcaster.remove(watcher)

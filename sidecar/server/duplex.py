"""Streams on which both sides send when they have something, as in xDS; each has two threads, which mostly wait."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

import grpc

from sidecar.errors import NoRequest
from sidecar.server.broadcaster import Broadcaster, Watcher
from sidecar.server.calls import GOING_DOWN, CallGuard, InternalErrors, OnBegin, admitted, ending
from sidecar.server.first_messages import FirstMessages
from sidecar.server.request_reader import RequestReader
from sidecar.trust.callers import Permit


class Session(Protocol):
    """The server's side of one stream. All its methods are called on one thread."""

    def receive(self, request: bytes, permit: Permit | None = None) -> None:
        """Take a request, within a permit if there is one. Raises SidecarError, which ends the stream."""

    def update(self) -> bytes | None:
        """Return the newest message, which counts as sent from now on; None if there is nothing to send."""

    def close(self) -> None:
        """Take note that the stream is over."""


# Begins a session with the client at an address, as gRPC writes it.
OpenSession = Callable[[str], Session]


class DuplexStreams:
    """Runs sessions, one at a time: a client that does not read misses intermediate updates and delays nobody.

    `room` is how many bytes of updates may be under way.
    """

    def __init__(self, errors: InternalErrors, *, room: int) -> None:
        self._errors = errors
        self._broadcaster = Broadcaster(room)
        self._first = FirstMessages()
        self._ending = False

    def handler(
        self, open_session: OpenSession, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method."""

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            session = open_session(context.peer())
            receive, on_end = admitted(guard, context, session.receive, on_begin(context.invocation_metadata()))
            self._first.expect(context, context.cancel)
            watcher = self._broadcaster.add(context)
            reader = RequestReader(requests, partial(self._broadcaster.ask, watcher))
            try:
                with ending(context, on_end, self._errors):
                    # The client learns that its stream is open, also while there is nothing to send.
                    context.send_initial_metadata(())
                    yield from self._updates(session, receive, reader, watcher, context)
            finally:
                self._first.came(context)
                self._broadcaster.remove(watcher)
                session.close()
                reader.close()

        return grpc.stream_stream_rpc_method_handler(handle)

    def wake(self) -> None:
        """Have every session look for an update, one after the other."""
        self._broadcaster.wake()

    def end(self) -> None:
        """End all with UNAVAILABLE."""
        self._ending = True
        self.wake()

    def _updates(
        self,
        session: Session,
        receive: Callable[[bytes], None],
        reader: RequestReader,
        watcher: Watcher,
        context: grpc.ServicerContext,
    ) -> Iterator[bytes]:
        """Yield updates until the client is gone or has nothing more to say. Raises GOING_DOWN after `end`.

        In its turn a session takes one request and sends one update; gRPC resumes a generator once that is sent.
        """
        asked = False
        active = context.add_callback(partial(self._broadcaster.leave, watcher))
        while active:
            watcher.turn.wait()
            watcher.turn.clear()
            request, over = reader.take()
            if request is not None:
                self._first.came(context)
                asked = True
                receive(request)
            if self._ending:
                raise GOING_DOWN
            update = session.update() if context.is_active() else None
            if update is not None:
                self._broadcaster.sending(watcher, len(update))
                yield update
            elif request is None and over:
                if not asked:
                    raise NoRequest
                return
            self._broadcaster.done(watcher)
            if request is not None or update is not None:
                self._broadcaster.ask(watcher)
            active = context.is_active()

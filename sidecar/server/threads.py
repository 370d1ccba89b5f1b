"""Calls on threads of a pool, by grpcio's public API only: works with every release, for more CPU per call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import grpc

from sidecar.errors import NoRequest, SidecarError
from sidecar.server.calls import CallGuard, InternalErrors, OnBegin, UnaryHandler, abort, admitted, ending
from sidecar.server.first_messages import FirstMessages
from sidecar.server.large_requests import LARGE_BYTES, LargeRequest, LargeRequests
from sidecar.server.request_reader import RequestReader
from sidecar.server.slots import Slots

# How long a rejected call may be held while clients learn that the server goes away.
_HELD_S = 1.0


class ThreadEngine:
    """Runs each call on a thread of the server's pool."""

    name: ClassVar[str] = "threads"
    cost: ClassVar[str] = "a unary call takes 1.5 times the CPU of direct handling, a streamed one 3 times"

    def __init__(self, errors: InternalErrors, large_bytes: int = LARGE_BYTES) -> None:
        self._errors = errors
        self._large = LargeRequests(large_bytes)

    def group(self, limit: int) -> ThreadedCalls:
        """Return a group of calls with this limit."""
        return ThreadedCalls(Slots(limit), self._errors, self._large)

    def reject(self, error: SidecarError) -> ThreadedRejection:
        """Return a handler that rejects calls with this error."""
        return ThreadedRejection(error)


class ThreadedCalls:
    """The calls of some methods, each on a thread; a stream has another one, which reads."""

    def __init__(self, slots: Slots, errors: InternalErrors, large: LargeRequests) -> None:
        self.slots = slots
        self._errors = errors
        self._large = large
        self._streams: set[RequestReader] = set()
        self._first = FirstMessages()
        self._lock = threading.Lock()
        self._ending = False

    @property
    def full(self) -> bool:
        """True while as many calls are open as the limit allows."""
        return self.slots.full

    @property
    def empty(self) -> bool:
        """True while no call is open."""
        return self.slots.empty

    def make_room(self) -> bool:
        """End the call that has waited longest for its message, if for too long; its place is free a little later."""
        self._first.end_oldest()
        return False

    def unary(
        self, answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers its one request with `answer`."""

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
            answering, on_end = admitted(guard, context, answer, on_begin(context.invocation_metadata()))
            self._first.expect(context, context.cancel)
            with ending(context, on_end, self._errors):
                try:
                    request = next(requests, None)
                finally:
                    self._first.came(context)
                if request is None:
                    raise NoRequest
                return self._made(answering(request))

        # As a stream of requests: gRPC then hands the call over before its message is there, so it can be counted.
        return grpc.stream_unary_rpc_method_handler(handle)

    def bidi(
        self, answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers each request of a stream with `answer`, in order."""

        def handle(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            answering, on_end = admitted(guard, context, answer, on_begin(context.invocation_metadata()))
            self._first.expect(context, context.cancel)
            reader = RequestReader(requests)
            with self._lock:
                self._streams.add(reader)
            if self._ending:
                reader.end()
            try:
                with ending(context, on_end, self._errors):
                    # The client learns that its stream is open before its first request is answered.
                    context.send_initial_metadata(())
                    for request in reader.read():
                        self._first.came(context)
                        yield self._made(answering(request))
            finally:
                self._first.came(context)
                reader.close()
                with self._lock:
                    self._streams.discard(reader)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _made(self, response: bytes | LargeRequest) -> bytes:
        """Return a response, after the work that makes it."""
        return self._large.answer(response) if isinstance(response, LargeRequest) else response

    def end(self) -> None:
        """End open streams with UNAVAILABLE after the answer at hand; unary calls finish."""
        self._ending = True
        with self._lock:
            streams = tuple(self._streams)
        for reader in streams:
            reader.end()


class ThreadedRejection:
    """Rejects calls of any shape with one error, on a thread of the server's pool."""

    def __init__(self, error: SidecarError) -> None:
        self._error = error
        self._released = threading.Event()
        self._released.set()
        self.handler: grpc.RpcMethodHandler[Any, Any] = grpc.stream_stream_rpc_method_handler(self._reject)

    def hold(self) -> None:
        """Keep calls waiting from now on."""
        self._released.clear()

    def release(self) -> None:
        """Reject the waiting calls, and new ones at once."""
        self._released.set()

    def _reject(self, _requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        self._released.wait(_HELD_S)
        abort(context, self._error)

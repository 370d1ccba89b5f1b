"""Calls on threads of a pool, by grpcio's public API only: works with every release, for more CPU per call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import grpc

from sidecar.errors import NoRequest, SidecarError
from sidecar.server.calls import GOING_DOWN, CallGuard, InternalErrors, OnBegin, UnaryHandler, abort, admitted, ending
from sidecar.server.first_messages import FirstMessages
from sidecar.server.large_requests import LARGE_BYTES, LargeRequest, LargeRequests
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
        self._streams: set[_Inbox] = set()
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
            inbox = _Inbox(requests)
            with self._lock:
                self._streams.add(inbox)
            if self._ending:
                inbox.end()
            try:
                with ending(context, on_end, self._errors):
                    # The client learns that its stream is open before its first request is answered.
                    context.send_initial_metadata(())
                    for request in inbox.read():
                        self._first.came(context)
                        yield self._made(answering(request))
            finally:
                self._first.came(context)
                inbox.close()
                with self._lock:
                    self._streams.discard(inbox)

        return grpc.stream_stream_rpc_method_handler(handle)

    def _made(self, response: bytes | LargeRequest) -> bytes:
        """Return a response, after the work that makes it."""
        return self._large.answer(response) if isinstance(response, LargeRequest) else response

    def end(self) -> None:
        """End open streams with UNAVAILABLE after the answer at hand; unary calls finish."""
        self._ending = True
        with self._lock:
            streams = tuple(self._streams)
        for inbox in streams:
            inbox.end()


class _Inbox:
    """The requests of a stream, read by a thread of its own, one ahead: so the stream can end while none comes."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._changed = threading.Condition()
        self._request: bytes | None = None
        self._error: Exception | None = None
        self._over = self._ending = self._closed = False
        threading.Thread(target=self._fill, name="stream", daemon=True).start()

    def read(self) -> Iterator[bytes]:
        """Yield the requests. Raises NotServing after `end`, and what gRPC raised where the client is gone."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._request is not None or self._over or self._ending)
                request, self._request = self._request, None
                self._changed.notify_all()
                if self._ending:
                    raise GOING_DOWN
                if request is None:
                    if self._error is not None:
                        raise self._error
                    return
            yield request

    def end(self) -> None:
        """Let no further request be read."""
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
        except Exception as error:  # noqa: BLE001 - raised on the thread that answers
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify_all()


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

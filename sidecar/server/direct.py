"""Calls answered on gRPC's own thread as their messages arrive: waking another thread costs more than an answer.

grpcio's public API delivers calls and messages to waiting threads only, so this module uses private names of grpcio.
`engines.py` checks at start that they still work as expected; docs/decisions/0902-direct-calls.md has the
measurements.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import grpc
from grpc import _server as grpc_server
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # compiled, without stubs

from sidecar.errors import NoRequest, RequestOverdue, SidecarError
from sidecar.server.calls import GOING_DOWN, CallGuard, InternalErrors, OnBegin, OnEnd, UnaryHandler
from sidecar.server.first_messages import WITHIN_S, FirstMessages
from sidecar.server.large_requests import LARGE_BYTES, Checkpoint, LargeRequest, LargeRequests

_NO_FLAGS = 0
_NO_AUTH: dict[bytes, list[bytes]] = {}
_CANCELLED = grpc_server._CANCELLED  # noqa: SLF001
_RECEIVING = grpc_server._RECEIVE_MESSAGE_TOKEN  # noqa: SLF001
_complete = grpc_server._possibly_finish_call  # noqa: SLF001
_is_active = grpc_server._is_rpc_state_active  # noqa: SLF001
_send_last = grpc_server._status  # noqa: SLF001

# What a completed operation returns: the call's state, and the callbacks to run once none of its operations is due.
_Completion = tuple[object, object]

# A call as grpcio holds it: the event that it began with, and its state. The stubs have neither.
RpcEvent = Any
RpcState = Any
Begin = Callable[[RpcEvent, RpcState], None]


class DirectEngine:
    """Answers calls on gRPC's own thread."""

    name: ClassVar[str] = "direct"
    cost: ClassVar[str] = "the thread that receives a call answers it"

    def __init__(self, errors: InternalErrors, large_bytes: int = LARGE_BYTES) -> None:
        self._errors = errors
        self._large = LargeRequests(large_bytes)

    def group(self, limit: int) -> DirectCalls:
        """Return a group of calls with this limit."""
        return DirectCalls(limit, self._errors, self._large)

    def reject(self, error: SidecarError) -> DirectRejection:
        """Return a handler that rejects calls with this error."""
        return DirectRejection(error, self._errors)


class DirectCalls:
    """The calls of some methods. They begin, proceed and are counted on gRPC's thread; other threads may call `end`."""

    slots = None

    def __init__(self, limit: int, errors: InternalErrors, large: LargeRequests) -> None:
        self._large = large
        self._limit = limit
        self._errors = errors
        self._open: set[_Call] = set()
        self._first = FirstMessages()
        self._ending = False

    @property
    def full(self) -> bool:
        """True while as many calls are open as the limit allows."""
        return len(self._open) >= self._limit

    @property
    def empty(self) -> bool:
        """True while no call is open."""
        return not self._open

    def make_room(self) -> bool:
        """End the call that has waited longest for its message, if for too long; return whether there was one."""
        return self._first.end_oldest()

    def unary(
        self, answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers its one request with `answer`."""
        return self._handler(_UnaryCall, answer, on_begin, guard)

    def bidi(
        self, answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers each request of a stream with `answer`, in order."""
        return self._handler(_BidiCall, answer, on_begin, guard)

    def _handler(
        self, kind: type[_Call], answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        def begin(event: RpcEvent, state: RpcState) -> None:
            on_end = on_begin(event.invocation_metadata)
            answering = answer
            if guard is not None:
                peer = event.call.peer().decode() if guard.peer is None else guard.peer
                # Without TLS there is nothing in it, and it costs a microsecond.
                auth = cygrpc.auth_context(event.call) if guard.tls else _NO_AUTH
                try:
                    answering, on_end = guard.admit(auth, peer, event.invocation_metadata, answer, on_end)
                except SidecarError as error:
                    on_end(error.grpc_status)
                    _reject(event, state, error)
                    return
            call = kind(self._open, self._errors, self._large, self._first, answering, event, state, on_end)
            self._first.expect(call, call.expire)
            call.begin()
            self._open.add(call)
            if self._ending:
                call.end()

        return _handler(begin, self._errors)

    def end(self) -> None:
        """End open streams with UNAVAILABLE after the answer at hand; unary calls finish."""
        self._ending = True
        for call in tuple(self._open):
            call.end()


class DirectRejection:
    """Ends calls of any shape with one error, without reading their requests."""

    def __init__(self, error: SidecarError, errors: InternalErrors) -> None:
        self._error = error
        self._held: list[tuple[RpcEvent, RpcState]] | None = None
        self._lock = threading.Lock()
        self.handler = _handler(self._begin, errors)

    def hold(self) -> None:
        """Keep calls waiting from now on."""
        with self._lock:
            self._held = []

    def release(self) -> None:
        """Reject the waiting calls, and new ones at once."""
        with self._lock:
            held, self._held = self._held or (), None
        for event, state in held:
            _reject(event, state, self._error)

    def _begin(self, event: RpcEvent, state: RpcState) -> None:
        with self._lock:
            if self._held is not None:
                self._held.append((event, state))
                return
        _reject(event, state, self._error)


def _handler(begin: Begin, errors: InternalErrors) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler of a method of any shape that has `begin` called on gRPC's thread for each of its calls."""

    def on_a_thread(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        raise AssertionError("gRPC ran a call on its own pool instead of the method's")

    on_a_thread.experimental_thread_pool = _ArrivalPool(begin, errors)  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(on_a_thread)


def _reject(event: RpcEvent, state: RpcState, error: SidecarError) -> None:
    """End a call with the status and the message of an error."""
    with state.condition:
        state.code = grpc.StatusCode[error.grpc_status]
        state.details = str(error).encode()
        _send_last(event, state, None)


class _ArrivalPool(ThreadPoolExecutor):
    """Calls `begin` where gRPC would have a thread answer the call."""

    def __init__(self, begin: Begin, errors: InternalErrors) -> None:
        super().__init__(max_workers=1)
        self._begin = begin
        self._errors = errors

    def submit(self, _run: object, _work: object, event: RpcEvent, state: RpcState, *_how: object) -> None:  # type: ignore[override]  # only gRPC calls it, always like this
        try:
            self._begin(event, state)
        except Exception:  # noqa: BLE001 - it would end gRPC's thread, and so all calls
            self._errors.error()
            event.call.cancel()


class _Call(ABC):
    """One call, called back for each message. Only the holder of its state's `condition` changes how it proceeds."""

    __slots__ = ("_answer", "_errors", "_event", "_first", "_large", "_on_end", "_open", "_state")

    def __init__(
        self,
        open_calls: set[_Call],
        errors: InternalErrors,
        large: LargeRequests,
        first: FirstMessages,
        answer: UnaryHandler,
        event: RpcEvent,
        state: RpcState,
        on_end: OnEnd,
    ) -> None:
        self._open = open_calls
        self._errors = errors
        self._large = large
        self._first = first
        self._answer = answer
        self._event = event
        self._state = state
        self._on_end = on_end

    def begin(self) -> None:
        """Request the first message."""
        self._receive()

    def expire(self) -> None:
        """End: its first message has not come."""
        with self._state.condition:
            if _is_active(self._state):
                self._reject(RequestOverdue(f"no complete request came within {WITHIN_S:g} s"))
        self._open.discard(self)

    @abstractmethod
    def end(self) -> None:
        """End now, unless the call has one request only."""

    @abstractmethod
    def _respond(self, response: bytes) -> bool:
        """Send the response; return whether another message is to come."""

    @abstractmethod
    def _end_of_requests(self) -> SidecarError | None:
        """Return the error for a client that has closed its side, None where that is legal."""

    def _receive(self, *before: object) -> None:
        """Request the next message, after other operations."""
        operations = (*before, cygrpc.ReceiveMessageOperation(_NO_FLAGS))
        self._event.call.start_server_batch(operations, self._received)
        self._state.due.add(_RECEIVING)

    def _received(self, event: RpcEvent) -> _Completion:
        state = self._state
        self._first.came(self)
        more: bool | LargeRequest = False
        try:
            with state.condition:
                more = self._process(event.batch_operations[-1].message())
                if more is True:
                    return None, ()
        except Exception:  # noqa: BLE001 - it would end gRPC's thread, and so all calls
            self._errors.error()
            self._event.call.cancel()
            self._on_end("UNKNOWN")
        with state.condition:
            completion = _complete(state, _RECEIVING)
        if isinstance(more, LargeRequest):
            # Only now: the work may begin to receive the next message before this returns.
            self._defer(more)
        else:
            self._open.discard(self)
        return completion

    def _defer(self, request: LargeRequest) -> None:
        """Have a large request answered on the thread for them."""
        try:
            self._large.submit(request.size, partial(self._work, request))
        except SidecarError as error:
            self._deferred_end(None, error)

    def _work(self, request: LargeRequest, checkpoint: Checkpoint) -> None:
        """Answer a large request, unless its client is gone."""
        response: bytes | None = None
        error: SidecarError | None = None
        if _is_active(self._state):
            try:
                response = request.make(checkpoint)
            except SidecarError as refusal:
                error = refusal
            except Exception:  # noqa: BLE001 - the client gets no more than that
                error = self._errors.error()
        self._deferred_end(response, error)

    def _deferred_end(self, response: bytes | None, error: SidecarError | None) -> None:
        more = False
        with self._state.condition:
            if not _is_active(self._state):
                if not self._state.statused:
                    self._on_end("CANCELLED")
            elif error is not None:
                self._reject(error)
            elif response is not None:
                more = self._respond(response)
        if not more:
            self._open.discard(self)

    def _process(self, message: bytes | None) -> bool | LargeRequest:
        """Answer a message, None at the end of the requests; return whether another one is to come.

        The work is returned where another thread is to do it.
        """
        if not _is_active(self._state):
            # Either the client is gone, or `end` was first.
            if not self._state.statused:
                self._on_end("CANCELLED")
            return False
        if message is None:
            self._finish(self._end_of_requests())
            return False
        try:
            response = self._answer(message)
        except SidecarError as error:
            self._reject(error)
        except Exception:  # noqa: BLE001 - the client gets no more than that
            self._reject(self._errors.error())
        else:
            return response if isinstance(response, LargeRequest) else self._respond(response)
        return False

    def _finish(self, error: SidecarError | None) -> None:
        # Whether the client has closed its side or is gone is known when the call is over.
        self._state.callbacks.append(partial(self._over, error.grpc_status if error else "OK"))
        if error is None:
            _send_last(self._event, self._state, None)
        else:
            _reject(self._event, self._state, error)

    def _over(self, code: str) -> None:
        self._on_end("CANCELLED" if self._state.client is _CANCELLED else code)

    def _reject(self, error: SidecarError) -> None:
        self._on_end(error.grpc_status)
        _reject(self._event, self._state, error)


class _UnaryCall(_Call):
    """A call of one request and one response."""

    __slots__ = ()

    def end(self) -> None:
        """Let it finish."""

    def _respond(self, response: bytes) -> bool:
        _send_last(self._event, self._state, response)
        self._on_end("OK")
        return False

    def _end_of_requests(self) -> SidecarError:
        return NoRequest()


class _BidiCall(_Call):
    """A call of many requests, each with its response."""

    __slots__ = ()

    def begin(self) -> None:
        """Request the first message, and let the client know that the stream is open."""
        self._state.initial_metadata_allowed = False
        self._receive(cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS))

    def end(self) -> None:
        """End with UNAVAILABLE."""
        with self._state.condition:
            if _is_active(self._state):
                self._reject(GOING_DOWN)

    def _respond(self, response: bytes) -> bool:
        # One batch: a single completion means that the response is on its way and the next request has arrived.
        self._receive(cygrpc.SendMessageOperation(response, _NO_FLAGS))
        return True

    def _end_of_requests(self) -> None:
        return None

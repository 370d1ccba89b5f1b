"""Calls that are answered on gRPC's own thread as their messages come: waking another one costs more than an answer.

grpcio has no public way to be told of a call or of a message but to have a thread wait for it. So this uses what the
parts of grpcio itself use to talk to each other; docs/decisions/0902-direct-calls.md tells what that gives and what
holds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import grpc
from grpc import _server as insides
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # compiled, without stubs

from sidecar.errors import SidecarError
from sidecar.server.calls import GOING_DOWN, InternalErrors, OnBegin, OnEnd, UnaryHandler

# A call whose client sends nothing before it says that there is nothing more, as gRPC itself says it.
_NO_REQUEST = "exactly one request message is required"

_NO_FLAGS = 0
_CANCELLED = insides._CANCELLED  # noqa: SLF001
_RECEIVING = insides._RECEIVE_MESSAGE_TOKEN  # noqa: SLF001
_done = insides._possibly_finish_call  # noqa: SLF001
_is_active = insides._is_rpc_state_active  # noqa: SLF001
_send_last = insides._status  # noqa: SLF001

# What a completed operation leaves behind: a call's state and who is to be told, once nothing of it is due any more.
_Done = tuple[object, object]

# A call as grpcio has it: the event that it began with, and its state. Neither is in the stubs.
RpcEvent = Any
RpcState = Any
Begin = Callable[[RpcEvent, RpcState], None]


def directly(begin: Begin, defects: InternalErrors) -> grpc.RpcMethodHandler[Any, Any]:
    """Return the handler of a method of any shape, of whose calls `begin` is told on gRPC's own thread."""

    def on_a_thread(_request: bytes, _context: grpc.ServicerContext) -> bytes:
        raise AssertionError("gRPC gave a call to a thread, and not to the pool of its method")

    on_a_thread.experimental_thread_pool = _ArrivalPool(begin, defects)  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(on_a_thread)


def refuse(event: RpcEvent, state: RpcState, error: SidecarError) -> None:
    """End a call with the status and the message of an error."""
    with state.condition:
        state.code = grpc.StatusCode[error.grpc_status]
        state.details = str(error).encode()
        _send_last(event, state, None)


class _ArrivalPool(ThreadPoolExecutor):
    """Tells of a call where gRPC would have a thread answer it."""

    def __init__(self, begin: Begin, defects: InternalErrors) -> None:
        super().__init__(max_workers=1)
        self._begin = begin
        self._defects = defects

    def submit(self, _run: object, _work: object, event: RpcEvent, state: RpcState, *_how: object) -> None:  # type: ignore[override]  # only gRPC calls it, always so
        try:
            self._begin(event, state)
        except Exception:  # noqa: BLE001 - it would end gRPC's thread, and so all calls
            self._defects.error()
            event.call.cancel()


class NoRequest(SidecarError):
    """A call ended before its request came."""

    grpc_status: ClassVar[str] = "UNIMPLEMENTED"


class DirectCalls:
    """The calls of some methods that are under way; `full` tells that there are `limit`.

    Calls begin, go on and are counted on one thread, gRPC's; only `end` and the properties are for others.
    """

    def __init__(self, limit: int, defects: InternalErrors) -> None:
        self._limit = limit
        self._defects = defects
        self._open: set[_Call] = set()
        self._ending = False

    @property
    def full(self) -> bool:
        """True while there are as many calls as there may be."""
        return len(self._open) >= self._limit

    @property
    def empty(self) -> bool:
        """True while there are none."""
        return not self._open

    def unary(self, answer: UnaryHandler, begun: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers its request by `answer`."""
        return self._handler(_UnaryCall, answer, begun)

    def conversation(self, answer: UnaryHandler, begun: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers each of its requests by `answer`, in order.

        A bad request ends its stream with the error's status.
        """
        return self._handler(_BidiCall, answer, begun)

    def _handler(self, kind: type[_Call], answer: UnaryHandler, begun: OnBegin) -> grpc.RpcMethodHandler[Any, Any]:
        def begin(event: RpcEvent, state: RpcState) -> None:
            call = kind(self._open, self._defects, answer, event, state, begun(event.invocation_metadata))
            call.begin()
            self._open.add(call)
            if self._ending:
                call.end()

        return directly(begin, self._defects)

    def end(self) -> None:
        """End those that are conversations, with UNAVAILABLE, after the answer at hand."""
        self._ending = True
        for call in tuple(self._open):
            call.end()


class _Call(ABC):
    """One call, which is told of each message; whoever holds its state's `condition` alone says how it goes on."""

    __slots__ = ("_answer", "_defects", "_ended", "_event", "_open", "_state")

    def __init__(
        self,
        under_way: set[_Call],
        defects: InternalErrors,
        answer: UnaryHandler,
        event: RpcEvent,
        state: RpcState,
        ended: OnEnd,
    ) -> None:
        self._open = under_way
        self._defects = defects
        self._answer = answer
        self._event = event
        self._state = state
        self._ended = ended

    def begin(self) -> None:
        """Ask for the first message."""
        self._receive()

    @abstractmethod
    def end(self) -> None:
        """End now, if the call is one that waits for more than one message."""

    @abstractmethod
    def _go_on(self, response: bytes) -> bool:
        """Send the response; return whether there is to be another message."""

    @abstractmethod
    def _no_more(self) -> SidecarError | None:
        """Return what is said to a client that has nothing more to say."""

    def _receive(self, *before: object) -> None:
        """Have the next message come, and other operations done before."""
        operations = (*before, cygrpc.ReceiveMessageOperation(_NO_FLAGS))
        self._event.call.start_server_batch(operations, self._received)
        self._state.due.add(_RECEIVING)

    def _received(self, event: RpcEvent) -> _Done:
        state = self._state
        try:
            with state.condition:
                if self._take(event.batch_operations[-1].message()):
                    return None, ()
        except Exception:  # noqa: BLE001 - it would end gRPC's thread, and so all calls
            self._defects.error()
            self._event.call.cancel()
            self._ended("UNKNOWN")
        self._open.discard(self)
        with state.condition:
            return _done(state, _RECEIVING)

    def _take(self, message: bytes | None) -> bool:
        """Answer a message, None for the last one; return whether there is to be another."""
        if not _is_active(self._state):
            # Either the client has gone, or `end` was quicker.
            if not self._state.statused:
                self._ended("CANCELLED")
            return False
        if message is None:
            self._finish(self._no_more())
            return False
        try:
            response = self._answer(message)
        except SidecarError as error:
            self._refuse(error)
        except Exception:  # noqa: BLE001 - the client is told no more than that
            self._refuse(self._defects.error())
        else:
            return self._go_on(response)
        return False

    def _finish(self, error: SidecarError | None) -> None:
        # Whether the client has ended its side or has gone is known when the call is over.
        self._state.callbacks.append(partial(self._over, error.grpc_status if error else "OK"))
        if error is None:
            _send_last(self._event, self._state, None)
        else:
            refuse(self._event, self._state, error)

    def _over(self, code: str) -> None:
        self._ended("CANCELLED" if self._state.client is _CANCELLED else code)

    def _refuse(self, error: SidecarError) -> None:
        self._ended(error.grpc_status)
        refuse(self._event, self._state, error)


class _UnaryCall(_Call):
    """A call of one request and one response."""

    __slots__ = ()

    def end(self) -> None:
        """Let it come to its answer."""

    def _go_on(self, response: bytes) -> bool:
        _send_last(self._event, self._state, response)
        self._ended("OK")
        return False

    def _no_more(self) -> SidecarError:
        return NoRequest(_NO_REQUEST)


class _BidiCall(_Call):
    """A call of many requests, each with its response."""

    __slots__ = ()

    def begin(self) -> None:
        """Ask for the first message, and let the client know that it is heard."""
        self._state.initial_metadata_allowed = False
        self._receive(cygrpc.SendInitialMetadataOperation(None, _NO_FLAGS))

    def end(self) -> None:
        """End with UNAVAILABLE."""
        with self._state.condition:
            if _is_active(self._state):
                self._refuse(GOING_DOWN)

    def _go_on(self, response: bytes) -> bool:
        # Both at once: one completion tells that the response is on its way and that the next request is there.
        self._receive(cygrpc.SendMessageOperation(response, _NO_FLAGS))
        return True

    def _no_more(self) -> None:
        return None

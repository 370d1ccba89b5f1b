"""Calls that are answered on gRPC's own thread as their messages come: waking another one costs more than an answer.

grpcio has no public way to be told of a message but to have a thread wait for it. So this uses what the parts of grpcio
itself use to talk to each other; docs/decisions/0902-direct-calls.md tells what that gives and what holds it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import grpc
from grpc import _server as insides
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # compiled, without stubs

from sidecar.errors import SidecarError
from sidecar.server.calls import AT_ONCE, GOING_DOWN, Answer, Begun, Defects, Ended, Send, finish, on_threads_of

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


class NoRequest(SidecarError):
    """A call ended before its request came."""

    grpc_status: ClassVar[str] = "UNIMPLEMENTED"


class DirectCalls:
    """The calls of some methods that are under way; `full` tells that there are `limit`.

    Calls begin, go on and are counted on one thread, gRPC's; only `end` and the properties are for others.
    """

    def __init__(self, limit: int, defects: Defects) -> None:
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

    def unary(self, answer: Answer, begun: Begun) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers its request by `answer`."""
        return self._handler(_Unary, answer, begun)

    def conversation(self, answer: Answer, begun: Begun) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers each of its requests by `answer`, in order.

        A bad request ends its stream with the error's status.
        """
        return self._handler(_Conversation, answer, begun)

    def _handler(self, kind: type[_Call], answer: Answer, begun: Begun) -> grpc.RpcMethodHandler[Any, Any]:
        def begin(requests: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
            call = kind(self._open, self._defects, answer, requests, context, send, begun(context))
            self._open.add(call)
            call.begin()
            if self._ending:
                call.end()

        # As a stream of requests, since of any other shape gRPC would have a thread wait for the request.
        return grpc.stream_stream_rpc_method_handler(on_threads_of(AT_ONCE, begin))

    def end(self) -> None:
        """End those that are conversations, with UNAVAILABLE, after the answer at hand."""
        self._ending = True
        for call in tuple(self._open):
            call.end()


class _Call(ABC):
    """One call, which is told of each message; whoever holds its state's `condition` alone says how it goes on."""

    __slots__ = ("_answer", "_call", "_context", "_defects", "_ended", "_open", "_send", "_state")

    def __init__(
        self,
        under_way: set[_Call],
        defects: Defects,
        answer: Answer,
        requests: Any,  # noqa: ANN401 - gRPC's iterator, of which no more than the insides are used
        context: grpc.ServicerContext,
        send: Send,
        ended: Ended,
    ) -> None:
        self._open = under_way
        self._defects = defects
        self._answer = answer
        self._context: Any = context
        self._send = send
        self._ended = ended
        self._state = requests._state  # noqa: SLF001
        self._call = requests._call  # noqa: SLF001

    def begin(self) -> None:
        """Ask for the first message."""
        self._state.due.add(_RECEIVING)
        self._call.start_server_batch((cygrpc.ReceiveMessageOperation(_NO_FLAGS),), self._received)

    @abstractmethod
    def end(self) -> None:
        """End now, if the call is one that waits for more than one message."""

    @abstractmethod
    def _go_on(self, response: bytes) -> bool:
        """Send the response; return whether there is to be another message."""

    @abstractmethod
    def _no_more(self) -> SidecarError | None:
        """Return what is said to a client that has nothing more to say."""

    def _received(self, event: Any) -> _Done:  # noqa: ANN401 - not in the stubs
        state = self._state
        try:
            with state.condition:
                if self._take(event.batch_operations[-1].message()):
                    return None, ()
        except Exception:  # noqa: BLE001 - it would end gRPC's thread, and so all calls
            self._defects.error()
            self._call.cancel()
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
            error = self._no_more()
            # Whether the client has ended its side or has gone is known when the call is over.
            self._context.add_callback(partial(self._over, error.grpc_status if error else "OK"))
            finish(self._context, self._send, error)
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

    def _over(self, code: str) -> None:
        self._ended("CANCELLED" if self._state.client is _CANCELLED else code)

    def _refuse(self, error: SidecarError) -> None:
        self._ended(error.grpc_status)
        finish(self._context, self._send, error)


class _Unary(_Call):
    """A call of one request and one response."""

    __slots__ = ()

    def end(self) -> None:
        """Let it come to its answer."""

    def _go_on(self, response: bytes) -> bool:
        _send_last(self._context._rpc_event, self._state, response)  # noqa: SLF001
        self._ended("OK")
        return False

    def _no_more(self) -> SidecarError:
        return NoRequest(_NO_REQUEST)


class _Conversation(_Call):
    """A call of many requests, each with its response."""

    __slots__ = ()

    def begin(self) -> None:
        """Ask for the first message, and let the client know that it is heard."""
        self._context.send_initial_metadata(())
        super().begin()

    def end(self) -> None:
        """End with UNAVAILABLE."""
        with self._state.condition:
            if _is_active(self._state):
                self._refuse(GOING_DOWN)

    def _go_on(self, response: bytes) -> bool:
        sending = cygrpc.SendMessageOperation(response, _NO_FLAGS)
        # Both at once: one completion tells that the response is on its way and that the next request is there.
        self._call.start_server_batch((sending, cygrpc.ReceiveMessageOperation(_NO_FLAGS)), self._received)
        return True

    def _no_more(self) -> None:
        return None

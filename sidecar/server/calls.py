"""How calls reach the code that answers them: bytes in, bytes out, errors as statuses, an excess refused at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import grpc

from sidecar.errors import NotServing, SidecarError
from sidecar.tally import MethodTally

log = logging.getLogger(__name__)

# A defect that each call runs into is logged with its traceback no more often than this.
_LOG_EVERY_S = 60.0

Answer = Callable[[bytes], bytes]
Send = Callable[[bytes | None], None]


class Overloaded(SidecarError):
    """More calls come than the sidecar is set to take."""

    grpc_status: ClassVar[str] = "RESOURCE_EXHAUSTED"


GOING_DOWN = NotServing("the sidecar is going down")


class Pool(Protocol):
    """What calls run on."""

    @property
    def full(self) -> bool:
        """True while it has as many calls as it may."""


@dataclass(frozen=True, slots=True)
class Method:
    """How one method is called, its pool, its tally, and whether it is still answered while the server goes down."""

    handler: grpc.RpcMethodHandler[Any, Any]
    pool: Pool
    tally: MethodTally
    to_the_end: bool = False


def finish(context: grpc.ServicerContext, send: Send, error: SidecarError | None = None) -> None:
    """End a streaming call: well, or with the status and the message of an error."""
    if error is not None:
        context.set_code(grpc.StatusCode[error.grpc_status])
        context.set_details(str(error))
    send(None)


class Defects:
    """Turns what nobody foresaw into INTERNAL, and logs it now and then: neither the client nor the log is flooded."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged = float("-inf")
        self._more = 0

    def error(self) -> SidecarError:
        """Return what the client is told of the exception at hand."""
        now = self._clock()
        if now - self._logged >= _LOG_EVERY_S:
            log.error("a call failed by a defect (%d more since the last report)", self._more, exc_info=True)  # noqa: LOG014 - called where one is handled
            self._logged, self._more = now, 0
        else:
            self._more += 1
        return SidecarError("a defect of the sidecar; its log has more")


def unary(answer: Answer, defects: Defects, tally: MethodTally) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    """Return the behaviour of a unary call that `answer` answers."""

    def behaviour(request: bytes, context: grpc.ServicerContext) -> bytes:  # noqa: RET503 - abort does not return
        began = time.perf_counter()
        try:
            response = answer(request)
        except SidecarError as error:
            refusal = error
        except Exception:  # noqa: BLE001 - gRPC would tell the client its text
            refusal = defects.error()
        else:
            tally.answered(began)
            return response
        tally.ended(refusal.grpc_status)
        context.abort(grpc.StatusCode[refusal.grpc_status], str(refusal))

    return behaviour


class Conversations:
    """Streams of requests that are answered one by one, in order, each on a thread of its own.

    A bad request ends its stream with the error's status.
    """

    def __init__(self, pool: ThreadPoolExecutor, defects: Defects) -> None:
        self._pool = pool
        self._defects = defects
        self._open: set[_Conversation] = set()
        self._lock = threading.Lock()
        self._ending = False

    def behaviour(self, answer: Answer) -> Callable[..., None]:
        """Return the behaviour of a method whose every request `answer` answers."""

        def converse(requests: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
            conversation = _Conversation(context, send)
            with self._lock:
                ending = self._ending
                self._open.add(conversation)
            if ending:
                conversation.end()
            try:
                conversation.run(requests, answer)
            except SidecarError as error:
                refusal = error
            except grpc.RpcError:
                # The client is gone, which gRPC raises and wants to see again.
                raise
            except Exception:  # noqa: BLE001 - gRPC would tell the client its text
                refusal = self._defects.error()
            else:
                return
            finally:
                with self._lock:
                    self._open.discard(conversation)
            finish(context, send, refusal)

        return on_threads_of(self._pool, converse)

    def end(self) -> None:
        """End them all with UNAVAILABLE: those who wait for a request now, the others after the answer at hand."""
        with self._lock:
            self._ending = True
            conversations = tuple(self._open)
        for conversation in conversations:
            conversation.end()


class _Conversation:
    """One stream, which its own thread serves and another one may end while it waits for a request."""

    def __init__(self, context: grpc.ServicerContext, send: Send) -> None:
        self._context = context
        self._send = send
        self._lock = threading.Lock()
        self._waiting = True
        self._ending = False

    def run(self, requests: Iterator[bytes], answer: Answer) -> None:
        for request in requests:
            with self._lock:
                if self._ending:
                    return
                self._waiting = False
            self._send(answer(request))
            with self._lock:
                if self._ending:
                    finish(self._context, self._send, GOING_DOWN)
                    return
                self._waiting = True
        with self._lock:
            if not self._ending:
                finish(self._context, self._send)

    def end(self) -> None:
        with self._lock:
            self._ending = True
            if self._waiting:
                # The status goes out, and the thread that waits for a request is told that there is none.
                finish(self._context, self._send, GOING_DOWN)


def on_threads_of(pool: ThreadPoolExecutor, behaviour: Callable[..., None]) -> Callable[..., None]:
    """Have gRPC run a streaming behaviour on threads of `pool` and give it a `send` as its last argument.

    `send(message)` returns when the message is on its way, `send(None)` ends the call.
    """

    def marked(argument: object, context: grpc.ServicerContext, send: Send) -> None:
        behaviour(argument, context, send)

    marked.experimental_thread_pool = pool  # type: ignore[attr-defined]
    marked.experimental_non_blocking = True  # type: ignore[attr-defined]
    return marked


def counted(behaviour: Callable[..., None], tally: MethodTally) -> Callable[..., None]:
    """Return a streaming behaviour, as `on_threads_of` makes it, that counts how its calls end."""

    def call(argument: object, context: Any, send: Send) -> None:  # noqa: ANN401 - its `code` is not in the stubs
        ended = False

        def sending(message: bytes | None) -> None:
            nonlocal ended
            if message is None and not ended:
                ended = True
                code = context.code()
                tally.ended("CANCELLED" if not context.is_active() else code.name if code else "OK")
            send(message)

        try:
            behaviour(argument, context, sending)
        finally:
            if not ended:
                tally.ended("CANCELLED")

    vars(call).update(vars(behaviour))
    return call


class _AtOnce(ThreadPoolExecutor):
    """Runs work where it is handed over: gRPC's own thread. Only for work that waits for nothing."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:  # noqa: ANN401 - whatever gRPC passes
        work(*arguments, **keywords)
        done: Future[Any] = Future()
        done.set_result(None)
        return done


class Refusal:
    """A handler that refuses calls of any shape with one error, without reading their requests, so without a thread.

    Between `hold` and `release` it lets them wait for that.
    """

    def __init__(self, error: SidecarError) -> None:
        self._error = error
        self._held: list[tuple[grpc.ServicerContext, Send]] | None = None
        self._lock = threading.Lock()
        # As a stream of requests, since of any other shape gRPC would wait for the request first.
        behaviour = on_threads_of(_AtOnce(max_workers=1), self._refuse)
        self.handler = grpc.stream_stream_rpc_method_handler(behaviour)

    def hold(self) -> None:
        """Keep calls waiting from now on."""
        with self._lock:
            self._held = []

    def release(self) -> None:
        """Refuse those who wait, and from now on at once."""
        with self._lock:
            held, self._held = self._held or (), None
        for context, send in held:
            finish(context, send, self._error)

    def _refuse(self, _requests: Iterator[bytes], context: grpc.ServicerContext, send: Send) -> None:
        with self._lock:
            if self._held is not None:
                self._held.append((context, send))
                return
        finish(context, send, self._error)


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Finds the handler of a call, or one that refuses it; runs on gRPC's own thread, so it must be quick."""

    def __init__(self, methods: Mapping[str, Method]) -> None:
        self._methods = methods
        self._going_down = False
        self._excess = Refusal(Overloaded("as many calls are under way as the sidecar allows: try again later"))
        self.farewell = Refusal(GOING_DOWN)

    def go_down(self) -> None:
        """Give new calls to `farewell`, but for those of methods that are answered to the end."""
        self._going_down = True

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call, None where there is no such method."""
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        method.tally.started.tick()
        if self._going_down and not method.to_the_end:
            method.tally.ended("UNAVAILABLE")
            return self.farewell.handler
        if method.pool.full:
            method.tally.ended("RESOURCE_EXHAUSTED")
            return self._excess.handler
        return method.handler

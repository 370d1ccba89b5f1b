"""How calls reach the code that answers them: by method, with errors as statuses, an excess refused at once."""

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
# Is told the name of the status that a call ended with.
Ended = Callable[[str], None]
# Is told that a call has begun.
Begun = Callable[[grpc.ServicerContext], Ended]


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


def on_threads_of(pool: ThreadPoolExecutor, behaviour: Callable[..., None]) -> Callable[..., None]:
    """Have gRPC run a streaming behaviour on threads of `pool` and give it a `send` as its last argument.

    `send(message)` returns when the message is on its way, `send(None)` ends the call.
    """

    def marked(argument: object, context: grpc.ServicerContext, send: Send) -> None:
        behaviour(argument, context, send)

    marked.experimental_thread_pool = pool  # type: ignore[attr-defined]
    marked.experimental_non_blocking = True  # type: ignore[attr-defined]
    return marked


def timed(tally: MethodTally) -> Begun:
    """Return what counts how calls end, and how long those took that ended well."""

    def begun(_context: grpc.ServicerContext) -> Ended:
        began = time.perf_counter()

        def ended(code: str) -> None:
            if code == "OK":
                tally.answered(began)
            else:
                tally.ended(code)

        return ended

    return begun


def counted(tally: MethodTally) -> Begun:
    """Return what counts how calls end."""
    return lambda _context: tally.ended


def both(first: Begun, second: Begun) -> Begun:
    """Return what tells both."""

    def begun(context: grpc.ServicerContext) -> Ended:
        one, other = first(context), second(context)

        def ended(code: str) -> None:
            one(code)
            other(code)

        return ended

    return begun


class _AtOnce(ThreadPoolExecutor):
    """Runs work where it is handed over: gRPC's own thread. Only for work that waits for nothing."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:  # noqa: ANN401 - whatever gRPC passes
        work(*arguments, **keywords)
        done: Future[Any] = Future()
        done.set_result(None)
        return done


AT_ONCE = _AtOnce(max_workers=1)


class Refusal:
    """A handler that refuses calls of any shape with one error, without reading their requests, so without a thread.

    Between `hold` and `release` it lets them wait for that.
    """

    def __init__(self, error: SidecarError) -> None:
        self._error = error
        self._held: list[tuple[grpc.ServicerContext, Send]] | None = None
        self._lock = threading.Lock()
        # As a stream of requests, since of any other shape gRPC would wait for the request first.
        behaviour = on_threads_of(AT_ONCE, self._refuse)
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

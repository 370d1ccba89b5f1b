"""What all calls have in common: errors become statuses, calls are counted when they end, some have threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from sidecar.counters import MethodStats
from sidecar.errors import NotServing, SidecarError

log = logging.getLogger(__name__)

# A defect that each call runs into is logged with its traceback no more often than this.
_LOG_EVERY_S = 60.0

UnaryHandler = Callable[[bytes], bytes]
Send = Callable[[bytes | None], None]
# Is told the name of the status that a call ended with.
OnEnd = Callable[[str], None]
# What a client said before its request: names and values, those whose name ends with -bin as bytes.
Metadata = Sequence[tuple[str, str | bytes]]
# Is told that a call has begun.
OnBegin = Callable[[Metadata], OnEnd]

GOING_DOWN = NotServing("the sidecar is going down")


def end_call(context: grpc.ServicerContext, send: Send, error: SidecarError | None = None) -> None:
    """End a streaming call: well, or with the status and the message of an error."""
    if error is not None:
        context.set_code(grpc.StatusCode[error.grpc_status])
        context.set_details(str(error))
    send(None)


class InternalErrors:
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


def run_on(pool: ThreadPoolExecutor, behaviour: Callable[..., None]) -> Callable[..., None]:
    """Have gRPC run a streaming behaviour on threads of `pool` and give it a `send` as its last argument.

    `send(message)` returns when the message is on its way, `send(None)` ends the call.
    """

    def marked(argument: object, context: grpc.ServicerContext, send: Send) -> None:
        behaviour(argument, context, send)

    marked.experimental_thread_pool = pool  # type: ignore[attr-defined]
    marked.experimental_non_blocking = True  # type: ignore[attr-defined]
    return marked


def timed(stats: MethodStats) -> OnBegin:
    """Return what counts how calls end, and how long those took that ended well."""

    def begun(_metadata: Metadata) -> OnEnd:
        began = time.perf_counter()

        def ended(code: str) -> None:
            if code == "OK":
                stats.answered(began)
            else:
                stats.ended(code)

        return ended

    return begun


def counted(stats: MethodStats) -> OnBegin:
    """Return what counts how calls end."""
    return lambda _metadata: stats.ended


def combine(first: OnBegin, second: OnBegin) -> OnBegin:
    """Return what tells both."""

    def begun(metadata: Metadata) -> OnEnd:
        one, other = first(metadata), second(metadata)

        def ended(code: str) -> None:
            one(code)
            other(code)

        return ended

    return begun

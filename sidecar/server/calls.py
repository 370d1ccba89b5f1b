"""The parts that all calls share: callbacks, counting, and the status for an unexpected exception."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn, Protocol, TypeVar

import grpc

from sidecar.counters import MethodStats
from sidecar.errors import NotServing, SidecarError
from sidecar.server.large_requests import LargeRequest
from sidecar.server.slots import Slots

log = logging.getLogger(__name__)

# A defect that every call hits is logged with its traceback no more often than this.
_LOG_EVERY_S = 60.0

# Returns the response to a request, or the work that makes it, for another thread.
UnaryHandler = Callable[[bytes], bytes | LargeRequest]
# Called with the name of the status that a call ended with.
OnEnd = Callable[[str], None]
# A call's metadata: names and values, bytes where the name ends in -bin.
Metadata = Sequence[tuple[str, str | bytes]]
# Called when a call begins; returns what to call when it ends.
OnBegin = Callable[[Metadata], OnEnd]

T = TypeVar("T")


class CallGuard(Protocol):
    """Decides who may make a call; with `tls` by the identities that the connection authenticated."""

    @property
    def tls(self) -> bool:
        """Whether there may be certificates."""

    @property
    def peer(self) -> str | None:
        """The kind of peer where there is only one, such as `unix:`; None where it differs by call."""

    def admit(
        self,
        auth: Mapping[bytes, Sequence[bytes]],
        peer: str,
        metadata: Metadata,
        answer: Callable[..., T],
        on_end: OnEnd,
    ) -> tuple[Callable[[bytes], T], OnEnd]:
        """Return the handler of the call's requests and its end callback. Raises SidecarError for a refused call."""


def admitted(
    guard: CallGuard | None, context: grpc.ServicerContext, answer: Callable[..., T], on_end: OnEnd
) -> tuple[Callable[[bytes], T], OnEnd]:
    """Return handler and end callback of a call that has a thread; a refused call is aborted, as gRPC does."""
    if guard is None:
        return answer, on_end
    auth: dict[bytes, Sequence[bytes]] = {name.encode(): [*values] for name, values in context.auth_context().items()}
    try:
        return guard.admit(auth, context.peer(), context.invocation_metadata(), answer, on_end)
    except SidecarError as error:
        on_end(error.grpc_status)
        abort(context, error)


GOING_DOWN = NotServing("the sidecar is shutting down")


class CallGroup(Protocol):
    """The calls of some methods, which share a limit.

    `slots` is what each call holds where a thread of the server's pool runs it, else None.
    """

    @property
    def slots(self) -> Slots | None:
        """The slots of which each call holds one."""

    @property
    def full(self) -> bool:
        """True while as many calls are open as the limit allows."""

    @property
    def empty(self) -> bool:
        """True while no call is open."""

    def make_room(self) -> bool:
        """End the call that has waited longest for its message, if for too long; return whether there is room now."""

    def unary(
        self, answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers its one request with `answer`, where `guard` admits the call."""

    def bidi(
        self, answer: UnaryHandler, on_begin: OnBegin, guard: CallGuard | None = None
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler of a method that answers each request of a stream with `answer`, in order.

        A request that `answer` refuses ends its stream with the error's status.
        """

    def end(self) -> None:
        """End open streams with UNAVAILABLE after the answer at hand; unary calls finish."""


class Rejection(Protocol):
    """A handler that ends calls of any shape with one error, without waiting for their requests."""

    handler: grpc.RpcMethodHandler[Any, Any]

    def hold(self) -> None:
        """Keep calls waiting from now on."""

    def release(self) -> None:
        """Reject the waiting calls, and new ones at once."""


class CallEngine(Protocol):
    """One way to run handlers on grpcio; `cost` says for the log what a call takes on it."""

    name: ClassVar[str]
    cost: ClassVar[str]

    def group(self, limit: int) -> CallGroup:
        """Return a group of calls with this limit."""

    def reject(self, error: SidecarError) -> Rejection:
        """Return a handler that rejects calls with this error."""


class InternalErrors:
    """Turns unexpected exceptions into INTERNAL and logs their tracebacks, once a minute at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged = float("-inf")
        self._more = 0

    def error(self) -> SidecarError:
        """Return the error that the client gets for the exception being handled."""
        now = self._clock()
        if now - self._logged >= _LOG_EVERY_S:
            log.error("a call failed with an internal error (%d more since the last report)", self._more, exc_info=True)  # noqa: LOG014 - called where one is handled
            self._logged, self._more = now, 0
        else:
            self._more += 1
        return SidecarError("internal error of the sidecar; see its log")


def abort(context: grpc.ServicerContext, error: SidecarError) -> NoReturn:
    """End a call that has a thread with the status and message of an error; raises the exception that gRPC expects."""
    context.abort(grpc.StatusCode[error.grpc_status], str(error))


@contextmanager
def ending(context: grpc.ServicerContext, on_end: OnEnd, errors: InternalErrors) -> Iterator[None]:
    """Report how the call that is answered within this block ended; an exception ends it with its status.

    A client that has left is reported as CANCELLED. gRPC's own exception passes, as gRPC expects to see it again.
    """
    code = "CANCELLED"
    try:
        yield
        code = "OK"
    except grpc.RpcError:
        raise
    except SidecarError as refusal:
        code = refusal.grpc_status
        abort(context, refusal)
    except Exception:  # noqa: BLE001 - gRPC would send the client its text
        error = errors.error()
        code = error.grpc_status
        abort(context, error)
    finally:
        on_end(code if context.is_active() else "CANCELLED")


def timed(stats: MethodStats) -> OnBegin:
    """Return a callback that counts calls by status, and how long the successful ones took."""

    def on_begin(_metadata: Metadata) -> OnEnd:
        began = time.perf_counter()

        def on_end(code: str) -> None:
            if code == "OK":
                stats.answered(began)
            else:
                stats.ended(code)

        return on_end

    return on_begin


def counted(stats: MethodStats) -> OnBegin:
    """Return a callback that counts calls by status."""
    return lambda _metadata: stats.ended


def combine(first: OnBegin, second: OnBegin) -> OnBegin:
    """Return a callback that calls both."""

    def on_begin(metadata: Metadata) -> OnEnd:
        one, other = first(metadata), second(metadata)

        def on_end(code: str) -> None:
            one(code)
            other(code)

        return on_end

    return on_begin

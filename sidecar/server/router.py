"""Which handler a call is given: its method's, or one that refuses it where there are too many or the server ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import grpc

from sidecar.counters import MethodStats
from sidecar.errors import SidecarError
from sidecar.server.calls import GOING_DOWN, InternalErrors
from sidecar.server.direct import RpcEvent, RpcState, directly, refuse


class TooManyCalls(SidecarError):
    """More calls come than the sidecar is set to take."""

    grpc_status: ClassVar[str] = "RESOURCE_EXHAUSTED"


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
    stats: MethodStats
    to_the_end: bool = False


class RejectHandler:
    """A handler that refuses calls of any shape with one error, without reading their requests.

    Between `hold` and `release` it lets them wait for that.
    """

    def __init__(self, error: SidecarError, defects: InternalErrors) -> None:
        self._error = error
        self._held: list[tuple[RpcEvent, RpcState]] | None = None
        self._lock = threading.Lock()
        self.handler = directly(self._begin, defects)

    def hold(self) -> None:
        """Keep calls waiting from now on."""
        with self._lock:
            self._held = []

    def release(self) -> None:
        """Refuse those who wait, and from now on at once."""
        with self._lock:
            held, self._held = self._held or (), None
        for event, state in held:
            refuse(event, state, self._error)

    def _begin(self, event: RpcEvent, state: RpcState) -> None:
        with self._lock:
            if self._held is not None:
                self._held.append((event, state))
                return
        refuse(event, state, self._error)


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Finds the handler of a call, or one that refuses it; runs on gRPC's own thread, so it must be quick."""

    def __init__(self, methods: Mapping[str, Method], defects: InternalErrors) -> None:
        self._methods = methods
        self._going_down = False
        self._excess = RejectHandler(
            TooManyCalls("as many calls are under way as the sidecar allows: try again later"), defects
        )
        self.farewell = RejectHandler(GOING_DOWN, defects)

    def go_down(self) -> None:
        """Give new calls to `farewell`, but for those of methods that are answered to the end."""
        self._going_down = True

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call, None where there is no such method."""
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        method.stats.started.increment()
        if self._going_down and not method.to_the_end:
            method.stats.ended("UNAVAILABLE")
            return self.farewell.handler
        if method.pool.full:
            method.stats.ended("RESOURCE_EXHAUSTED")
            return self._excess.handler
        return method.handler

"""Finds the handler of each call: its method's, or one that rejects it while there are too many or the server ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from sidecar.counters import MethodStats
from sidecar.errors import MemoryShort, TooManyCalls
from sidecar.server.calls import GOING_DOWN, CallEngine
from sidecar.server.memory_pressure import MemoryPressure
from sidecar.server.slots import CallThreads, Slots


class Limited(Protocol):
    """Calls that share a limit."""

    @property
    def full(self) -> bool:
        """True while as many calls are open as the limit allows."""

    def make_room(self) -> bool:
        """End a call whose message does not come; return whether there is room now."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method's handler, the limit that its calls share, and its statistics.

    slots: what each of its calls holds while a thread of the server's pool runs it; None where none does.
    to_the_end: calls are still answered while the server goes down.
    stream: each of its calls takes memory for as long as it is open, so none begins while memory is short.
    """

    handler: grpc.RpcMethodHandler[Any, Any]
    limit: Limited
    stats: MethodStats
    slots: Slots | None = None
    to_the_end: bool = False
    stream: bool = False


class Router(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Runs on gRPC's own thread for each call, so it must be quick."""

    def __init__(
        self, methods: Mapping[str, Method], engine: CallEngine, threads: CallThreads, pressure: MemoryPressure
    ) -> None:
        self._methods = methods
        self._threads = threads
        self._pressure = pressure
        self._going_down = False
        self._excess = engine.reject(TooManyCalls("too many concurrent calls: retry with backoff"))
        self._short = engine.reject(MemoryShort())
        self.farewell = engine.reject(GOING_DOWN)

    def go_down(self) -> None:
        """Give new calls to `farewell`, except those of methods that are answered to the end."""
        self._going_down = True

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call, None for an unknown method."""
        method = self._methods.get(handler_call_details.method)
        if method is None:
            return None
        method.stats.started.increment()
        if self._going_down and not method.to_the_end:
            method.stats.ended("UNAVAILABLE")
            return self.farewell.handler
        if method.limit.full and not method.limit.make_room():
            method.stats.ended("RESOURCE_EXHAUSTED")
            return self._excess.handler
        if method.stream and self._pressure.high:
            method.stats.ended("RESOURCE_EXHAUSTED")
            return self._short.handler
        if method.slots is not None:
            self._threads.claim(method.slots)
        return method.handler

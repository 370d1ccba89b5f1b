"""The gRPC server: listeners, methods and threads put together, started and ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from functools import partial

import grpc

from sidecar.counters import CallStats
from sidecar.errors import ConfigError
from sidecar.server import tls
from sidecar.server.calls import InternalErrors, OnBegin, UnaryHandler, combine, counted, timed
from sidecar.server.direct import DirectCalls
from sidecar.server.health import SERVICE as HEALTH_SERVICE
from sidecar.server.health import HealthService
from sidecar.server.listeners import Address, TcpAddress, UnixAddress, parse_addresses
from sidecar.server.pools import BoundedThreadPool
from sidecar.server.reflection import SERVICES as REFLECTION_SERVICES
from sidecar.server.reflection import ReflectionService
from sidecar.server.router import Method, Router
from sidecar.server.service import SERVICE, RoutingService
from sidecar.server.settings import ServerSettings
from sidecar.server.traces import Tracing
from sidecar.server.watch_streams import OpenWatch, WatchStreams
from sidecar.table import View, ViewProvider

# Health checks have a bound of their own: a flood of calls must not make an orchestrator restart the sidecar.
_CHECKS = 100
_REFLECTIONS = 10
# How long what was said to clients may take to reach them.
_SETTLING_S = 0.05
# How long gRPC may take to end calls that it cancels.
_CLOSING_S = 1.0


class Server:
    """Answers schedulers from a routing table, on all of the settings' listeners.

    `source` is the URL that GetStatus tells, without credentials. WatchRoutes waits while there is no routing document,
    and sends the first update as soon as there is one: a client that watches wants the routes, not to ask again and
    again. Calls that need an answer now get UNAVAILABLE instead. GetStatus always answers. `stats` counts calls and
    decisions; `traces` gives calls of RoutingService spans.
    """

    def __init__(
        self, table: ViewProvider, *, settings: ServerSettings, source: str = "", traces: Tracing | None = None
    ) -> None:
        self.stats = CallStats()
        self._traces = traces
        self._settings = settings
        self._serving = False
        self._claimed: dict[UnixAddress, os.stat_result] = {}
        self._defects = InternalErrors()
        self._calls = DirectCalls(settings.max_concurrent_calls, self._defects)
        self._checks = DirectCalls(_CHECKS, self._defects)
        self._conversations = DirectCalls(settings.max_streams, self._defects)
        self._streams = BoundedThreadPool("stream", limit=settings.max_streams)
        self._reflections = BoundedThreadPool("reflection", limit=_REFLECTIONS)
        self._watches = WatchStreams(self._streams, self._defects)
        self._router = Router(
            self._methods(RoutingService(table, settings, source, self.stats.decisions)), self._defects
        )
        self._server: grpc.Server | None = None
        table.subscribe(self._changed)

    def start(self) -> list[str]:
        """Begin to listen and to answer; return the addresses, with the ports that the kernel chose.

        Raises ConfigError, with nothing left behind, for an address that cannot be listened on, for TLS files that
        cannot be used, and for plaintext on an address other than loopback.
        """
        addresses = parse_addresses(self._settings.listen)
        certificates = tls.certificates(self._settings)
        credentials = certificates.credentials() if certificates else None
        self._server = grpc.server(self._streams, handlers=[self._router], options=channel_options(self._settings))
        try:
            bound = [self._listen(self._server, address, credentials) for address in addresses]
        except ConfigError:
            self.stop(0)
            raise
        self._serving = True
        self._server.start()
        return bound

    def stop(self, grace: float) -> None:
        """End within `grace` seconds: calls under way finish, new ones and open streams get UNAVAILABLE.

        Health says NOT_SERVING first. Streams end with UNAVAILABLE since that is what clients try again on, elsewhere
        or later, while OK would mean that there is nothing more to come. What is not done by then is cancelled.
        """
        deadline = time.monotonic() + grace
        self._serving = False
        self._router.go_down()
        self._conversations.end()
        self._watches.end()
        # Nobody waits for who looks at the services.
        pools = (self._calls, self._checks, self._conversations, self._streams)
        while not all(pool.empty for pool in pools) and time.monotonic() < deadline:
            time.sleep(_SETTLING_S / 10)
        if self._server is not None:
            self._say_farewell(self._server, deadline)
        for pool in (self._streams, self._reflections):
            pool.shutdown(wait=False)
        for address, claimed in self._claimed.items():
            address.release(claimed)

    def _say_farewell(self, server: grpc.Server, deadline: float) -> None:
        """Close the listeners and tell clients to go.

        gRPC says CANCELLED, which nobody tries again, to a call that comes between its farewell to a client and the
        client's hearing of it. So those who have a call are kept from making another one until they have heard.
        """
        self._router.farewell.hold()
        time.sleep(_SETTLING_S)
        ended = server.stop(max(0.0, deadline - time.monotonic()))
        time.sleep(_SETTLING_S)
        self._router.farewell.release()
        ended.wait(max(0.0, deadline - time.monotonic()) + _CLOSING_S)

    def _listen(self, server: grpc.Server, address: Address, credentials: grpc.ServerCredentials | None) -> str:
        secure = isinstance(address, TcpAddress) and credentials is not None
        if isinstance(address, TcpAddress):
            plaintext = credentials is None and not self._settings.allow_plaintext
            address.check(plaintext=plaintext, reuse_port=self._settings.reuse_port)
        else:
            address.check()
        try:
            if secure:
                assert credentials is not None
                port = server.add_secure_port(str(address), credentials)
            else:
                port = server.add_insecure_port(str(address))
        except RuntimeError as error:
            raise ConfigError(f"--listen {address}: {error}") from None
        if isinstance(address, UnixAddress):
            self._claimed[address] = address.claim()
            return str(address)
        return str(TcpAddress(address.host, port))

    def _unary(self, path: str, answer: UnaryHandler) -> Method:
        stats = self.stats.method(path, "unary")
        return Method(self._calls.unary(answer, self._begun(path, timed(stats))), self._calls, stats)

    def _check(self, path: str, answer: UnaryHandler) -> Method:
        stats = self.stats.method(path, "unary")
        return Method(self._checks.unary(answer, timed(stats)), self._checks, stats, to_the_end=True)

    def _watch(self, path: str, opened: OpenWatch) -> Method:
        stats = self.stats.method(path, "server_stream")
        return Method(self._watches.handler(opened, self._begun(path, counted(stats))), self._streams, stats)

    def _conversation(self, path: str, answer: UnaryHandler) -> Method:
        stats = self.stats.method(path, "bidi_stream")
        handler = self._conversations.conversation(answer, self._begun(path, counted(stats)))
        return Method(handler, self._conversations, stats)

    def _reflection(self, path: str, reflection: ReflectionService) -> Method:
        stats = self.stats.method(path, "bidi_stream")
        return Method(reflection.handler(counted(stats)), self._reflections, stats)

    def _begun(self, path: str, counting: OnBegin) -> OnBegin:
        traces = self._traces if path.startswith(f"/{SERVICE}/") else None
        return counting if traces is None else combine(counting, traces.of(path))

    def _methods(self, service: RoutingService) -> Mapping[str, Method]:
        health = HealthService(lambda: self._serving and service.ready, frozenset({SERVICE}))
        reflection = ReflectionService((SERVICE, HEALTH_SERVICE), self._reflections)
        makers: dict[str, Callable[[str], Method]] = {
            f"/{SERVICE}/FilterWorkers": partial(self._unary, answer=service.filter_workers),
            f"/{SERVICE}/GetRoute": partial(self._unary, answer=service.get_route),
            f"/{SERVICE}/GetStatus": partial(self._unary, answer=service.get_status),
            f"/{SERVICE}/FilterWorkersStream": partial(self._conversation, answer=service.filter_workers),
            f"/{SERVICE}/WatchRoutes": partial(self._watch, opened=service.watch_routes),
            f"/{HEALTH_SERVICE}/Check": partial(self._check, answer=health.check),
            f"/{HEALTH_SERVICE}/List": partial(self._check, answer=health.listing),
            f"/{HEALTH_SERVICE}/Watch": partial(self._watch, opened=health.watch),
        }
        for name in REFLECTION_SERVICES:
            makers[f"/{name}/ServerReflectionInfo"] = partial(self._reflection, reflection=reflection)
        return {path: make(path) for path, make in makers.items()}

    def _changed(self, before: View, after: View) -> None:
        if after.state is not before.state or after.ready is not before.ready:
            self._watches.wake()


def channel_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return what gRPC is told of the settings."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_size),
        # What is sent is bounded by what was asked; a document of many applications makes a long update.
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(settings.reuse_port)),
        # A client that is gone without a word is noticed, and its streams end, within 40 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Clients may ping every 10 s, also without calls under way: dispatches can be far between.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 9_000),
    ]

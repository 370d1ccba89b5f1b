"""The gRPC server: listeners, methods and threads put together, started and ended."""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable, Mapping
from functools import partial

import grpc

from sidecar.counters import CallStats
from sidecar.errors import ConfigError
from sidecar.memory import group_limit
from sidecar.server import tls
from sidecar.server.calls import InternalErrors, OnBegin, UnaryHandler, combine, counted, timed
from sidecar.server.connection_guard import ConnectionGuard
from sidecar.server.duplex import DuplexStreams, OpenSession
from sidecar.server.engines import choose_engine
from sidecar.server.health import SERVICE as HEALTH_SERVICE
from sidecar.server.health import HealthService
from sidecar.server.listeners import Address, TcpAddress, UnixAddress, parse_address, parse_addresses
from sidecar.server.memory_pressure import MemoryPressure
from sidecar.server.reflection import SERVICES as REFLECTION_SERVICES
from sidecar.server.reflection import ReflectionService
from sidecar.server.router import Method, Router
from sidecar.server.service import SERVICE, RoutingService
from sidecar.server.settings import ServerSettings
from sidecar.server.slots import CallThreads, Slots
from sidecar.server.traces import Tracing
from sidecar.server.watch_streams import OpenWatch, WatchStreams
from sidecar.server.watchdog import Watchdog
from sidecar.table import ViewProvider
from sidecar.trust.caller_opening import opened
from sidecar.trust.callers import Guard
from sidecar.view import View

log = logging.getLogger(__name__)

# Health checks have a limit of their own: a flood of calls must not make an orchestrator restart the sidecar.
_CHECKS = 100
_REFLECTIONS = 10
# Of the calls under way, those of one connection.
MAX_CALLS_OF_CONNECTION = 100
# gRPC refuses connections beyond so many times the bound; up to there those that have sent least are closed. With TLS,
# where each takes more memory, already before its handshake is done, the bound is half as high, and gRPC's the double.
_CONNECTIONS_BEYOND = 4
_TLS_BOUND = 2
# Threads beside those that the limits allow, for calls that are rejected.
_SPARE_THREADS = 32
# How long what was sent to clients may take to reach them.
_SETTLING_S = 0.05
# How long gRPC may take to end calls that it cancels.
_CLOSING_S = 1.0


class Server:
    """Answers schedulers from a routing table, on all of the settings' listeners.

    `source` is the URL for GetStatus, without credentials. WatchRoutes waits while there is no routing document and
    sends the first update once there is one; FilterWorkers and GetRoute get UNAVAILABLE meanwhile; GetStatus always
    answers. `stats` counts calls and decisions; `live_workers` returns the workers of the newest request for an
    application, by datacenter, and when it came; `traces` gives calls of RoutingService spans. Raises ConfigError where
    the settings demand a way of handling calls that does not work.
    """

    def __init__(
        self,
        table: ViewProvider,
        *,
        settings: ServerSettings,
        source: str = "",
        traces: Tracing | None = None,
        duplex: Mapping[str, OpenSession] | None = None,
    ) -> None:
        self.stats = CallStats()
        self._traces = traces
        limit = group_limit() if settings.max_memory is None else settings.max_memory
        self._settings = settings = settings.within(limit)
        self._serving = False
        self._claimed: dict[UnixAddress, os.stat_result] = {}
        errors = InternalErrors()
        self._engine, self._engine_reason = choose_engine(
            settings.call_handling, errors, large_bytes=settings.large_bytes
        )
        self._calls = self._engine.group(settings.max_concurrent_calls)
        self._checks = self._engine.group(_CHECKS)
        self._streams = self._engine.group(settings.max_streams)
        self._watch_slots = Slots(settings.max_streams)
        self._reflection_slots = Slots(_REFLECTIONS)
        self._duplex_slots = Slots(settings.max_streams if duplex else 0)
        threaded = [group.slots.limit for group in (self._calls, self._checks, self._streams) if group.slots]
        streaming = (self._watch_slots, self._reflection_slots, self._duplex_slots)
        limits = (*threaded, *(slots.limit for slots in streaming))
        self._threads = CallThreads(sum(limits) + _SPARE_THREADS)
        self._watchdog = Watchdog()
        self._gate, self._followed = opened(settings)
        bound = settings.max_connections // _TLS_BOUND if settings.tls_cert else settings.max_connections
        self._connection_guard = ConnectionGuard(max(1, bound))
        self._watches = WatchStreams(errors, room=settings.update_bytes)
        self._duplex = DuplexStreams(errors, room=settings.update_bytes)
        self._pressure = MemoryPressure(limit)
        service = RoutingService(table, settings, source, self.stats.decisions, self._pressure)
        self.live_workers = service.live_workers.last
        methods = self._methods(service, duplex or {})
        self._router = Router(methods, self._engine, self._threads, self._pressure)
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
        self._server = grpc.server(self._threads, handlers=[self._router], options=channel_options(self._settings))
        try:
            bound = [self._listen(self._server, address, credentials) for address in addresses]
        except ConfigError:
            self.stop(0)
            raise
        self._serving = True
        self._server.start()
        self._watchdog.start()
        listening = map(parse_address, bound)
        self._connection_guard.start(frozenset(each.port for each in listening if isinstance(each, TcpAddress)))
        self._pressure.start()
        for file in self._followed:
            file.start()
        # Threads are a choice or a fallback; a fallback costs something, so it is a warning.
        level = logging.INFO if self._engine.name in ("direct", self._settings.call_handling) else logging.WARNING
        log.log(level, "calls are handled by %s: %s (%s)", self._engine.name, self._engine.cost, self._engine_reason)
        return bound

    def held_s(self) -> float:
        """Return for how many seconds one event has kept the thread that answers; 0 while it turns."""
        return self._watchdog.held_s

    def memory_high(self) -> bool:
        """Return whether large requests and new streams are refused because memory is short."""
        return self._pressure.high

    def stop(self, grace: float) -> None:
        """End within `grace` seconds: calls under way finish, new ones and open streams get UNAVAILABLE.

        Health says NOT_SERVING first. Streams end with UNAVAILABLE since that is what clients try again on, elsewhere
        or later, while OK would mean that there is nothing more to come. Calls that still run then are cancelled.
        """
        deadline = time.monotonic() + grace
        self._serving = False
        self._watchdog.stop()
        self._connection_guard.stop()
        self._pressure.stop()
        for file in self._followed:
            if self._server is not None:
                file.stop(_CLOSING_S)
        self._router.go_down()
        self._streams.end()
        self._watches.end()
        self._duplex.end()
        # Reflection serves interactive tools; no scheduler depends on it.
        awaited = (self._calls, self._checks, self._streams, self._watch_slots, self._duplex_slots)
        while not all(calls.empty for calls in awaited) and time.monotonic() < deadline:
            time.sleep(_SETTLING_S / 10)
        if self._server is not None:
            self._say_farewell(self._server, deadline)
        self._threads.shutdown(wait=False)
        for address, claimed in self._claimed.items():
            address.release(claimed)

    def _say_farewell(self, server: grpc.Server, deadline: float) -> None:
        """Close the listeners and send clients GOAWAY.

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
            self._claimed[address] = address.claim(self._settings.socket_mode, self._settings.socket_owner)
            return str(address)
        return str(TcpAddress(address.host, port))

    def _unary(self, path: str, answer: UnaryHandler) -> Method:
        stats = self.stats.method(path, "unary")
        calls = self._calls
        handler = calls.unary(answer, self._on_begin(path, timed(stats)), self._guard(path))
        return Method(handler, calls, stats, calls.slots)

    def _check(self, path: str, answer: UnaryHandler) -> Method:
        stats = self.stats.method(path, "unary")
        checks = self._checks
        return Method(checks.unary(answer, timed(stats)), checks, stats, checks.slots, to_the_end=True)

    def _watch(self, path: str, open_watch: OpenWatch) -> Method:
        stats = self.stats.method(path, "server_stream")
        handler = self._watches.handler(open_watch, self._on_begin(path, counted(stats)), self._guard(path))
        watched = path.startswith(f"/{SERVICE}/")
        return Method(handler, self._watch_slots, stats, self._watch_slots, stream=watched)

    def _stream(self, path: str, answer: UnaryHandler) -> Method:
        stats = self.stats.method(path, "bidi_stream")
        streams = self._streams
        handler = streams.bidi(answer, self._on_begin(path, counted(stats)), self._guard(path))
        return Method(handler, streams, stats, streams.slots, stream=True)

    def _reflection(self, path: str, reflection: ReflectionService) -> Method:
        stats = self.stats.method(path, "bidi_stream")
        return Method(
            reflection.handler(counted(stats), self._guard(path)),
            self._reflection_slots,
            stats,
            self._reflection_slots,
            stream=True,
        )

    def _guard(self, path: str) -> Guard | None:
        """Return the guard of a method's calls, None where all are admitted: health is open to everybody for probes."""
        if self._gate is None or path.startswith(f"/{HEALTH_SERVICE}/"):
            return None
        name, tls = path.rpartition("/")[2], self._settings.tls_cert is not None
        kinds = {"unix:" if listen.startswith("unix:") else "" for listen in self._settings.listen}
        peer = kinds.pop() if len(kinds) == 1 else None
        if not path.startswith(f"/{SERVICE}/"):
            call = "Reflection" if name == "ServerReflectionInfo" else "xds"
            return Guard(self._gate, call, stream=True, tls=tls, peer=peer)
        return Guard(self._gate, name, stream=name in ("FilterWorkersStream", "WatchRoutes"), tls=tls, peer=peer)

    def _duplex_method(self, path: str, open_session: OpenSession) -> Method:
        stats = self.stats.method(path, "bidi_stream")
        handler = self._duplex.handler(open_session, counted(stats), self._guard(path))
        return Method(handler, self._duplex_slots, stats, self._duplex_slots, stream=True)

    def _on_begin(self, path: str, counting: OnBegin) -> OnBegin:
        traces = self._traces if path.startswith(f"/{SERVICE}/") else None
        return counting if traces is None else combine(counting, traces.of(path))

    def _methods(self, service: RoutingService, duplex: Mapping[str, OpenSession]) -> Mapping[str, Method]:
        health = HealthService(lambda: self._serving and service.ready, frozenset({SERVICE}))
        reflection = ReflectionService((SERVICE, HEALTH_SERVICE))
        makers: dict[str, Callable[[str], Method]] = {
            f"/{SERVICE}/FilterWorkers": partial(self._unary, answer=service.filter_workers),
            f"/{SERVICE}/GetRoute": partial(self._unary, answer=service.get_route),
            f"/{SERVICE}/GetStatus": partial(self._unary, answer=service.get_status),
            f"/{SERVICE}/FilterWorkersStream": partial(self._stream, answer=service.filter_workers),
            f"/{SERVICE}/WatchRoutes": partial(self._watch, open_watch=service.watch_routes),
            f"/{HEALTH_SERVICE}/Check": partial(self._check, answer=health.check),
            f"/{HEALTH_SERVICE}/List": partial(self._check, answer=health.listing),
            f"/{HEALTH_SERVICE}/Watch": partial(self._watch, open_watch=health.watch),
        }
        for name in REFLECTION_SERVICES:
            makers[f"/{name}/ServerReflectionInfo"] = partial(self._reflection, reflection=reflection)
        others = {path: self._duplex_method(path, open_session) for path, open_session in duplex.items()}
        return {**{path: make(path) for path, make in makers.items()}, **others}

    def wake_duplex(self) -> None:
        """Have the sessions of `duplex` look for updates that no change of the table brought."""
        self._duplex.wake()

    def _changed(self, before: View, after: View) -> None:
        if after.state is not before.state or after.ready is not before.ready:
            self._watches.wake()
            self._duplex.wake()


def channel_options(settings: ServerSettings) -> list[tuple[str, int]]:
    """Return the channel arguments for the settings."""
    return [
        ("grpc.max_receive_message_length", settings.max_message_size),
        # Answers are bounded by their requests; a document of many applications makes a long update.
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", int(settings.reuse_port)),
        # A client that is gone without a word is noticed, and its streams end, within 40 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Clients may ping every 10 s, also without calls under way: dispatches can be far between.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 9_000),
        # One client cannot take all places for calls; what it begins beyond these waits at the client.
        ("grpc.max_concurrent_streams", MAX_CALLS_OF_CONNECTION),
        ("grpc.max_allowed_incoming_connections", _most_connections(settings)),
        ("grpc.http2.max_deallocating_streams", MAX_CALLS_OF_CONNECTION),
        ("grpc.max_metadata_size", 8 * 1024),
        ("grpc.server_handshake_timeout_ms", 10_000),
        # Until a client has acknowledged the settings, the bounds on its headers are those of gRPC, not ours.
        ("grpc.http2.settings_timeout", 3_000),
        # Windows do not grow with the bandwidth: memory for received bytes is bounded by the streams.
        ("grpc.http2.bdp_probe", 0),
        # How much of one connection is read in one piece, while others wait.
        ("grpc.experimental.tcp_max_read_chunk_size", 64 * 1024),
        # The buffer for it would double with each long read: a flood would take all memory by it.
        ("grpc.experimental.tcp_max_read_buffer_size", 64 * 1024),
        ("grpc.http2.max_requests_per_read", 8),
        ("grpc.absolute_max_metadata_size", 16 * 1024),
    ]


def _most_connections(settings: ServerSettings) -> int:
    """Return how many connections gRPC takes itself: more than the bound, less than half of the descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = settings.max_connections if settings.tls_cert else settings.max_connections * _CONNECTIONS_BEYOND
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft // 2))

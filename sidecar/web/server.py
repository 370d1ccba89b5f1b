"""The HTTP server: a loop on a thread of its own, started and ended with the sidecar."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from asyncio.sslproto import SSLProtocol
from contextlib import suppress

import uvicorn

from sidecar.counters import CallStats
from sidecar.errors import ConfigError
from sidecar.memory import group_limit
from sidecar.table import RoutingTable
from sidecar.trust.caller_opening import opened
from sidecar.view import View
from sidecar.web.app import HttpApi
from sidecar.web.auth import AuthMiddleware, read_token
from sidecar.web.connections import BoundedListener, HttpConnections, bounded_protocol, most_connections
from sidecar.web.metrics import DocumentMetrics, Metrics
from sidecar.web.page_data import PageData
from sidecar.web.rates import EVERY_S, DecisionRates
from sidecar.web.settings import WebSettings
from sidecar.web.status import Identity
from sidecar.web.tls import ReloadedContext

log = logging.getLogger(__name__)

# What asyncio allocates for each TLS connection, also during the handshake: two records. Its own 256 KiB would let 256
# connections take 64 MiB.
_TLS_BUFFER = 32 * 1024

# Seconds that the end may wait for requests under way.
_CLOSING_S = 1
_SWEEP_S = 1.0
# As many connections are accepted between two looks at those that are to be closed.
_BACKLOG = 64


class WebServer:
    """Serves metrics, health, the API and the page. Made before the table starts, it misses no change."""

    def __init__(
        self, table: RoutingTable, stats: CallStats, *, settings: WebSettings, source: str, page_data: PageData
    ) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        page_data.recent.subscribe(self._changed)
        self._rates = DecisionRates(stats.decisions)
        documents = DocumentMetrics()
        identity = Identity(
            source=source,
            environment=settings.environment or "",
            host=socket.gethostname(),
            docs=settings.docs_url or "",
        )
        metrics = Metrics(table, stats, documents, page_data, identity)
        self._api = HttpApi(
            table,
            identity=identity,
            metrics=metrics,
            processes=stats.processes,
            tasks=lambda: [task() for task in page_data.tasks],
            rates=self._rates,
            recent=page_data.recent,
            history=page_data.history,
            live_workers=page_data.live_workers,
            followers=page_data.followers,
            held_s=page_data.held_s,
            xds_clients=page_data.xds_clients,
        )
        self._gate, self._followed = opened(settings)
        memory = (settings.max_memory or group_limit()) if settings.tls_cert else None
        self._connections = HttpConnections(most_connections(memory), tls=settings.tls_cert is not None)
        self._tls: ReloadedContext | None = None
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        for listener in (documents.changed, self._changed):
            table.subscribe(listener)

    def start(self) -> str:
        """Start to listen; return the URL, with the port that the kernel chose. Raises ConfigError."""
        settings = self._settings
        settings.check()
        if settings.http_token_file is not None:
            read_token(settings.http_token_file)
        config = uvicorn.Config(
            AuthMiddleware(
                self._api.app(), token_file=settings.http_token_file, hosts=settings.http_hosts, gate=self._gate
            ),
            log_config=None,
            access_log=False,
            lifespan="off",
            http=bounded_protocol(self._connections),
            ws="none",
            loop="asyncio",
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            timeout_graceful_shutdown=_CLOSING_S,
        )
        config.load()
        config.ssl = self._tls = self._open_tls()
        if self._tls is not None:
            SSLProtocol.max_size = _TLS_BUFFER
        listener = self._listen()
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread.start()
        for file in self._followed:
            file.start()
        host, port = listener.getsockname()[:2]
        return f"http{'s' if self._tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"

    def go_down(self) -> None:
        """Report not ready from now on, and end the requests that wait for changes."""
        self._api.stopping = True
        self._changed()

    def stop(self, timeout: float) -> None:
        """End within `timeout` seconds."""
        self.go_down()
        if self._server is not None:
            self._server.should_exit = True
            for file in self._followed:
                file.stop(_CLOSING_S)
            self._thread.join(timeout)

    def _open_tls(self) -> ReloadedContext | None:
        settings = self._settings
        if settings.tls_cert is None:
            return None
        try:
            return ReloadedContext(settings.tls_cert, settings.tls_key, settings.tls_client_ca if self._gate else None)
        except OSError as error:
            raise ConfigError(f"--http {settings.http}: the TLS files cannot be used: {error}") from error

    def _listen(self) -> socket.socket:
        host, port = self._settings.place
        try:
            family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
            # asyncio sets TCP_NODELAY only where the protocol is named; without it the body waits for the client's
            # delayed ACK of the head, 40 ms.
            listener = BoundedListener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.connections = self._connections
            listener.tls = self._settings.tls_cert is not None
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(_BACKLOG)
        except OSError as error:
            raise ConfigError(f"--http {self._settings.http}: cannot listen there: {error.strerror}") from error
        return listener

    def _changed(self, _before: View | None = None, _after: View | None = None) -> None:
        loop = self._loop
        if loop is not None:
            # The loop may have ended in between; then nothing waits for it.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._api.notifier.ring)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception:
            log.exception("the HTTP server failed; decisions continue without it")

    async def _serve(self) -> None:
        assert self._server is not None
        self._loop = asyncio.get_running_loop()
        sampling, sweeping = asyncio.create_task(self._sample()), asyncio.create_task(self._sweep())
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            sampling.cancel()
            sweeping.cancel()
            self._loop = None

    async def _sweep(self) -> None:
        """End the connections whose client is too slow."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            self._connections.end_overdue()

    async def _sample(self) -> None:
        """Sample the rates, and load new TLS files, every few seconds."""
        while True:
            self._rates.sample(time.time())
            self._api.notifier.ring()
            await asyncio.sleep(EVERY_S)
            if self._tls is not None:
                self._tls.reload()

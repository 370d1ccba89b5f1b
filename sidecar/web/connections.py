"""Bounds the connections of the HTTP server: their number, the time for a request, and the time for reading a response.

The listener counts sockets as they are accepted, so unfinished TLS handshakes count too.
"""

from __future__ import annotations

import gc
import resource
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from ssl import DER_cert_to_PEM_cert
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from sidecar.gil import short_switch_interval

MOST = 256
"""Connections at the same time, if the limit of descriptors has room for them."""
REQUEST_S = 10.0
"""Seconds for a TLS handshake and the headers of a request, from the begin of the connection or the last response."""
READ_S = 30.0
"""Seconds that a client may leave a response unread."""

# Of the descriptors, what HTTP may take: gRPC, the source, files and probes need the rest.
_SHARE = 4
# asyncio's objects of a connection with TLS, 90 KiB, refer to each other: without collecting them the garbage of a
# flood takes more memory than the connections. Documents are frozen, so a collection is quick.
_COLLECT_EVERY = 64
# The memory of which one connection with TLS may be open.
_TLS_CONNECTION = 512 * 1024
_REFUSAL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b'Content-Length: 53\r\n\r\n{"error": "as many connections as the sidecar takes"}'
)


# A page, a scraper, a load balancer and some commands have fewer.
_MANY = 32


def most_connections(memory: int | None = None) -> int:
    """Return how many connections HTTP may have under the soft limit of descriptors.

    `memory` is how many bytes the process may use, if these are connections with TLS, which take 90 KiB each.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if memory is None else min(MOST, memory // _TLS_CONNECTION)
    return max(1, most if soft == resource.RLIM_INFINITY else min(most, soft // _SHARE))


class HttpConnections:
    """The open connections of a server, by descriptor. Beyond `most` the one that has waited longest gives way.

    A connection waits for its client until a request has arrived, and while a response is not read. Those that handle
    a request, long polls and followers of events among them, are never closed for a new one.

    Above 32 connections threads take short turns: to answer them all, as at a change of what they follow, takes the
    interpreter for so long that calls would wait.
    """

    def __init__(self, most: int, *, tls: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._open: dict[int, socket.socket] = {}
        self._tls = tls
        self._closed = 0
        self._many = False
        # Since when; the oldest first.
        self._requested: dict[int, float] = {}
        self._unread: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: socket.socket) -> bool:
        """Take a new connection, if need be in place of another; return False if all handle requests."""
        if len(self._open) >= self.most:
            oldest = next(iter(self._requested), None)
            if oldest is None:
                oldest = next(iter(self._unread), None)
            if oldest is None:
                return False
            self._end(oldest)
        self._open[connection.fileno()] = connection
        self._set_turns()
        self.wait_for_request(connection.fileno())
        return True

    def remove(self, descriptor: int) -> None:
        """Forget a connection that is closed."""
        self._closed += 1
        if self._tls and self._closed % _COLLECT_EVERY == 0:
            gc.collect()
        for known in (self._open, self._requested, self._unread):
            known.pop(descriptor, None)
        self._set_turns()

    def wait_for_request(self, descriptor: int) -> None:
        """Note that the client's next request is awaited from now on."""
        if descriptor in self._open:
            self._requested.pop(descriptor, None)
            self._requested[descriptor] = self._clock()

    def handle_request(self, descriptor: int) -> None:
        """Note that a request has arrived."""
        self._requested.pop(descriptor, None)

    def wait_for_reader(self, descriptor: int) -> None:
        """Note that the client has to read before more is sent."""
        if descriptor in self._open:
            self._unread.setdefault(descriptor, self._clock())

    def was_read(self, descriptor: int) -> None:
        """Note that the client has read."""
        self._unread.pop(descriptor, None)

    def end_overdue(self) -> None:
        """End the connections whose client has been waited for too long."""
        now = self._clock()
        for since, most_s in ((self._requested, REQUEST_S), (self._unread, READ_S)):
            for descriptor in [descriptor for descriptor, began in since.items() if now - began > most_s]:
                self._end(descriptor)

    def _set_turns(self) -> None:
        many = len(self._open) > _MANY
        if many and not self._many:
            short_switch_interval.begin()
        elif self._many and not many:
            short_switch_interval.end()
        self._many = many

    def _end(self, descriptor: int) -> None:
        # Its transport notices, and closes it.
        connection = self._open.get(descriptor)
        self.remove(descriptor)
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(socket.socket):
    """A connection that leaves the count when it is closed."""

    connections: HttpConnections

    def close(self) -> None:
        self.connections.remove(self.fileno())
        super().close()


class BoundedListener(socket.socket):
    """Accepts connections as long as there is room; the others get 503, or an end where TLS is spoken."""

    connections: HttpConnections
    tls: bool = False

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Raises ConnectionAbortedError, which asyncio ignores, for one that is refused."""
        accepted, address = super().accept()
        connection = _Connection(self.family, self.type, self.proto, fileno=accepted.detach())
        connection.connections = self.connections
        connection.setblocking(False)
        if self.connections.add(connection):
            return connection, address
        if not self.tls:
            with suppress(OSError):
                connection.send(_REFUSAL)
                connection.shutdown(socket.SHUT_WR)
        connection.close()
        raise ConnectionAbortedError


def with_certificate(app: Any, session: Any) -> Any:  # noqa: ANN401 - uvicorn's and ssl's
    """Return an application whose requests know the certificate of their client, as `scope["certificate"]`."""
    shown = session.getpeercert(), DER_cert_to_PEM_cert(session.getpeercert(binary_form=True)).encode()

    async def handle(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        scope["certificate"] = shown
        await app(scope, receive, send)

    return handle


def bounded_protocol(connections: HttpConnections) -> type[H11Protocol]:
    """Return uvicorn's protocol, which reports its waits to `connections`."""

    class BoundedProtocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's transports
            super().connection_made(transport)
            session = transport.get_extra_info("ssl_object")
            if session is not None and session.getpeercert(binary_form=True):
                self.app = with_certificate(self.app, session)
            self._descriptor: int = transport.get_extra_info("socket").fileno()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._note()

        def on_response_complete(self) -> None:
            connections.wait_for_request(self._descriptor)
            super().on_response_complete()
            self._note()

        def pause_writing(self) -> None:
            super().pause_writing()
            connections.wait_for_reader(self._descriptor)

        def resume_writing(self) -> None:
            super().resume_writing()
            connections.was_read(self._descriptor)

        def _note(self) -> None:
            if self.conn.our_state in {h11.SEND_RESPONSE, h11.SEND_BODY}:
                connections.handle_request(self._descriptor)

    return BoundedProtocol

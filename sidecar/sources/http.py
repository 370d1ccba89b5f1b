"""A kept-alive HTTP connection to one server; each request ends by its deadline, whatever the server does."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sidecar.errors import RequestNotSent, SourceError

_MAX_BODY = 32 << 20


class ServerAddress(Protocol):
    """The host and port of a server; its text is what errors name."""

    @property
    def host(self) -> str:
        """The host name or IPv4 address."""
        ...

    @property
    def port(self) -> int:
        """The TCP port."""
        ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response. Its status is 0 where Nacos 2.3 sends just that, which it does for a wrong password."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpConnection:
    """One connection, for one request at a time. Only `abort` and `interrupt` may be called from another thread.

    `center` is the config center's name, for errors.
    """

    def __init__(self, server: ServerAddress, tls: ssl.SSLContext | None, center: str) -> None:
        self.server = server
        self._tls = tls
        self._center = center
        self._open: http.client.HTTPConnection | None = None
        self._aborted = False
        self._interrupted = False

    def request(
        self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None = None, within: float
    ) -> HttpAnswer:
        """Return the response, received within `within` seconds.

        A GET is repeated over a new connection if the server has closed the kept one. Raises RequestNotSent if no
        connection could be made, else SourceError.
        """
        deadline = time.monotonic() + within
        if method != "GET":
            self.close()
        try:
            self._check_interrupt()
            if self._open is not None and self._open.sock is not None:
                # A server may close an idle connection at any time; it has not seen the request then.
                with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
                    return self._exchange(self._open, method, path, headers, body, deadline)
                self._check_interrupt()
                self.close()
            return self._exchange(self._connect(deadline), method, path, headers, body, deadline)
        except BaseException as error:
            self.close()
            if isinstance(error, http.client.HTTPException):
                raise SourceError(f"{self.server} does not speak HTTP: {type(error).__name__}") from None
            if isinstance(error, OSError):
                raise SourceError(f"{self.server} {_reason(error, self._center)}") from None
            raise

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def abort(self) -> None:
        """Abort a request under way, from another thread, and refuse all later ones."""
        self._aborted = True
        self._shut_down()

    def interrupt(self) -> None:
        """Fail the request under way, or else the next one, from another thread."""
        self._interrupted = True
        self._shut_down()

    def _shut_down(self) -> None:
        connection = self._open
        if connection is not None and isinstance(connection.sock, socket.socket):
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _check_interrupt(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise SourceError(f"the request to {self.server} was interrupted")

    def _connect(self, deadline: float) -> http.client.HTTPConnection:
        if self._aborted:
            raise RequestNotSent(f"{self.server} is not called any more: the source is stopping")
        host, port, timeout = self.server.host, self.server.port, _left(deadline)
        if self._tls is None:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        else:
            connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=self._tls)
        self._open = connection
        try:
            connection.connect()
        except OSError as error:
            raise RequestNotSent(f"{self.server} {_reason(error, self._center)}") from None
        return connection

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: float,
    ) -> HttpAnswer:
        connection.sock.settimeout(_left(deadline))
        connection.request(method, path, body, dict(headers))

        def bounded(sock: socket.socket, **options: Any) -> http.client.HTTPResponse:  # noqa: ANN401 - passed on
            return http.client.HTTPResponse(_BoundedSocket(sock, deadline), **options)  # type: ignore[arg-type]

        connection.response_class = bounded  # type: ignore[assignment]
        try:
            response = connection.getresponse()
        except http.client.BadStatusLine as error:
            if str(error).startswith("HTTP/1.1 0"):
                self.close()
                return HttpAnswer(0, {}, b"")
            raise
        content = response.read(_MAX_BODY + 1)
        if len(content) > _MAX_BODY:
            raise SourceError(f"{self.server} answers with more than {_MAX_BODY >> 20} MiB")
        return HttpAnswer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


class _BoundedSocket(io.RawIOBase):
    """A socket for http.client whose deadline is for all reads together, not for each."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - a buffer, which Python 3.11 has no name for
        self._sock.settimeout(_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _reason(error: OSError, center: str) -> str:
    """Return what is wrong, always in the same words: a reason that differs is logged as another one."""
    if isinstance(error, TimeoutError):
        return "does not answer in time: is it frozen, or is a firewall between?"
    if isinstance(error, ConnectionRefusedError):
        return f"refuses the connection: is {center} running there?"
    if isinstance(error, socket.gaierror):
        return f"has no address: {error.strerror}; check the name in the URL and DNS"
    if isinstance(error, ssl.SSLCertVerificationError):
        ca = f"{center.lower()}-ca"
        return f"shows a certificate that is not trusted: {error.verify_message}; check {ca} and the host name"
    if isinstance(error, ssl.SSLError):
        return f"does not agree on TLS: {error.reason or 'handshake failed'}; does it speak TLS on this port?"
    return f"cannot be asked: {error.strerror or type(error).__name__}"

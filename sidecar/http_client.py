"""Outbound HTTP for occasional requests: one at a time, no redirects, no URL in an error."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from sidecar.errors import RequestFailed


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response of any status."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def ok(self) -> bool:
        """True for a status of success."""
        return 200 <= self.status < 300


_Opened = Callable[[socket.socket], None]


class _NoRedirects(HTTPRedirectHandler):
    """Returns a redirect as it is: a POST would become a GET, and a token would go where no operator sent it."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as urllib calls it
        return None


class _PlainHandler(HTTPHandler):
    """Opens connections, and reports the socket of each."""

    def __init__(self, opened: _Opened) -> None:
        super().__init__()
        self._opened = opened

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_reporting, HTTPConnection, self._opened), req)


class _TlsHandler(HTTPSHandler):
    """The same with TLS."""

    def __init__(self, opened: _Opened) -> None:
        super().__init__()
        self._opened = opened

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(partial(_reporting, HTTPSConnection, self._opened), req)


def _reporting(kind: type[HTTPConnection], opened: _Opened, host: str, **options: Any) -> HTTPConnection:  # noqa: ANN401 - http.client's
    """Return a connection that reports its socket as soon as it is open, before a TLS handshake."""
    connection = kind(host, **options)

    def create(*arguments: Any) -> socket.socket:  # noqa: ANN401 - socket's
        connected = socket.create_connection(*arguments)
        opened(connected)
        return connected

    connection._create_connection = create  # type: ignore[attr-defined]  # noqa: SLF001 - as its own tests do
    return connection


class _Attempt:
    """One request on a thread of its own: that alone bounds the resolver and a server that drips too."""

    def __init__(self, request: Request, timeout: float, max_bytes: int) -> None:
        self._request = request
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._sockets: list[socket.socket] = []
        self._ended = False
        self._response: Future[HttpResponse] = Future()

    def run(self) -> HttpResponse:
        """Return the response. Raises TimeoutError if it is not complete in time, and urllib's errors."""
        threading.Thread(target=self._run, name="http-request", daemon=True).start()
        try:
            return self._response.result(self._timeout)
        except TimeoutError:
            raise TimeoutError("timed out") from None
        finally:
            self._ended = True
            self._close()

    def _run(self) -> None:
        try:
            self._response.set_result(self._exchange())
        except BaseException as error:  # noqa: BLE001 - it is raised where the response is awaited
            self._response.set_exception(error)

    def _exchange(self) -> HttpResponse:
        opener = build_opener(_NoRedirects, _PlainHandler(self._opened), _TlsHandler(self._opened))
        try:
            with opener.open(self._request, timeout=self._timeout) as reply:
                return _response(reply.status, reply.reason, reply, self._max_bytes)
        except HTTPError as error:
            with error:
                return _response(error.code, error.reason, error, self._max_bytes)

    def _opened(self, connected: socket.socket) -> None:
        # TLS detaches the descriptor from the socket.
        self._sockets.append(connected.dup())
        if self._ended:
            self._close()

    def _close(self) -> None:
        """End the connection, and with it the thread; one that waits for the resolver ends with that."""
        for opened in self._sockets:
            with opened, suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


def request(
    url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None, timeout: float, max_bytes: int
) -> HttpResponse:
    """Post `body`, or get where there is none; return the response, of its body the first `max_bytes`.

    `timeout` bounds the whole request, in seconds. A proxy is used if the environment names one. Raises
    RequestFailed.
    """
    try:
        return _Attempt(Request(url, body, dict(headers or {})), timeout, max_bytes).run()  # noqa: S310 - callers check by is_http_url
    except (OSError, HTTPException, ValueError) as error:
        raise RequestFailed(_reason(error)) from None


def is_http_url(text: str) -> bool:
    """Return whether a text is an http or https URL that names a host, in printable characters without a space."""
    try:
        parts = urlsplit(text)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    return named and text.isprintable() and " " not in text


def _response(status: int, reason: str, reply: Any, max_bytes: int) -> HttpResponse:  # noqa: ANN401 - urllib's two kinds
    content: IO[bytes] = reply
    return HttpResponse(status, str(reason), reply.headers, content.read(max_bytes))


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, OSError):
        return reason.strerror or str(reason) or type(reason).__name__
    # Only urllib's own words: those of http.client and of ValueError show the URL.
    return reason if isinstance(reason, str) and reason else type(error).__name__

"""Outbound HTTP for what posts and asks now and then: one request, no redirects, no URL in an error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

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


class _NoRedirects(HTTPRedirectHandler):
    """Returns a redirect as it is: a POST would become a GET, and a token would go where no operator sent it."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401 - as urllib calls it
        return None


_OPENER = build_opener(_NoRedirects)


def request(
    url: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None, timeout: float, max_bytes: int
) -> HttpResponse:
    """Post `body`, or get where there is none; return the response, of its body the first `max_bytes`.

    `timeout` bounds each wait for the server, in seconds. A proxy is used if the environment names one. Raises
    RequestFailed.
    """
    try:
        try:
            with _OPENER.open(Request(url, body, dict(headers or {})), timeout=timeout) as reply:  # noqa: S310 - callers check by is_http_url
                return _response(reply.status, reply.reason, reply, max_bytes)
        except HTTPError as error:
            with error:
                return _response(error.code, error.reason, error, max_bytes)
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

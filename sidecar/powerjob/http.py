"""Calls PowerJob's HTTP API on the first of its servers that answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sidecar.errors import ConfigError, PowerJobUnavailable, RequestFailed
from sidecar.http_client import is_http_url, request

_ANSWER_BYTES = 64 * 1024 * 1024
_SHOWN = 200
_AUTH_PASSED = "X-POWERJOB-AUTH-PASSED"


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """A result of PowerJob: the data of a success, else a message; `signed_in` is false if it asks for a login."""

    success: bool
    data: Any
    message: str
    signed_in: bool


class PowerJobServers:
    """The servers of one PowerJob cluster by their http or https URLs; any of them can answer for all.

    `timeout` is for one call of one server, in seconds. Raises ConfigError for an invalid URL.
    """

    def __init__(self, urls: Sequence[str], *, timeout: float) -> None:
        self._urls = [check_server(url) for url in urls]
        self._timeout = timeout

    def post(
        self,
        path: str,
        *,
        form: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> ApiResponse:
        """Post a form, or `body` as JSON, to the first server that answers. Raises PowerJobUnavailable."""
        data = json.dumps(body) if form is None else urlencode(form)
        kind = "application/json" if form is None else "application/x-www-form-urlencoded"
        return self._first(path, data.encode(), {**(headers or {}), "Content-Type": kind})

    def get(self, path: str, **query: str) -> ApiResponse:
        """Get from the first server that answers. Raises PowerJobUnavailable."""
        return self._first(f"{path}?{urlencode(query)}", None, {})

    def get_from_each(self, path: str, **query: str) -> list[ApiResponse]:
        """Get from every server; return the results of those that answer. Raises PowerJobUnavailable if none does."""
        answers, failures = [], []
        for url in self._urls:
            try:
                answers.append(self._call(url, f"{path}?{urlencode(query)}", None, {}))
            except PowerJobUnavailable as error:
                failures.append(str(error))
        if not answers:
            raise PowerJobUnavailable("; ".join(failures))
        return answers

    def _first(self, path: str, data: bytes | None, headers: Mapping[str, str]) -> ApiResponse:
        failures = []
        for url in tuple(self._urls):
            try:
                answer = self._call(url, path, data, headers)
            except PowerJobUnavailable as error:
                failures.append(str(error))
                # The next call starts with another server.
                self._urls.append(self._urls.pop(self._urls.index(url)))
                continue
            return answer
        raise PowerJobUnavailable("; ".join(failures))

    def _call(self, url: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> ApiResponse:
        try:
            reply = request(f"{url}/{path}", body=data, headers=headers, timeout=self._timeout, max_bytes=_ANSWER_BYTES)
        except RequestFailed as error:
            raise PowerJobUnavailable(f"{url} does not answer: {_short(str(error))}") from None
        if not reply.ok:
            raise PowerJobUnavailable(
                f"{url} answers /{path.partition('?')[0]} with status {reply.status}: expected a server of PowerJob "
                "5.1 or later"
            )
        passed = reply.headers.get(_AUTH_PASSED, "true")
        try:
            said = json.loads(reply.body)
            message = str(said.get("message") or said.get("code") or "").strip()
            return ApiResponse(said["success"] is True, said.get("data"), _short(message), passed.lower() != "false")
        except (ValueError, KeyError, AttributeError):
            raise PowerJobUnavailable(
                f"{url} answers, but not as PowerJob does: expected the address of its server"
            ) from None


def check_server(url: str) -> str:
    """Return a server's URL without a trailing slash. Raises ConfigError if it is invalid or has credentials."""
    if not is_http_url(url) or any(mark in url for mark in "@?#"):
        raise ConfigError("PowerJob's server: expected a URL such as http://powerjob:7700, without user or password")
    return url.rstrip("/")


def _short(text: str) -> str:
    return (text.splitlines() or [""])[0][:_SHOWN]

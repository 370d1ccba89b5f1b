"""Authentication of requests (token, host name), and the security headers of responses."""

from __future__ import annotations

import hmac
from base64 import b64decode
from binascii import Error as BadBase64
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.config.hosts import HostPattern
from sidecar.errors import CallerBound, ConfigError, PermissionRefused, Unauthenticated
from sidecar.trust.callers import CallerGate

# Orchestrators request these, and have no token.
_OPEN = frozenset({"/healthz", "/readyz"})

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="dc-sidecar, any user, the token as password", charset="UTF-8"'}
_UNKNOWN_HOST = "Host: expected an address, localhost, or a name that --http-hosts has"

_PART_BYTES = 64 * 1024

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def read_token(path: Path) -> str:
    """Return the token in a file. Raises ConfigError if there is none."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise ConfigError(f"--http-token-file: {path} cannot be read: {reason}") from error
    if not token:
        raise ConfigError(f"--http-token-file: {path} is empty, expected the token in it")
    return token


class AuthMiddleware:
    """Passes on requests that carry the token, as `Authorization: Bearer TOKEN` or as the password of Basic.

    Browsers prompt for the latter by themselves. The file is read for each request: a new token is valid at once.
    Without a token the `Host` must be an address, localhost or one of `hosts`: else a page on the internet whose name
    resolves to this host could read the answers. With a `gate` the policy decides who may call; the token stays valid.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        token_file: Path | None,
        hosts: Sequence[HostPattern] = (),
        gate: CallerGate | None = None,
    ) -> None:
        self._gate = gate
        self._app = app
        self._token_file = token_file
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            for part in _parts(message):
                await send(part)

        app = self._app
        if scope["path"] not in _OPEN:
            headers = Headers(scope=scope)
            refuse = self._refusal if self._gate is None else partial(self._refusal_by_policy, self._gate, scope)
            app = refuse(headers) or app
        await app(scope, receive, sending)

    def _refusal(self, headers: Headers) -> ASGIApp | None:
        if self._token_file is None:
            if self._is_known(_name_of(headers.get("host", ""))):
                return None
            return JSONResponse({"error": _UNKNOWN_HOST}, status_code=421)
        try:
            token = read_token(self._token_file)
        except ConfigError:
            return JSONResponse({"error": "the token of this sidecar cannot be read"}, status_code=503)
        if hmac.compare_digest(_token(headers.get("authorization", "")).encode(), token.encode()):
            return None
        return JSONResponse({"error": "expected the token"}, status_code=401, headers=_CHALLENGE)

    def _refusal_by_policy(self, gate: CallerGate, scope: Scope, headers: Headers) -> ASGIApp | None:
        token = _token(headers.get("authorization", ""))
        if token and self._token_file is not None and self._refusal(headers) is None:
            return None
        certificate, pem = scope.get("certificate", ({}, b""))
        try:
            permit = gate.http_permit(token, certificate, pem)
            permit.check_call("http")
            app = _app_of(scope)
            if app:
                permit.check_apps((app,))
            else:
                permit.check_every_app()
            permit.take()
        except Unauthenticated as error:
            return JSONResponse({"error": str(error)}, status_code=401, headers=_CHALLENGE)
        except CallerBound as error:
            return JSONResponse({"error": str(error)}, status_code=429, headers={"Retry-After": "1"})
        except PermissionRefused as error:
            return JSONResponse({"error": str(error)}, status_code=403)
        if permit.identity == "anonymous" and not self._is_known(_name_of(headers.get("host", ""))):
            return JSONResponse({"error": _UNKNOWN_HOST}, status_code=421)
        return None

    def _is_known(self, name: str) -> bool:
        return _is_local(name) or any(pattern.admits_name(name) for pattern in self._hosts)


def _app_of(scope: Scope) -> str:
    """Return the application that a request to the gate is about, "" for requests about all."""
    path: str = scope["path"]
    if path.startswith("/v1/active/"):
        return path.removeprefix("/v1/active/").rpartition("/")[0]
    if path == "/v1/decide":
        return QueryParams(scope["query_string"]).get("app", "")
    return ""


def _token(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode(errors="replace").partition(":")[2]
        except (BadBase64, ValueError):
            return ""
    return ""


def _parts(message: Message) -> Iterator[Message]:
    """Yield a message in parts: of a body that its client does not read, one is held in memory for each connection."""
    body = message.get("body", b"")
    if len(body) <= _PART_BYTES:
        yield message
        return
    last = len(body) - 1
    for begin in range(0, len(body), _PART_BYTES):
        more = begin + _PART_BYTES <= last or bool(message.get("more_body"))
        yield {**message, "body": body[begin : begin + _PART_BYTES], "more_body": more}


def _name_of(host: str) -> str:
    """Return the name or address in a `Host` header, without port and brackets."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and not host.endswith("]") else host
    return name.strip("[]").removesuffix(".")


def _is_local(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True

"""Opens the gRPC channel to a sidecar, with or without TLS."""

from __future__ import annotations

import time
from pathlib import Path

import grpc

from sidecar.client.values import Tls
from sidecar.config.kinds import ADDRESS
from sidecar.errors import ConfigError, SecretUnreadable
from sidecar.secret_file import read_secret

_TOKEN_EVERY_S = 2.0
_OPTIONS: tuple[tuple[str, int], ...] = (
    # A sidecar is near: a proxy for outbound traffic is not for it.
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),
    # A sidecar that vanishes without closing the connection is noticed within 15 s, which closes the cache.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # This is also the timeout of an attempt to connect.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Each client has a connection of its own.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(target: str, tls: Tls | None) -> grpc.Channel:
    """Return a channel to `host:port` or `unix:/path`. Raises ConfigError for bad addresses and unreadable files."""
    if ADDRESS.read(target) is None:
        raise ConfigError(f"the sidecar's address: found {target!r}, expected {ADDRESS.expected}")
    if tls is None:
        return grpc.insecure_channel(target, options=_OPTIONS)
    if target.startswith("unix:"):
        raise ConfigError(f"{target}: a sidecar has no TLS on Unix sockets: omit the certificates")
    if (tls.cert is None) != (tls.key is None):
        raise ConfigError("the client's certificate and its key: found one of them, expected both or none")
    credentials = grpc.ssl_channel_credentials(_pem(tls.ca), _pem(tls.key), _pem(tls.cert))
    name = (("grpc.ssl_target_name_override", tls.server_name),) if tls.server_name else ()
    return grpc.secure_channel(target, credentials, options=(*_OPTIONS, *name))


class TokenFile:
    """The bearer token in a file, read again every two seconds at most."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self._read_at = float("-inf")

    def read(self) -> str:
        """Return the token. Raises ConfigError where there has never been a usable one."""
        now = time.monotonic()
        if now - self._read_at >= _TOKEN_EVERY_S:
            try:
                self._token = read_secret(self._path).strip()
                self._read_at = now
            except SecretUnreadable as error:
                if not self._token:
                    raise ConfigError(f"the token file {self._path} {error}") from error
        return self._token


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
